"""How a run stands: marks are the truth, the controller is asked about what is silent."""

from __future__ import annotations

import pytest

from soundgate import runs
from soundgate.executors.base import initial_tasks
from soundgate.executors.slurm.marks import FOLDER, note_start
from soundgate.executors.slurm.service.client import Client
from soundgate.executors.slurm.service.states import (
    CANCELLED,
    SUBMITTED,
    Watcher,
    conclude,
    task_ids,
)
from soundgate.pipeline import Pipeline, Resources
from soundgate.step import InputPath, OutputPath  # noqa: TC001 - interfaces are read from annotations

DOWN = (1, "", "squeue: error: Unable to contact slurm controller\n")
UNKNOWN = (1, "", "slurm_load_jobs error: Invalid job id specified\n")


def make(out: OutputPath, source: InputPath | None = None, *, number: int = 0) -> None:
    """Write something."""


@pytest.fixture
def pipeline():
    found = Pipeline("p")
    first = found.add(make, name="a", retries=1, resources=Resources(hours=2, memory_gb=3))
    second = found.add(make, name="b", source=first["out"])
    found.add(make, name="c", source=second["out"])
    return found


@pytest.fixture
def run(tmp_path):
    run = runs.Run(tmp_path / "runs", "p", "20261120-000000-0001")
    jobs = {
        "a": {"id": "7", "elements": [["a"]], "is_array": False},
        "bc": {"id": "8", "elements": [["b"], ["c"]], "is_array": True},
    }
    runs.write_json(run.folder / FOLDER / SUBMITTED, jobs)
    return run


@pytest.fixture
def record(pipeline):
    return {
        "state": "running",
        "reason": "",
        "created_at": "2026-11-20T10:00:00.000Z",
        "ended_at": None,
        "tasks": initial_tasks(pipeline),
    }


@pytest.fixture
def watcher(run, pipeline, fake):
    fake.answers("scontrol", UNKNOWN)
    fake.answers("sacct", UNKNOWN)
    return Watcher(run, pipeline, Client(tries=1))


def mark(run, task, state="succeeded", *, attempt=1, exit_code=0, reason="", of=None):
    context = runs.Context(task=task, run=of or run.id, pipeline="p", attempt=str(attempt))
    runs.write_mark(
        run.task(task),
        context,
        state=state,
        reason=reason,
        exit_code=exit_code,
        argv=["python"],
        duration_s=1.5,
    )


def queue(fake, *lines: str):
    fake.answers("squeue", (0, "".join(f"{line}\n" for line in lines), ""))


def states(record):
    return {name: str(task["state"]) for name, task in record["tasks"].items()}


def test_elements_of_arrays_have_ids_of_their_own(run):
    assert task_ids(run) == {"a": "7", "b": "8_0", "c": "8_1"}


def test_a_mark_counts_whatever_the_controller_says(run, record, watcher, fake):
    for task in "abc":
        mark(run, task)
    fake.answers("squeue", DOWN)
    assert sorted(watcher.look(record)) == ["a", "b", "c"]
    assert states(record) == dict.fromkeys("abc", "succeeded")
    assert fake.calls() == []  # nothing was silent, so nobody was asked
    assert conclude(record, run)
    assert (record["state"], record["reason"]) == ("succeeded", "")


def test_all_silent_tasks_are_one_question(record, watcher, fake):
    queue(fake, "7|RUNNING|None", "8_0|PENDING|Dependency", "8_1|PENDING|BeginTime")
    watcher.look(record)
    assert states(record) == {"a": "running", "b": "pending", "c": "pending"}
    reasons = [record["tasks"][name]["reason"] for name in "abc"]
    assert reasons == ["", "waits for other tasks", "put back into the queue"]
    assert [record["tasks"][name]["engine_id"] for name in "abc"] == ["7", "8_0", "8_1"]
    assert len(fake.calls()) == 1


@pytest.mark.parametrize(
    ("ended", "final"),
    [
        ((1, 1), False),
        ((2, 1), True),
        ((1, 2), True),
        ((2, 75), False),
        ((2, 143), False),
        ((2, -15), False),
        ((1, -9), False),
        ((2, -9), True),
    ],
)
def test_a_failure_is_final_when_no_attempt_follows(run, record, watcher, fake, ended, final):
    """`a` has one retry; a user's mistake is not tried again; 75 saved its work; 143 and -15
    were asked to stop, by Slurm perhaps, that puts the job back."""
    attempt, exit_code = ended
    mark(run, "a", "failed", attempt=attempt, exit_code=exit_code, reason="bad")
    queue(fake, "7|RUNNING|None", "8_0|PENDING|Dependency", "8_1|PENDING|Dependency")
    watcher.look(record)
    if final:
        assert states(record) == {"a": "failed", "b": "skipped", "c": "skipped"}
        assert record["tasks"]["c"]["reason"] == "a failed"
        assert conclude(record, run)
        assert (record["state"], record["reason"]) == ("failed", "a: bad")
    else:
        assert states(record)["a"] == "running"
        assert not conclude(record, run)


def test_a_mark_of_another_run_is_none(run, record, watcher, fake):
    mark(run, "a", of="20200101-000000-0000")
    queue(fake, "7|RUNNING|None")
    watcher.look(record)
    assert states(record)["a"] == "running"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("TIMEOUT", "exceeded its time limit of 2 h (job 7)"),
        (
            "OUT_OF_MEMORY",
            "killed: it used more than its 3 GB (memory_gb of its Resources) (job 7)",
        ),
        ("NODE_FAIL", "its node failed and the job was not put back (job 7)"),
        ("CANCELLED", "its job was cancelled (job 7)"),
        ("COMPLETED", "job 7 ended as COMPLETED without a finished mark"),
    ],
)
def test_a_job_that_is_over_without_a_mark_failed_in_its_way(record, watcher, fake, state, said):
    queue(fake, f"7|{state}|None", "8_0|PENDING|Dependency", "8_1|PENDING|Dependency")
    watcher.look(record)
    assert states(record)["a"] == "pending", "its mark may not be seen from here yet"
    watcher.look(record)
    assert states(record) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert record["tasks"]["a"]["reason"] == said


def test_what_was_stopped_by_nobody_that_slurm_knows_says_so_itself(run, record, watcher, fake):
    mark(run, "a", "failed", attempt=2, exit_code=143, reason="stopped by SIGTERM {0}")
    queue(fake, "7|FAILED|NonZeroExitCode", "8_0|PENDING|Dependency", "8_1|PENDING|Dependency")
    watcher.look(record)
    watcher.look(record)
    assert record["tasks"]["a"]["reason"] == "stopped by SIGTERM {0} (job 7)"


def test_starts_of_a_job_that_was_put_back_are_shown(run, record, watcher, fake):
    note_start(run, "a", 3, 11)
    queue(fake, "7|RUNNING|None", "8_0|PENDING|Dependency", "8_1|PENDING|Dependency")
    watcher.look(record)
    assert record["tasks"]["a"]["reason"] == "start 3 of at most 11"
    for task in "abc":
        mark(run, task)
    watcher.look(record)
    assert [record["tasks"][name]["reason"] for name in "abc"] == [
        "took 3 starts of its job",
        "",
        "",
    ]


def test_an_array_that_is_gone_is_asked_for_once_however_many_elements_it_has(run, fake):
    wide = Pipeline("p")
    wide.map(make, name="m", over={"number": list(range(500))})
    jobs = {"m": {"id": "9", "elements": [[name] for name in wide.tasks], "is_array": True}}
    runs.write_json(run.folder / FOLDER / SUBMITTED, jobs)
    fake.answers("scontrol", UNKNOWN)
    fake.answers("sacct", UNKNOWN)
    queue(fake)
    watcher = Watcher(run, wide, Client(tries=1))
    record = {"tasks": initial_tasks(wide)}
    for _ in range(2):
        watcher.look(record)
    assert set(states(record).values()) == {"failed"}
    assert [len(fake.calls(name)) for name in ("squeue", "scontrol", "sacct")] == [2, 1, 1]


def test_a_late_mark_wins(run, record, watcher, fake):
    queue(fake, "7|COMPLETED|None")
    watcher.look(record)
    mark(run, "a")
    watcher.look(record)
    assert states(record)["a"] == "succeeded"


def test_a_job_nobody_knows_is_lost_not_waited_for(record, watcher, fake):
    queue(fake)
    watcher.look(record)
    assert states(record)["a"] == "pending"
    watcher.look(record)
    assert states(record)["a"] == "failed"
    assert record["tasks"]["a"]["reason"] == (
        "lost: Slurm knows job 7 no more, and it left no mark"
    )
    assert fake.calls("scontrol")[0][0][-1] == "7"


def test_a_job_that_the_queue_lost_but_the_controller_knows_is_not_lost(record, watcher, fake):
    queue(fake)
    fake.answers("scontrol", (0, "JobId=7 JobState=RUNNING Reason=None\n", ""))
    for _ in range(5):
        watcher.look(record)
    assert states(record)["a"] == "pending"


def test_not_being_answered_changes_nothing(record, watcher, fake):
    queue(fake, "7|RUNNING|None", "8_0|PENDING|None", "8_1|PENDING|None")
    watcher.look(record)
    fake.answers("squeue", DOWN)
    for _ in range(5):
        assert watcher.look(record) == []
    assert states(record)["a"] == "running"
    assert "Unable to contact" in watcher.said


def test_what_slurm_cancelled_for_its_dependency_is_skipped_not_failed(run, record, watcher, fake):
    mark(run, "a", "failed", attempt=2, exit_code=1, reason="bad")
    queue(fake, "8_0|CANCELLED|DependencyNeverSatisfied", "8_1|CANCELLED|DependencyNeverSatisfied")
    for _ in range(3):
        watcher.look(record)
    assert states(record) == {"a": "failed", "b": "skipped", "c": "skipped"}


def test_a_job_that_ended_because_its_input_failed_is_skipped_not_failed(
    run, record, watcher, fake
):
    """Its own job is over without a mark before anybody knows why the one before it has none."""
    queue(fake, "7|TIMEOUT|None", "8_0|FAILED|NonZeroExitCode", "8_1|CANCELLED|None")
    watcher.look(record)
    assert set(states(record).values()) == {"pending"}
    for _ in range(2):
        watcher.look(record)
    assert states(record) == {"a": "failed", "b": "skipped", "c": "skipped"}
    assert [record["tasks"][name]["reason"] for name in "bc"] == ["a failed", "a failed"]


def test_a_cancelled_run_says_so_and_keeps_what_was_done(run, record, watcher, fake):
    mark(run, "a")
    (run.folder / FOLDER / CANCELLED).write_text("cancelled by cancel-run\n")
    queue(fake, "8_0|CANCELLED|None", "8_1|CANCELLED|None")
    watcher.look(record)
    assert conclude(record, run)
    assert (record["state"], record["reason"]) == ("cancelled", "cancelled by cancel-run")
    assert states(record) == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}
