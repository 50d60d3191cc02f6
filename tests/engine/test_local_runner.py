"""The runner's loop, with a host that starts nothing."""

from __future__ import annotations

import pytest

from soundgate.executors.base import initial_tasks
from soundgate.executors.records import KeptRecord
from soundgate.executors.running.hosts import Failure, ThisMachine, retry_or_fail
from soundgate.executors.running.machine import Machine
from soundgate.executors.running.runner import Runner
from soundgate.executors.running.work import Work
from soundgate.pipeline import File, Pipeline
from soundgate.programs.gather import gather
from soundgate.runs import Run


class Idle(ThisMachine):
    """A machine on which nothing may be started."""

    def launcher(self, libraries):
        raise AssertionError("a paused runner starts nothing")


def two_tasks() -> Pipeline:
    pipeline = Pipeline("p")
    for name in ("a", "b"):
        pipeline.add(gather, name=name, parts=[File("x.txt", text="x")])
    return pipeline


def failure(attempt: int, status: int, stopped: str = "") -> Failure:
    pipeline = Pipeline("p")
    task = pipeline.add(gather, name="a", parts=[File("x.txt", text="x")], retries=2)
    return Failure(
        task=task, attempt=attempt, status=status, reason="bug", mark=None, stopped=stopped
    )


def test_a_paused_runner_ends_although_tasks_are_ready(tmp_path):
    pipeline, run = two_tasks(), Run(tmp_path, "p", "1")
    digests = {File("x.txt", text="x"): "sha256:1"}
    commands = {name: ["python"] for name in pipeline.tasks}
    work = Work(pipeline=pipeline, run=run, commands=commands, digests=digests)
    record = KeptRecord({"commit": "c", "tasks": initial_tasks(pipeline)}, write=None)
    with Runner(work, record, Idle(Machine(cpus=2, memory_gb=4, gpus=()))) as runner:
        runner.pause()
        runner.execute()
    assert {task["state"] for task in record.tasks.values()} == {"pending"}
    assert not run.folder.joinpath("run.json").exists()  # it belongs to another process


@pytest.mark.parametrize(
    ("attempt", "status", "state", "wait_s"),
    [
        (1, 1, "pending", 1.0),
        (2, -9, "pending", 2.0),
        (3, 1, "failed", None),
        (1, 2, "failed", None),
    ],
)
def test_an_attempt_is_followed_by_another_unless_the_user_was_wrong(
    attempt, status, state, wait_s
):
    verdict = retry_or_fail(failure(attempt, status))
    assert (verdict.state, verdict.retry_after_s) == (state, wait_s)


def test_a_task_that_was_stopped_with_the_run_is_cancelled_not_failed():
    host = ThisMachine(Machine(cpus=1, memory_gb=1, gpus=()))
    verdict = host.judge(failure(1, -15, stopped="stopped by SIGTERM"))
    assert (verdict.state, verdict.reason) == ("cancelled", "stopped by SIGTERM")
