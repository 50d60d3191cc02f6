"""The AED pipeline as SageMaker would run it: the command line, the JSON, jobs in containers.

One execution is shared: what changes is a parameter or an injected fault, and what SageMaker's
cache then repeats is part of what is tested.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from account_site import BUCKET, CORES, ROOT, Site, empty
from aed_runs import SMALL, latest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def local(folder: Path, *words: object, settings: tuple[str, ...]) -> subprocess.Popen[str]:
    """Start the same pipeline with the local executor, on a core of its own."""
    sets = [word for s in (*settings, f"store={folder / 'store'}") for word in ("--set", s)]
    asked = ("run-pipeline", "-n", "pipelines.aed", "--output", "json", *words, *sets)
    pinned = ("taskset", "--cpu-list", str(CORES[-1]))
    return subprocess.Popen(
        [*pinned, sys.executable, "-m", "soundgate.cli", *map(str, asked)],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str], folder: Path) -> Path:
    """Wait for a local run; return the folder of its tasks."""
    told, _ = process.communicate(timeout=800)
    assert process.returncode == 0, told
    [run] = folder.glob("aed/*/run.json")
    return run.parent / "tasks"


@pytest.fixture(scope="module")
def site(plane, mlflow, tmp_path_factory):
    """An account after one undisturbed execution."""
    with empty(plane):
        made = Site(plane, tmp_path_factory.mktemp("aed"), "aed", SMALL, mlflow_tracking_uri=mlflow)
        made.record = made.run()
        made.first = made.execution()
        yield made


def test_the_figures_are_those_of_the_same_run_on_this_machine(site, small_aed):
    """Byte for byte: the programs, the seeds and the number of cores are the same."""
    local = latest(small_aed) / "tasks"
    assert site.record["state"] == "succeeded"
    for task in ("evaluate/report/evaluation.json", "evaluate/report/predictions.jsonl"):
        found = site.read(site.first, *task.split("/"))
        assert found.decode() == (local / task).read_text("utf-8")
    assert site.evaluation(site.first)["clips"] == 20
    weights = site.model(site.first)["model/weights.safetensors"]
    assert weights == (local / "train/model/weights.safetensors").read_bytes()


def test_numbers_were_printed_as_java_prints_them(site):
    """160.0 for 160: the programs read them all the same."""
    algorithm = site.first.steps["train"].properties["AlgorithmSpecification"]
    assert "--epochs=0.0" in algorithm["ContainerArguments"]
    assert site.first.steps["train"].properties["HyperParameters"]["test_fold"] == "0.0"


def test_metric_definitions_find_the_figures_in_the_log(site):
    found = site.first.steps["train"].properties["FinalMetricDataList"]
    history = site.model(site.first)["metrics/history.jsonl"].splitlines()
    best = json.loads(site.model(site.first)["model/model.json"])["best_epoch"]
    kept = json.loads(history[best - 1])
    assert {m["MetricName"]: m["Value"] for m in found} == {
        "validation:clip:accuracy": pytest.approx(kept["validation_clip_accuracy"], abs=1e-6),
        "validation:patch:accuracy": pytest.approx(kept["validation_patch_accuracy"], abs=1e-6),
    }


def test_the_candidate_is_in_both_registries_and_waits_for_a_person(site, mlflow):
    from mlflow import MlflowClient

    arn = site.first.steps["register-package"].metadata["RegisterModel"]["Arn"]
    package = site.plane.account.sagemaker.describe_model_package(ModelPackageName=arn)
    card = json.loads(site.read(site.first, "fetch", "card", "dataset.json"))
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"] == {
        "commit": site.record["commit"],
        "data_digest": card["digest"],
        "execution": site.first.id,
        "pipeline": "aed",
        "run": site.record["run"],
    }
    statistics = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert statistics.endswith(f"/{site.first.id}/evaluate/report/evaluation.json")
    [container] = package["InferenceSpecification"]["Containers"]
    model = site.first.steps["train"].properties["ModelArtifacts"]["S3ModelArtifacts"]
    assert container["ModelDataUrl"] == model

    client = MlflowClient(mlflow)
    [version] = client.search_model_versions("name = 'aed-candidates'")
    assert version.tags["git.commit"] == site.record["commit"]
    assert version.tags["dataset.digest"] == card["digest"]
    assert version.tags["review.status"] == "pending"
    logged = {a.path for a in client.list_artifacts(version.run_id)}
    assert {"report", "review"} <= logged, "its files went through the server"


def test_again_only_what_names_the_run_is_repeated_and_a_missed_clip_gate_ends_it(site):
    """The champion is asked for each time, so what it is compared with is, too."""
    record = site.run("q_clip_level_acc_threshold=0.999", code=1)
    execution = site.execution()
    assert set(execution.executed) == {
        "champion",
        "compare",
        "review",
        "gate-clip-accuracy",
        "gate-clip-accuracy-missed",
    }
    for task in ("fetch", "preprocess", "train", "export", "evaluate"):
        assert execution.steps[task].cached_from == site.first.arn
    said = "Execution failed due to clip level acc < 0.999"
    assert execution.steps["gate-clip-accuracy-missed"].reason == said
    assert record["state"] == "failed"
    assert said in record["tasks"]["gate-clip-accuracy"]["reason"]
    assert record["tasks"]["train"]["state"] == "reused"
    assert record["tasks"]["review"]["state"] == "succeeded", "the page shows why"
    assert record["tasks"]["register"]["state"] == "skipped"


def test_a_missed_patch_gate_says_so_itself(site):
    execution = site.again(
        *("gate-clip-accuracy", "gate-patch-accuracy", "gate-patch-accuracy-missed"),
        q_patch_level_acc_threshold="0.999",
    )
    assert execution.executed == [
        *("gate-clip-accuracy", "gate-patch-accuracy", "gate-patch-accuracy-missed")
    ]
    said = "Execution failed due to patch level acc < 0.999"
    assert execution.steps["gate-patch-accuracy-missed"].reason == said


def test_a_training_whose_spot_instance_is_taken_away_ends_with_the_same_model(site):
    """In mid-training; what is compared are the weights, the history and the figures of the log."""
    s3, prefix = site.plane.account.s3, "soundgate/aed/checkpoints/"
    for kept in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=kept["Key"])
    site.plane.account.cache.forget("train")
    site.plane.account.faults.interrupt(
        "train", lambda ml: any(p.is_file() for p in (ml / "checkpoints").rglob("*"))
    )
    execution = site.again("train")
    assert execution.status == "Succeeded", execution.why()
    [job] = execution.steps["train"].jobs
    assert "Interrupted 75" in job.transitions, "it kept what it had, and said so"
    assert any(t.startswith("Restored ") for t in job.transitions)
    epochs = [line for line in job.lines if line.startswith("epoch ")]
    assert len(epochs) == 2, "no epoch was repeated"
    again, before = site.model(execution), site.model(site.first)
    for name in ("model/weights.safetensors", "metrics/history.jsonl"):
        assert again[name] == before[name], name
    metrics = [e.steps["train"].properties["FinalMetricDataList"] for e in (execution, site.first)]
    assert metrics[0] == metrics[1]


def test_data_that_is_gone_fails_the_job_that_reads_it(site):
    """SageMaker's cache remembers where results were, not whether they still are there."""
    s3 = site.plane.account.s3
    outputs = site.first.steps["preprocess"].properties["ProcessingOutputConfig"]["Outputs"]
    prefix = outputs[0]["S3Output"]["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    for kept in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]:
        source = {"Bucket": BUCKET, "Key": kept["Key"]}
        s3.copy_object(Bucket=BUCKET, Key=f"kept/{kept['Key']}", CopySource=source)
        s3.delete_object(**source)
    try:
        execution = site.again("train", test_fold="2")
    finally:
        for kept in s3.list_objects_v2(Bucket=BUCKET, Prefix="kept/")["Contents"]:
            source = {"Bucket": BUCKET, "Key": kept["Key"]}
            key = kept["Key"].removeprefix("kept/")
            s3.copy_object(Bucket=BUCKET, Key=key, CopySource=source)
    said = f'No S3 objects found under S3 URL "s3://{BUCKET}/{prefix}'
    assert said in execution.steps["train"].reason
    assert execution.steps["train"].jobs[0].lines == []


def test_a_training_that_fails_says_why(site, tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_text("no weights")
    record = site.run(f"training.model.pretrained_weights={weights}", code=1)
    execution = site.execution()
    [job] = execution.steps["train"].jobs
    failure = job.reason.removeprefix("AlgorithmError: ").removesuffix(", exit code: 2")
    assert failure
    assert f"error: {failure}" in job.lines
    assert failure in record["tasks"]["train"]["reason"]
    assert "evaluate" not in execution.steps


def test_real_clips_give_the_same_figures_as_on_this_machine(plane, esc10, tmp_path):
    """ESC-10: some clips of three classes, one fold of them; ``map`` and its join, too."""
    clips = tmp_path / "clips"
    for name in ("001 - Dog bark", "002 - Rain", "009 - Rooster"):
        (clips / name).mkdir(parents=True)
        for clip in sorted((esc10 / name).glob("*.ogg"))[::2]:
            shutil.copy(clip, clips / name)
    settings = (
        "training.epochs=1",
        "training.precision=float32",
        "q_clip_level_acc_threshold=0",
        "q_patch_level_acc_threshold=0",
        "dataset.class_names=[dog, rain, rooster]",
        f"dataset.training_audio_path={clips}",
        "folds=1",
    )
    config = ("--config", "user_configs/aed_esc10.yaml")
    with empty(plane, CORES[:1]), local(tmp_path / "local", *config, settings=settings) as process:
        site = Site(plane, tmp_path, "aed", settings)
        record = site.run(words=config)
        here = finished(process, tmp_path / "local")
    assert record["state"] == "succeeded"
    execution = site.execution()
    for step in ("evaluate-1", "pool"):
        found = site.read(execution, step, "report", "evaluation.json").decode()
        assert found == (here / step / "report/evaluation.json").read_text("utf-8")
    assert json.loads(found)["clips"] >= 10
