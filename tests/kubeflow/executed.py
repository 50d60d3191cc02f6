"""A pipeline as it would be sent to Kubeflow, rendered by the command line and executed here."""

from __future__ import annotations

import ir_lint
import ir_runner
from aed_identity import routines
from ir_runner import State

IMAGE = ("steps", "soundgate", "pipelines", "pipeline_parameters.py")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def report_of(world, task, folder, **words):
    """``evaluation.json`` of ``task`` after the small run of a module such as ``spot_runs``."""
    site = folder / "site.yaml"
    site.write_text(
        f"image: registry.example/soundgate@sha256:{'0' * 64}\n"
        f"mlflow_tracking_uri: sqlite:///{folder / 'mlflow.db'}\n"
    )
    told = world.run(
        folder / "runs",
        *("--executor", "kubeflow", "--profile", str(site)),
        settings=(*world.SMALL, f"store={folder / 'store'}"),
        command="get-pipeline-definition",
        **words,
    )
    assert told.returncode == 0, told.stderr
    assert ir_lint.lint(told.stdout) == []
    image = folder / "image"
    image.mkdir()
    for name in IMAGE:
        (image / name).symlink_to(world.ROOT / name)
    platform = ir_runner.Platform(project=image, max_parallel=2, environment=routines())
    done = ir_runner.run(told.stdout, {"commit": COMMIT}, folder / "kubeflow", platform)
    assert done.state == State.SUCCEEDED, done.report()
    return (done.tasks[task].artifacts["report"].path / "evaluation.json").read_bytes()
