"""The marks that tasks and jobs leave in a run's folder, and which of them are final."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from soundgate import runs
from soundgate.errors import Stopped, UserError
from soundgate.runs import State

if TYPE_CHECKING:
    from soundgate.executors.slurm.job_description import JobDescription
    from soundgate.run_record import TaskMark
    from soundgate.runs import Run
    from soundgate.task import Task

FOLDER = "slurm"
"""Folder in the run's folder: scripts, job logs, job descriptions for workers."""
RESTARTS = "restarts"
STOPPED = frozenset({Stopped.exit_code, 128 + signal.SIGTERM, -signal.SIGTERM})
"""Exit codes of tasks that were asked to stop; only Slurm knows whether their job starts again."""


def is_done(run: Run, task: str) -> bool:
    """Whether a task's outputs exist."""
    mark = runs.read_mark(run.task(task))
    return mark is not None and State(mark["state"]).done


def is_final(mark: TaskMark, task: Task) -> bool:
    """Whether a failure is final: no further attempt and no other start of the job follows."""
    if mark["exit_code"] in STOPPED:
        return False
    # without a command it was not the task that wrote the mark: its job could not start it
    last = mark["attempt"] > task.retries or not mark["argv"]
    return last or mark["exit_code"] == UserError.exit_code


def has_failed(run: Run, task: Task) -> bool:
    """Whether a task of this run has a final failure."""
    mark = runs.read_mark(run.task(task.name))
    if mark is None or mark["run"] != run.id or State(mark["state"]).done:
        return False
    return is_final(mark, task)


def write_failure(description: JobDescription, task: str, reason: str, job_id: str) -> None:
    """Write a failed mark for a task that could not write its own."""
    context = runs.Context(task=task, run=description.run.id, pipeline=description.run.pipeline)
    context = replace(context, commit=description.commit)
    values = {"state": State.FAILED, "reason": reason, "exit_code": 1, "engine_id": job_id}
    at = runs.now()
    runs.write_mark(
        description.run.task(task),
        context,
        **values,
        argv=[],
        started_at=at,
        ended_at=at,
        duration_s=0.0,
    )


def note_start(run: Run, task: str, start: int, most: int) -> None:
    """Record which start of its job a task is in, from the second on."""
    value = {"start": start, "most": most}
    runs.write_json(run.folder / FOLDER / RESTARTS / f"{task}.json", value)


def restarted(run: Run) -> frozenset[str]:
    """Return the names of the tasks whose job was requeued."""
    try:
        found = os.listdir(run.folder / FOLDER / RESTARTS)  # noqa: PTH208 - once a look
    except FileNotFoundError:
        return frozenset()
    return frozenset(name.removesuffix(".json") for name in found if not name.startswith("."))


def start_of(run: Run, task: str) -> tuple[int, int]:
    """Return which start of its job a restarted task is in, and the maximum number of starts."""
    value = runs.read_json(run.folder / FOLDER / RESTARTS / f"{task}.json") or {}
    return value.get("start", 1), value.get("most", 1)


def forget_starts(run: Run) -> None:
    """Reset the count, because new jobs follow."""
    shutil.rmtree(run.folder / FOLDER / RESTARTS, ignore_errors=True)
