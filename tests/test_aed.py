"""The AED pipeline end to end, as a user runs it: real sounds, real training, a real registry."""

from __future__ import annotations

import json
import re
from functools import partial

import aed_identity
import jsonschema
import pytest
from aed_runs import (
    ROOT,
    SMALL,
    TASKS,
    comparison,
    copy_of,
    evaluation,
    latest,
    run,
    versions,
)

from pipeline_parameters import CLIP_ACCURACY, PATCH_ACCURACY, AedParameters
from pipelines import aed
from soundgate.parameters import load

pytestmark = pytest.mark.slow

NAMES = "use letters, digits, '_', '-', '.' and blanks between them, 200 characters at most"


@pytest.fixture(scope="module")
def finished(small_aed, tmp_path_factory):
    """A folder of runs after one undisturbed run, to go on with."""
    return copy_of(small_aed, tmp_path_factory.mktemp("aed") / "runs")


@pytest.fixture(scope="module")
def go_on(small_aed, finished):
    """Run the pipeline where the undisturbed run stands, with the store that it filled."""
    return partial(run, finished, "run-pipeline", "-n", "pipelines.aed", store=small_aed / "store")


def test_weights_and_figures_are_those_that_were_pinned(small_aed):
    expected = aed_identity.pinned("small")
    if expected is None:
        pytest.skip(f"no bits were pinned on a machine like this: {aed_identity.machine()}")
    assert aed_identity.differences(expected, latest(small_aed)) == []


def test_every_task_leaves_records_that_match_the_documented_formats(finished):
    folder = latest(finished)
    schemas = ROOT / "docs" / "schemas"
    record = json.loads((folder / "run.json").read_text())
    jsonschema.validate(record, json.loads((schemas / "run.schema.json").read_text()))
    assert record["state"] == "succeeded"
    assert tuple(record["tasks"]) == TASKS
    for name in TASKS:
        mark = json.loads((folder / "tasks" / name / "task.json").read_text())
        jsonschema.validate(mark, json.loads((schemas / "task.schema.json").read_text()))
        assert mark["state"] == "succeeded"
        assert mark["outputs"] == record["tasks"][name]["outputs"]


def test_artifacts_match_the_documented_formats(finished):
    tasks, schemas = latest(finished) / "tasks", ROOT / "docs" / "schemas"
    for name, place in {
        "dataset": "fetch/card/dataset.json",
        "inspection": "preprocess/inspection/inspection.json",
        "features": "preprocess/features/features.json",
        "model": "train/model/model.json",
        "export": "export/exported/export.json",
        "report": "evaluate/report/evaluation.json",
        "version": "champion/version/version.json",
        "comparison": "compare/comparison/comparison.json",
    }.items():
        schema = json.loads((schemas / f"{name}.schema.json").read_text("utf-8"))
        jsonschema.validate(json.loads((tasks / place).read_text("utf-8")), schema)


def test_printed_gated_and_registered_numbers_are_one_number(finished):
    folder = latest(finished)
    metrics = evaluation(folder)["multiclass_classification_metrics"]
    log = (folder / "tasks/evaluate/log.txt").read_text()
    [version] = versions(finished)
    from mlflow import MlflowClient

    tracked = MlflowClient(f"sqlite:///{finished}/mlflow.db").get_run(version.run_id)
    for metric, key, tracked_name in (
        (CLIP_ACCURACY, "clip_acc", "clip_accuracy"),
        (PATCH_ACCURACY, "patch_acc", "patch_accuracy"),
    ):
        value = metrics[key]["value"]
        assert metric.json_path == f"multiclass_classification_metrics.{key}.value"
        [printed] = re.findall(metric.regex, log)
        assert float(printed) == value
        gate = f"gate-{metric.name.replace(':', '-')}"
        verdict = json.loads((folder / f"tasks/{gate}/verdict/verdict.json").read_text())
        assert (verdict["metric"], verdict["value"]) == (metric.name, value)
        assert tracked.data.metrics[tracked_name] == value
        assert version.tags[f"gate.{metric.name}"] == "pass"
        assert 0 <= metrics[key]["low"] <= value <= metrics[key]["high"] <= 1


def test_the_candidate_says_where_it_comes_from(finished):
    folder = latest(finished)
    record = json.loads((folder / "run.json").read_text())
    [version] = versions(finished)
    assert version.tags["pipeline.run"] == record["run"]
    assert version.tags["git.commit"] == record["commit"]
    assert version.tags["dataset.digest"] == record["tasks"]["fetch"]["outputs"]["clips"]["digest"]
    assert version.tags["review.status"] == "pending"
    log = (folder / "tasks/train/log.txt").read_text()
    assert "not tracked" not in log
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished}/mlflow.db")
    curve = client.get_metric_history(version.run_id, "loss")
    assert [point.step for point in curve] == [1, 2]


def test_an_identical_run_reuses_everything_and_registers_nothing_new(finished, go_on):
    before = latest(finished)
    again = go_on("--output", "json")
    assert again.returncode == 0, again.stderr
    record = json.loads(again.stdout)
    run_again = {n: t["reason"] for n, t in record["tasks"].items() if t["state"] != "reused"}
    # who is champion stands in the registry, not in any file of the run
    assert run_again == {"champion": ""}
    assert latest(finished) != before
    assert evaluation(latest(finished)) == evaluation(before)
    assert len(versions(finished)) == 1


@pytest.mark.parametrize("changed", ["epochs", "test_fold"])
def test_another_training_leaves_the_features(go_on, changed):
    plan = go_on("--dry-run", "--output", "json", "--set", f"{changed}=3")
    rows = {row["task"]: row for row in json.loads(plan.stdout)["plan"]}
    assert [rows[name]["action"] for name in ("fetch", "preprocess")] == ["reuse", "reuse"]
    assert rows["train"]["action"] == "run"
    assert rows["train"]["reason"] == f"argument changed: {changed} 0 -> 3"


def test_a_missed_gate_says_so_and_nothing_is_registered(finished, go_on):
    already = len(versions(finished))
    missed = go_on(
        settings=(
            *SMALL[:4],
            "q_clip_level_acc_threshold=0.99",
            "q_patch_level_acc_threshold=0.01",
        ),
    )
    assert missed.returncode == 1
    value = evaluation(latest(finished))["multiclass_classification_metrics"]["clip_acc"]["value"]
    said = f"Execution failed due to clip level acc < 0.99 (clip:accuracy is {value})"
    assert said in missed.stdout
    record = json.loads((latest(finished) / "run.json").read_text())
    assert record["tasks"]["gate-clip-accuracy"]["state"] == "failed"
    assert record["tasks"]["gate-patch-accuracy"]["state"] == "succeeded"
    assert record["tasks"]["review"]["state"] == "succeeded", "the page shows why"
    assert record["tasks"]["register"]["state"] == "skipped"
    assert len(versions(finished)) == already


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("training.epoch=3", "--set: training.epoch: unknown key; did you mean 'epochs'?"),
        ("training.epochs=many", "--set: training.epochs: expected a whole number; got 'many'"),
        ("epoch=3", "--set epoch: no such parameter; did you mean 'epochs'?"),
        ("epochs=3.5", "--set epochs: expected int, not '3.5'"),
        ("epochs=-3", "--set epochs: expected 0 or more, not -3"),
        ("folds=1,1", "folds: [1, 1]: name each fold once"),
        ("folds=0,1", "--set folds: expected 1 or more, not [0, 1]"),
        ("model_name=", f"model_name: '': {NAMES}"),
        ("model_name=a/b", f"model_name: 'a/b': {NAMES}"),
        ("model_name=it's mine", f"""model_name: "it's mine": {NAMES}"""),
    ],
)
def test_a_wrong_setting_is_one_line_before_anything_runs(tmp_path, setting, said):
    wrong = run(tmp_path, "run-pipeline", "-n", "pipelines.aed", "--set", setting, settings=())
    assert (wrong.returncode, wrong.stderr) == (2, f"run-pipeline: {said}\n")
    assert not list(tmp_path.glob("aed/*"))


def test_folds_of_clips_that_bring_their_own_test_are_refused(tmp_path):
    own = ("--set", f"dataset.test_audio_path={tmp_path}", "--set", "folds=1,2")
    wrong = run(tmp_path, "run-pipeline", "-n", "pipelines.aed", *own, settings=())
    said = (
        "folds cannot be combined with test clips of their own (dataset.test_audio_path): "
        "they would be the test of every fold; remove one"
    )
    assert (wrong.returncode, wrong.stderr) == (2, f"run-pipeline: {said}\n")


def test_a_config_that_names_no_data_set_is_one_line(tmp_path):
    config = tmp_path / "user_config.yaml"
    config.write_text("training: {epochs: 1}\n", "utf-8")
    asked = ("-n", "pipelines.aed", "--config", str(config))
    wrong = run(tmp_path, "run-pipeline", *asked, settings=())
    said = f"no data set is named: pass --config FILE ({config} does not exist or names none)"
    assert (wrong.returncode, wrong.stderr) == (
        2,
        f"run-pipeline: {said} or --set dataset=NAME\n",
    )


def test_an_error_in_the_user_config_names_its_line(tmp_path):
    config = tmp_path / "user_config.yaml"
    config.write_text("dataset:\n  name: synthetic\ntraining:\n  batchsize: 16\n")
    wrong = run(
        *(tmp_path, "run-pipeline", "-n", "pipelines.aed", "--config", str(config)),
        settings=(),
    )
    said = f"{config}:4: training.batchsize: unknown key; did you mean 'batch_size'?"
    assert (wrong.returncode, wrong.stderr) == (2, f"run-pipeline: {said}\n")


def test_cross_validation_pools_every_clip_once(finished, go_on):
    done = go_on("--set", "folds=1,3")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = latest(finished)
    pooled = json.loads((folder / "tasks/pool/report/evaluation.json").read_text())
    parts = [
        json.loads((folder / f"tasks/evaluate-{k}/report/evaluation.json").read_text())
        for k in (1, 3)
    ]
    assert pooled["clips"] == sum(part["clips"] for part in parts) == 40
    assert pooled["patches"] == sum(part["patches"] for part in parts)
    for name in ("clip_acc", "patch_acc"):
        values = [part["multiclass_classification_metrics"][name]["value"] for part in parts]
        assert pooled["folds"][name]["values"] == values
        weights = [part["clips" if name == "clip_acc" else "patches"] for part in parts]
        expected = sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)
        found = pooled["multiclass_classification_metrics"][name]["value"]
        assert found == pytest.approx(expected, abs=1e-6)
    assert not (folder / "tasks/register").exists()


def test_the_first_candidate_is_compared_with_nobody(small_aed):
    found = comparison(latest(small_aed))
    assert (found["champion"], found["compared"]) == (None, False)
    assert found["clip_acc"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_a_long_download_command_travels_as_a_file():
    short = "git clone https://example.org/birds.git ./temp"
    for command, argument in ((short, "download_command"), (f"{short}\n", "download_script")):
        parameters = load(AedParameters, kwargs={"download_command": command})
        given = aed.get_pipeline(parameters).tasks["fetch"].arguments
        assert {"download_command", "download_script"} & set(given) == {argument}
        assert getattr(given[argument], "text", given[argument]) == command
