"""The AED pipeline beside a released model."""

from __future__ import annotations

import json

import pytest
from aed_runs import (
    comparison,
    copy_of,
    latest,
    review,
    run,
    versions,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def released(small_aed, tmp_path_factory):
    """Runs of a registry whose first candidate is champion."""
    runs = copy_of(small_aed, tmp_path_factory.mktemp("released") / "runs")
    approved = review(runs, "approve", "candidate", "--comment", "good enough to begin with")
    assert approved.returncode == 0, approved.stderr
    return runs


def test_a_model_registered_before_stays_the_candidate_it_was(released):
    """The champion changed: comparison and page are made anew, the model is the same bytes."""
    again = run(released, "run-pipeline", "-n", "pipelines.aed")
    assert again.returncode == 0, again.stdout + again.stderr
    record = json.loads((latest(released) / "run.json").read_text())
    assert record["tasks"]["train"]["state"] == "reused"
    assert record["tasks"]["compare"]["state"] == "succeeded"
    assert len(versions(released)) == 1
    found = comparison(latest(released))
    assert found["clip_acc"]["difference"]["value"] == 0.0
    assert found["mcnemar"] == {"only_candidate_right": 0, "only_champion_right": 0, "p_value": 1.0}


def test_a_worse_model_is_stopped_by_the_champion(released):
    """Two epochs of another seed, without augmentation's help: gated against the champion."""
    worse = run(
        released,
        *("run-pipeline", "-n", "pipelines.aed"),
        *("--set", "training.learning_rate=1e-9", "--set", "q_worse_than_champion=0"),
    )
    found = comparison(latest(released))
    assert found["compared"]
    assert found["champion"]["version"] == "1"
    value = found["clip_acc"]["difference"]["value"]
    assert value < 0
    assert worse.returncode == 1
    said = "Execution failed due to clip level acc against the champion on the same clips < 0.0"
    assert f"{said} (clip:accuracy:gain is {value})" in worse.stdout
    assert (latest(released) / "tasks/review/review/report.html").is_file()


def test_an_advisory_miss_waits_for_a_reviewer_who_overrides_it(released):
    done = run(
        released,
        *("run-pipeline", "-n", "pipelines.aed", "--set", "advisory_gates=true"),
        *("--set", "general.global_seed=7", "--set", "q_clip_level_acc_low_threshold=0.999"),
        *("--set", "q_quantized_clip_level_acc_threshold=0.01"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    newest = max(versions(released), key=lambda v: int(v.version))
    assert newest.tags["gate.clip:accuracy:low"] == "fail"
    assert newest.tags["gate.quantized:clip:accuracy"] == "pass"
    page = (latest(released) / "tasks/review/review/report.html").read_text()
    assert "lower bound of clip level acc" in page
    refused = review(released, "approve", str(newest.version), "--comment", "ship it")
    assert refused.returncode == 1
    assert "clip:accuracy:low; add --override" in refused.stderr
    allowed = review(released, "approve", str(newest.version), "--comment", "ship it", "--override")
    assert allowed.returncode == 0, allowed.stderr
    back = review(released, "rollback", "--comment", "customers complain")
    assert back.returncode == 0, back.stderr
    assert "version 1 is the champion" in back.stdout


def test_the_champion_predicts_what_was_evaluated(released):
    """From the registry to a table: the same scores for the same clips."""
    folder = min(released.glob("aed/*"), key=lambda p: p.name)
    rows = (folder / "tasks/evaluate/report/predictions.jsonl").read_text().splitlines()
    expected = {row["path"]: row for row in map(json.loads, rows)}
    for runtime, tolerance in (("torch", 2e-3), ("onnx", 2e-3)):
        done = run(
            released,
            *("run-pipeline", "-n", "pipelines.predict", "--set", "format=jsonl"),
            *("--set", f"audio={folder}/tasks/fetch/clips", "--set", f"runtime={runtime}"),
            settings=(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        predicted = max(released.glob("predict/*"), key=lambda p: p.name)
        found = (predicted / "tasks/predict/predictions/clips.jsonl").read_text().splitlines()
        scored = {row["path"]: row for row in map(json.loads, found)}
        assert len(scored) == 100
        for path, row in expected.items():
            for label, score in row["scores"].items():
                assert scored[path][label] == pytest.approx(score, abs=tolerance), (path, label)
