"""What happens to the record of a run that an engine executes, whichever engine it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.run_record import RunRecord, TaskRecord
    from soundgate.runs import Run

SAVE_INTERVAL_S = 0.25
SAVE_SHARE = 0.05  # of the time goes to writing run.json, which grows with the number of tasks

NOTHING = "nothing was submitted"


def end(record: RunRecord, state: State, reason: str) -> None:
    """Note in what state a run ended, now."""
    ended_at = runs.now()
    took_s = runs.seconds_between(record["created_at"], ended_at)
    record.update({"state": state, "reason": reason, "ended_at": ended_at, "duration_s": took_s})


def refuse(run: Run, record: RunRecord, reason: str, state: State = State.FAILED) -> None:
    """Note that nothing reached the engine, or no more than what is done already."""
    for task in record["tasks"].values():
        if not State(task["state"]).final:
            task.update({"state": State.SKIPPED, "reason": NOTHING})
    end(record, state, f"{NOTHING}: {reason}")
    run.write(record)


def require_running(run: Run, record: RunRecord) -> None:
    """Refuse to stop what does not run.

    Raises:
        ParameterError: it has ended, or has not begun.
    """
    if record["state"] != State.RUNNING:
        raise ParameterError(f"run {run.id} is not running: its state is {record['state']}")


@dataclass(slots=True)
class KeptRecord:
    """A run's record while it changes; written now and then, because marks are the truth."""

    values: RunRecord
    write: Callable[[RunRecord], None] | None
    """Writes it whole; None where it belongs to another process."""
    _next_s: float = 0.0
    _unsaved: bool = False

    @property
    def tasks(self) -> dict[str, TaskRecord]:
        """The record of each task."""
        return self.values["tasks"]

    def change(self, name: str, state: State, *, reason: str, note: str | None = None) -> None:
        """Note what became of a task; without a note the last one stays."""
        self.tasks[name].update({"state": state, "reason": reason})
        if note is not None:
            self.tasks[name]["note"] = note
        self._unsaved = True
        self.save()

    def save(self, *, force: bool = False) -> None:
        """Write it, not more often than a person could read it."""
        began = time.monotonic()
        if self.write is None or not (force or (self._unsaved and began >= self._next_s)):
            return
        self.write(self.values)
        self._unsaved = False
        ended = time.monotonic()
        self._next_s = ended + max(SAVE_INTERVAL_S, (ended - began) / SAVE_SHARE)

    def conclude(self, stopped: str) -> list[str]:
        """Give the run its state from its tasks'; return the tasks that this cancels.

        Args:
            stopped: why the run was stopped; empty where it came to its end.
        """
        states = {task["state"] for task in self.tasks.values()}
        cancelled: list[str] = []
        if states <= {State.SUCCEEDED, State.REUSED}:
            self.values.update({"state": State.SUCCEEDED, "reason": ""})
        elif stopped:
            cancelled = [n for n, t in self.tasks.items() if not State(t["state"]).final]
            for name in cancelled:
                self.tasks[name].update({"state": State.CANCELLED, "reason": stopped})
            self.values.update({"state": State.CANCELLED, "reason": stopped})
        else:
            failed = [n for n, task in self.tasks.items() if task["state"] == State.FAILED]
            reasons = [f"{name}: {self.tasks[name]['reason']}" for name in failed]
            self.values.update({"state": State.FAILED, "reason": "; ".join(reasons)})
        return cancelled
