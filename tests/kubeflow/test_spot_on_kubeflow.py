"""The spotting pipeline as it would be sent to Kubeflow, executed: the report of a local run."""

from __future__ import annotations

import ir_lint
import ir_runner
import pytest
import spot_runs
from aed_identity import routines
from ir_runner import State

pytestmark = pytest.mark.slow

IMAGE = ("steps", "soundgate", "pipelines", "pipeline_parameters.py")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.timeout(600)
def test_detectors_have_the_same_report_on_kubeflow(small_spot, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(
        f"image: registry.example/soundgate@sha256:{'0' * 64}\n"
        f"mlflow_tracking_uri: sqlite:///{tmp_path / 'mlflow.db'}\n"
    )
    told = spot_runs.run(
        tmp_path / "runs",
        *("--executor", "kubeflow", "--profile", str(site)),
        settings=(*spot_runs.SMALL, f"store={tmp_path / 'store'}"),
        command="get-pipeline-definition",
    )
    assert told.returncode == 0, told.stderr
    assert ir_lint.lint(told.stdout) == []
    image = tmp_path / "image"
    image.mkdir()
    for name in IMAGE:
        (image / name).symlink_to(spot_runs.ROOT / name)
    platform = ir_runner.Platform(project=image, max_parallel=2, environment=routines())
    done = ir_runner.run(told.stdout, {"commit": COMMIT}, tmp_path / "kubeflow", platform)
    assert done.state == State.SUCCEEDED, done.report()
    there = done.tasks["compare"].artifacts["report"].path / "evaluation.json"
    expected = spot_runs.report_digest(spot_runs.local_report(small_spot))
    assert spot_runs.report_digest(there.read_bytes()) == expected
