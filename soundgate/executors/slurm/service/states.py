"""Determines the state of a run: from finished marks, and from the controller for silent tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate import runs
from soundgate.errors import ExecutorError
from soundgate.executors.logs import last_line
from soundgate.executors.running.schedule import Schedule
from soundgate.executors.slurm import marks
from soundgate.executors.slurm.marks import FOLDER
from soundgate.executors.slurm.service import client as slurm
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from soundgate.executors.slurm.service.client import Client, QueuedJob
    from soundgate.pipeline import Pipeline
    from soundgate.run_record import RunRecord, TaskMark, TaskRecord
    from soundgate.runs import Run
    from soundgate.task import Task

SUBMITTED = "jobs.json"
CANCELLED = "cancelled.txt"
LOOKS = 2
"""How many polls must miss a job without a mark before it counts as lost: another node's files can
take seconds to become visible."""

CANCELS = ("stopped by SIG", "killed by SIG", "its job was cancelled")
"""Reasons of tasks that ended because the run was cancelled."""

ENDINGS = {
    "TIMEOUT": "exceeded its time limit of {hours:g} h",
    "OUT_OF_MEMORY": "killed: it used more than its {memory:g} GB (memory_gb of its Resources)",
    "NODE_FAIL": "its node failed and the job was not put back",
    "PREEMPTED": "preempted and not put back",
    "CANCELLED": "its job was cancelled",
}


@dataclass(slots=True)
class Watcher:
    """Updates a run's record; remembers between polls which jobs were missing."""

    run: Run
    pipeline: Pipeline
    client: Client
    absent: dict[str, int] = field(default_factory=dict)
    said: str = ""
    """Why the last query to the controller failed."""
    asked: bool = False
    """Whether this poll queried the controller."""
    puzzled: bool = False
    """Whether this poll found something that the controller or another poll can explain: a task
    that was stopped, a job that is missing."""
    _ids: dict[str, str] = field(default_factory=dict)
    _restarted: frozenset[str] = frozenset()
    _unfinished: dict[str, tuple[int, str, int]] = field(default_factory=dict)

    def look(self, record: RunRecord, *, ask: bool = True) -> list[str]:
        """Update ``record`` in place; return the names of the tasks that changed.

        Args:
            record: the run's record.
            ask: whether to query the controller about silent tasks; otherwise only marks are read.
        """
        tasks = record["tasks"]
        self.asked = self.puzzled = False
        self._restarted = marks.restarted(self.run)
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
        """Return Slurm's id of each submitted task, read from disk once."""
        if not self._ids:
            self._ids = task_ids(self.run)
        return self._ids

    def _take_mark(self, task: TaskRecord, name: str) -> bool:
        """Copy a finished mark into the record; False if there is no final one."""
        mark = runs.read_mark(self.run.task(name))
        if mark is None or mark["run"] != self.run.id:
            return False
        if not State(mark["state"]).done and not marks.is_final(mark, self.pipeline.tasks[name]):
            self.puzzled = self.puzzled or self._is_news(name, mark)
            return False
        task.update(
            {
                "state": mark["state"],
                "reason": mark["reason"],
                "outputs": mark["outputs"],
                "duration_s": mark["duration_s"],
                "attempt": mark["attempt"],
                "note": last_line(self.run.log(name)),
            }
        )
        if mark["reused_from"]:
            task["reason"] = f"unchanged since run {mark['reused_from']}"
        elif name in self._restarted and State(mark["state"]).done:
            task["reason"] = f"took {marks.start_of(self.run, name)[0]} starts of its job"
        return True

    def _is_news(self, name: str, mark: TaskMark) -> bool:
        """Whether an unfinished task has a new mark."""
        by = (mark["attempt"], mark["host"], mark["pid"])
        known, self._unfinished[name] = self._unfinished.get(name), by
        return known != by

    def _ask(self, tasks: dict[str, TaskRecord], silent: Iterable[str]) -> None:
        self.asked = True
        try:
            queue = self.client.queue()
        except ExecutorError as error:  # a missing answer does not mean that jobs are gone
            self.said = str(error)
            return
        self.said = ""
        ids = self.ids()
        asked: dict[str, dict[str, QueuedJob]] = {}  # one query per array, not per element
        for name in silent:
            job = queue.get(ids[name]) if name in ids else None
            if name not in ids:
                continue  # not submitted yet
            tasks[name]["engine_id"] = ids[name]
            if job is not None and job.state not in slurm.ENDED:
                self.absent.pop(name, None)
                waiting = job.state in slurm.WAITING
                tasks[name]["state"] = State.PENDING if waiting else State.RUNNING
                tasks[name]["reason"] = _why(job) if waiting else self._which_start(name)
                continue
            if not self._has_inputs(name, tasks):
                continue  # it was skipped, or its inputs are about to be seen
            self.absent[name] = self.absent.get(name, 0) + 1
            self.puzzled = self.puzzled or self.absent[name] < LOOKS
            if self.absent[name] >= LOOKS and not self._take_mark(tasks[name], name):
                whole = ids[name].partition("_")[0]
                if job is None and whole not in asked:
                    asked[whole] = self.client.ask(whole)
                job = job or asked[whole].get(ids[name])
                self._lost(tasks[name], self.pipeline.tasks[name], ids[name], job)

    def _has_inputs(self, name: str, tasks: dict[str, TaskRecord]) -> bool:
        """Whether all that a task needs is known to be done; else its job ends without a mark."""
        return all(State(tasks[n]["state"]).done for n in self.pipeline.tasks[name].depends_on)

    def _lost(self, record: TaskRecord, task: Task, job_id: str, job: QueuedJob | None) -> None:
        """Describe what happened to a job that ended without a mark."""
        if job is not None and job.state not in slurm.ENDED:
            self.absent.pop(task.name, None)
            return
        if job is not None and "Dependency" in job.reason:
            return  # the job it depended on failed and has its own reason
        note = self._job_log(job_id)
        if job is None:
            reason = f"lost: Slurm knows job {job_id} no more, and it left no mark"
        elif job.state in ENDINGS:
            limits = {"hours": task.resources.hours, "memory": task.resources.memory_gb}
            reason = f"{ENDINGS[job.state].format(**limits)} (job {job_id})"
        elif said := self._said(task):
            reason = f"{said} (job {job_id})"
        else:
            reason = f"job {job_id} ended as {job.state} without a finished mark"
            reason = f"{reason}: {note}" if note else reason
        record.update({"state": State.FAILED, "reason": reason, "note": note})

    def _said(self, task: Task) -> str:
        """Return the reason of a task that was stopped although the controller reports no cause."""
        mark = runs.read_mark(self.run.task(task.name))
        return mark["reason"] if mark is not None and mark["run"] == self.run.id else ""

    def _which_start(self, name: str) -> str:
        """Return the note of a running task whose job was requeued."""
        if name not in self._restarted:
            return ""
        start, most = marks.start_of(self.run, name)
        return f"start {start} of at most {most}"

    def _job_log(self, job_id: str) -> str:
        found = [
            line
            for path in (self.run.folder / FOLDER).glob(f"*.{job_id}.log")
            if (line := last_line(path))
        ]
        return found[0] if found else ""

    def _skip(self, tasks: dict[str, TaskRecord]) -> None:
        schedule = None
        for name, record in tasks.items():
            if record["state"] != State.FAILED:
                continue
            schedule = schedule or Schedule(self.pipeline)
            for lost in schedule.lose(self.pipeline.tasks[name]):
                if not State(tasks[lost]["state"]).final:
                    tasks[lost].update({"state": State.SKIPPED, "reason": f"{name} failed"})


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
    """Return the ids of all submitted jobs and arrays."""
    submitted = runs.read_json(run.folder / FOLDER / SUBMITTED) or {}
    return [job["id"] for job in submitted.values()]


def conclude(record: RunRecord, run: Run) -> bool:
    """Set the run's state from the states of its tasks; return whether it has ended."""
    tasks = record["tasks"]
    cancelled = run.folder / FOLDER / CANCELLED
    if cancelled.exists():
        reason = cancelled.read_text("utf-8").strip()
        for task in tasks.values():
            ended = task["state"] == State.FAILED and not task["reason"].startswith(CANCELS)
            if not (State(task["state"]).done or ended):
                task.update({"state": State.CANCELLED, "reason": reason})
        if not all(State(task["state"]).done for task in tasks.values()):
            record.update({"state": State.CANCELLED, "reason": reason})
            return _over(record)
    if not all(State(task["state"]).final for task in tasks.values()):
        record["state"] = State.RUNNING
        return False
    failed = [f"{n}: {t['reason']}" for n, t in tasks.items() if t["state"] == State.FAILED]
    done = all(State(task["state"]).done for task in tasks.values())
    record.update({"state": State.SUCCEEDED if done else State.FAILED, "reason": "; ".join(failed)})
    return _over(record)


def _over(record: RunRecord) -> bool:
    if not record["ended_at"]:
        ended_at = runs.now()
        took_s = runs.seconds_between(record["created_at"], ended_at)
        record.update({"ended_at": ended_at, "duration_s": took_s})
    return True
