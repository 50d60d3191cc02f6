"""The tagging pipeline as it would be sent to Kubeflow, executed: the report of a local run."""

from __future__ import annotations

import ir_lint
import ir_runner
import pytest
import tagging_runs
from aed_identity import routines
from ir_runner import State

pytestmark = pytest.mark.slow

IMAGE = ("steps", "soundgate", "pipelines", "pipeline_parameters.py")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.timeout(600)
def test_a_tagger_has_the_same_report_on_kubeflow(small_tagging, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(
        f"image: registry.example/soundgate@sha256:{'0' * 64}\n"
        f"mlflow_tracking_uri: sqlite:///{tmp_path / 'mlflow.db'}\n"
    )
    told = tagging_runs.run(
        tmp_path / "runs",
        *("--executor", "kubeflow", "--profile", str(site)),
        settings=(*tagging_runs.SMALL, f"store={tmp_path / 'store'}"),
        config=tagging_runs.ROOT / "user_configs/tagging.yaml",
        command="get-pipeline-definition",
    )
    assert told.returncode == 0, told.stderr
    assert ir_lint.lint(told.stdout) == []
    image = tmp_path / "image"
    image.mkdir()
    for name in IMAGE:
        (image / name).symlink_to(tagging_runs.ROOT / name)
    platform = ir_runner.Platform(project=image, max_parallel=2, environment=routines())
    done = ir_runner.run(told.stdout, {"commit": COMMIT}, tmp_path / "kubeflow", platform)
    assert done.state == State.SUCCEEDED, done.report()
    there = done.tasks["evaluate"].artifacts["report"].path / "evaluation.json"
    expected = tagging_runs.report_digest(tagging_runs.local_report(small_tagging))
    assert tagging_runs.report_digest(there.read_bytes()) == expected
