"""How a run stands: what an API server may say, and what is made of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from soundgate.errors import ConfigError, ExecutorError
from soundgate.executors.kubeflow.profile import Profile
from soundgate.executors.kubeflow.service.artifacts import ENDPOINT, collect, reachable
from soundgate.executors.kubeflow.service.states import update
from soundgate.runs import State

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def node(name, state="SUCCEEDED", message="", under="root", **more):
    error = SimpleNamespace(message=message) if message else None
    given = {
        "task_id": f"{under}/{name}",
        "display_name": name,
        "state": state,
        "error": error,
        "parent_task_id": under,
        "child_tasks": None,
        "pod_name": None,
        "start_time": AT,
        "end_time": AT.replace(minute=2),
    }
    return SimpleNamespace(**{**given, **more})


def run(state, *nodes, error=""):
    return SimpleNamespace(
        state=state,
        error=SimpleNamespace(message=error) if error else None,
        finished_at=AT.replace(minute=5),
        run_details=SimpleNamespace(task_details=list(nodes)) if nodes else None,
    )


def record(**depends_on):
    blank = {"state": "pending", "reason": "", "duration_s": None, "attempt": 0, "engine_id": ""}
    return {
        "state": "running",
        "reason": "",
        "created_at": "2026-11-20T12:00:00.000Z",
        "ended_at": None,
        "duration_s": None,
        "tasks": {n: {**blank, "depends_on": list(d)} for n, d in depends_on.items()},
    }


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("PENDING", ""),
        ("RUNNING", ""),
        (None, ""),
        ("PAUSED", "paused"),
        ("CANCELING", "is being cancelled"),
        ("RUNTIME_STATE_UNSPECIFIED", ""),
        ("HIBERNATING", "Kubeflow says HIBERNATING"),
    ],
)
def test_a_run_that_is_not_over_goes_on(state, reason):
    found = record(a=[])
    update(found, run(state), {"a": "a"})
    assert (found["state"], found["reason"], found["ended_at"]) == ("running", reason, None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Error (exit code 1): no such clip", "no such clip"),
        ("main: Error (exit code 137)", "exit code 137"),
        ("Error (exit code 3)", "exit code 3"),
        ("OOMKilled (exit code 137)", "killed: it used more than its memory"),
        (
            "Pod was active on the node longer than the specified deadline",
            "exceeded its time limit (hours)",
        ),
        ("Back-off pulling image: ImagePullBackOff", "its image cannot be pulled"),
        ("", "failed; Kubeflow does not say why"),
    ],
)
def test_the_reason_is_the_pod_s_in_words_of_the_pipeline(message, reason):
    found = record(train=[], evaluate=["train"], alone=[])
    seen = run(
        "FAILED",
        node("train-driver"),
        node("train", "FAILED", "child 'root/train/executor' failed"),
        node("executor", "FAILED", message, under="root/train"),
        error="failed",
    )
    assert update(found, seen, {}) == ["train", "evaluate", "alone"]
    assert found["tasks"]["train"]["reason"].startswith(reason)
    assert found["tasks"]["train"]["duration_s"] == 120
    assert found["tasks"]["evaluate"]["reason"] == "train failed"
    why = "not begun before the run ended"
    assert (found["tasks"]["alone"]["state"], found["tasks"]["alone"]["reason"]) == ("skipped", why)
    assert found["reason"] == f"train: {found['tasks']['train']['reason']}"
    assert (found["ended_at"], found["duration_s"]) == ("2026-11-20T12:05:00.000Z", 300)


def test_the_last_attempt_is_the_one_that_counts():
    found = record(train=[])
    pods = [
        node("executor", "RUNNING", under="root/train", task_id="x"),
        node("executor(0)", "FAILED", "Error (exit code 1): early", under="x", pod_name="pod-0"),
        node("executor(1)", "RUNNING", under="x", pod_name="pod-1"),
    ]
    update(found, run("RUNNING", node("train", "RUNNING"), *pods), {"train": "train"})
    train = found["tasks"]["train"]
    assert (train["state"], train["attempt"], train["engine_id"]) == ("running", 2, "pod-1")
    assert (train["reason"], train["duration_s"]) == ("", None)


def test_inputs_that_cannot_be_resolved_are_said_by_the_driver():
    found = record(train=[])
    driver = node("train-driver", "FAILED", "Error (exit code 1): no artifact")
    update(found, run("FAILED", driver, node("train", "SKIPPED")), {})
    assert (found["state"], found["reason"]) == ("failed", "train: no artifact")


def test_a_failure_of_no_task_is_the_run_s():
    found = record(train=[])
    update(found, run("FAILED", error="invalid spec: cycle"), {})
    assert (found["state"], found["reason"]) == ("failed", "invalid spec: cycle")
    assert found["tasks"]["train"]["reason"] == "not begun before the run ended"


def test_a_run_that_succeeded_has_no_task_left():
    found = record(train=[], evaluate=["train"])
    executor = node("executor", "SKIPPED", under="root/train")
    update(found, run("SUCCEEDED", node("train"), executor), {})
    assert {n: t["state"] for n, t in found["tasks"].items()} == {
        "train": "reused",
        "evaluate": "succeeded",
    }
    assert found["state"] == "succeeded"


def objects(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


SENT = {"pipeline": "aed", "run_id": "r1", "tasks": {"train-A": "train-a"}}


@pytest.mark.parametrize("salt", ["", "5f1c2e/"])
def test_an_output_is_found_in_either_layout(tmp_path, salt):
    start = f"aed/r1/train-a/{salt}"
    objects(tmp_path, f"{start}model/weights/a.bin", f"{start}model/m.json", f"{start}metrics/x")
    target = tmp_path / "target"
    target.mkdir()
    site = Profile(pipeline_root=f"file://{tmp_path}")
    collect(site, SENT, "train-A", "model", target, state=State.SUCCEEDED)
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert found == ["m.json", "weights/a.bin"]
    with pytest.raises(ExecutorError, match="output 'plots' was not found"):
        collect(site, SENT, "train-A", "plots", target, state=State.SUCCEEDED)
    with pytest.raises(ExecutorError, match="is failed: it has no outputs"):
        collect(site, SENT, "train-A", "model", target, state=State.FAILED)


def test_the_artifact_store_is_reached_at_its_own_endpoint(monkeypatch):
    monkeypatch.setenv(ENDPOINT, "http://before")
    site = Profile(pipeline_root="minio://b/root/", artifact_endpoint="http://minio:9000")
    with reachable(site) as root:
        assert (root, os.environ[ENDPOINT]) == ("s3://b/root", "http://minio:9000")
    assert os.environ[ENDPOINT] == "http://before"
    for fields, told in (({}, "set pipeline_root"), ({"pipeline_root": "gs://b"}, "use gsutil")):
        with pytest.raises(ConfigError, match=told), reachable(Profile(**fields)):
            raise AssertionError
