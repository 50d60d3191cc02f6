"""How a run on Slurm stands: finished marks first, the controller only about what is silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ExecutorError, Stopped, UserError
from soundgate.executors.logs import last_line
from soundgate.executors.schedule import Schedule
from soundgate.executors.slurm import client as slurm
from soundgate.executors.slurm.scripts import FOLDER
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from soundgate.executors.slurm.client import Client, QueuedJob
    from soundgate.pipeline import Pipeline
    from soundgate.runs import Run
    from soundgate.task import Task

SUBMITTED = "jobs.json"
CANCELLED = "cancelled.txt"
LOOKS = 2
"""A job without a mark is believed to be gone once it was looked for in vain so often: files take
some seconds to be seen from another node."""

CANCELS = ("stopped by SIG", "killed by SIG", "its job was cancelled")
"""What is said of a task that was ended with the run, not by itself."""

ENDINGS = {
    "TIMEOUT": "exceeded its time limit of {hours:g} h",
    "OUT_OF_MEMORY": "killed: it used more than its {memory:g} GB (memory_gb of its Resources)",
    "NODE_FAIL": "its node failed and the job was not put back",
    "PREEMPTED": "preempted and not put back",
    "CANCELLED": "its job was cancelled",
}


@dataclass(slots=True)
class Watcher:
    """Brings a run's record up to date; remembers between looks what was missing."""

    run: Run
    pipeline: Pipeline
    client: Client
    absent: dict[str, int] = field(default_factory=dict)
    said: str = ""
    """Why the controller could not be asked the last time."""
    _ids: dict[str, str] = field(default_factory=dict)

    def look(self, record: dict[str, Any], *, ask: bool = True) -> list[str]:
        """Update ``record`` in place; return the names of the tasks that changed.

        Args:
            record: the run's record.
            ask: whether the controller is asked about what is silent; else only marks are read.
        """
        tasks: dict[str, dict[str, Any]] = record["tasks"]
        before = {name: (task["state"], task["reason"]) for name, task in tasks.items()}
        open_tasks = [name for name, task in tasks.items() if not State(task["state"]).final]
        for name in open_tasks:
            self._take_mark(tasks[name], name)
        self._skip(tasks)
        silent = [name for name in open_tasks if not State(tasks[name]["state"]).final]
        if silent and ask:
            self._ask(tasks, silent)
            self._skip(tasks)
        return [n for n, task in tasks.items() if (task["state"], task["reason"]) != before[n]]

    def ids(self) -> dict[str, str]:
        """Return Slurm's id of each submitted task, read once it is written."""
        if not self._ids:
            self._ids = task_ids(self.run)
        return self._ids

    def _take_mark(self, task: dict[str, Any], name: str) -> bool:
        """Take over a finished mark; False where there is none that is final."""
        mark = runs.read_mark(self.run.task(name))
        if mark is None or mark["run"] != self.run.id:
            return False
        if not State(mark["state"]).done and not _is_final(mark, self.pipeline.tasks[name]):
            return False
        task.update(
            state=mark["state"],
            reason=mark["reason"],
            outputs=mark["outputs"],
            duration_s=mark["duration_s"],
            attempt=mark["attempt"],
            note=last_line(self.run.log(name)),
        )
        if mark["reused_from"]:
            task["reason"] = f"unchanged since run {mark['reused_from']}"
        return True

    def _ask(self, tasks: dict[str, dict[str, Any]], silent: Iterable[str]) -> None:
        try:
            queue = self.client.queue()
        except ExecutorError as error:  # not answered is not gone
            self.said = str(error)
            return
        self.said = ""
        ids = self.ids()
        for name in silent:
            job = queue.get(ids[name]) if name in ids else None
            if name not in ids:
                continue  # not submitted yet
            tasks[name]["engine_id"] = ids[name]
            if job is not None and job.state not in slurm.ENDED:
                self.absent.pop(name, None)
                waiting = job.state in slurm.WAITING
                tasks[name]["state"] = State.PENDING if waiting else State.RUNNING
                tasks[name]["reason"] = _why(job) if waiting else ""
                continue
            self.absent[name] = self.absent.get(name, 0) + 1
            if self.absent[name] >= LOOKS and not self._take_mark(tasks[name], name):
                job = job or self.client.ask(ids[name])
                self._lost(tasks[name], self.pipeline.tasks[name], ids[name], job)

    def _lost(self, record: dict[str, Any], task: Task, job_id: str, job: QueuedJob | None) -> None:
        """A job that is over and left no mark: say what became of it."""
        if job is not None and job.state not in slurm.ENDED:
            self.absent.pop(task.name, None)
            return
        if job is not None and "Dependency" in job.reason:
            return  # what it waited for failed, and says so itself
        needs = task.resources
        if job is None:
            reason = f"lost: Slurm knows job {job_id} no more, and it left no mark"
        else:
            ending = ENDINGS.get(job.state, "ended as {state} without a finished mark")
            reason = ending.format(hours=needs.hours, memory=needs.memory_gb, state=job.state)
            reason = f"{reason} (job {job_id})"
        record.update(state=State.FAILED, reason=reason, note=self._job_log(job_id))

    def _job_log(self, job_id: str) -> str:
        found = [
            line
            for path in (self.run.folder / FOLDER).glob(f"*.{job_id}.log")
            if (line := last_line(path))
        ]
        return found[0] if found else ""

    def _skip(self, tasks: dict[str, dict[str, Any]]) -> None:
        schedule = None
        for name, record in tasks.items():
            if record["state"] != State.FAILED:
                continue
            schedule = schedule or Schedule(self.pipeline)
            for lost in schedule.lose(self.pipeline.tasks[name]):
                if not State(tasks[lost]["state"]).final:
                    tasks[lost].update(state=State.SKIPPED, reason=f"{name} failed")


def _is_final(mark: Mapping[str, Any], task: Task) -> bool:
    """Whether a failure is the last word: no further attempt follows, and no requeue."""
    if mark["exit_code"] == Stopped.exit_code:
        return False
    return bool(mark["exit_code"] == UserError.exit_code or mark["attempt"] > task.retries) or (
        not mark["argv"]
    )


def _why(job: QueuedJob) -> str:
    known = {
        "BeginTime": "put back into the queue",
        "Dependency": "waits for other tasks",
        "DependencyNeverSatisfied": "what it waits for failed",
        "JobHeldUser": "held until the whole graph is in",
        "None": "",
    }
    return known.get(job.reason, f"waits: {job.reason}")


def task_ids(run: Run) -> dict[str, str]:
    """Return Slurm's id of each submitted task: ``123``, or ``123_4`` in an array."""
    submitted = runs.read_json(run.folder / FOLDER / SUBMITTED) or {}
    found = {}
    for job in submitted.values():
        for number, element in enumerate(job["elements"]):
            label = f"{job['id']}_{number}" if job["is_array"] else job["id"]
            found.update(dict.fromkeys(element, label))
    return found


def job_ids(run: Run) -> list[str]:
    """Return the ids of the jobs and arrays that were submitted."""
    submitted = runs.read_json(run.folder / FOLDER / SUBMITTED) or {}
    return [job["id"] for job in submitted.values()]


def conclude(record: dict[str, Any], run: Run) -> bool:
    """Set the run's own state from its tasks'; return whether it is over."""
    tasks = record["tasks"]
    cancelled = run.folder / FOLDER / CANCELLED
    if cancelled.exists():
        reason = cancelled.read_text("utf-8").strip()
        for task in tasks.values():
            ended = task["state"] == State.FAILED and not task["reason"].startswith(CANCELS)
            if not (State(task["state"]).done or ended):
                task.update(state=State.CANCELLED, reason=reason)
        if not all(State(task["state"]).done for task in tasks.values()):
            record.update(state=State.CANCELLED, reason=reason)
            return _over(record)
    if not all(State(task["state"]).final for task in tasks.values()):
        record["state"] = State.RUNNING
        return False
    failed = [f"{n}: {t['reason']}" for n, t in tasks.items() if t["state"] == State.FAILED]
    done = all(State(task["state"]).done for task in tasks.values())
    record.update(state=State.SUCCEEDED if done else State.FAILED, reason="; ".join(failed))
    return _over(record)


def _over(record: dict[str, Any]) -> bool:
    if not record["ended_at"]:
        record["ended_at"] = runs.now()
        record["duration_s"] = runs.seconds_between(record["created_at"], record["ended_at"])
    return True
