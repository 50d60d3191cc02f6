"""Waiting for a run that an engine executes: shows what happens, bears silence, ends it in time."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from soundgate.errors import ExecutorError, SoundgateError
from soundgate.executors.display import Display, FailureLogs, display
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.base import Submission
    from soundgate.executors.pace import Pace
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

SHORTEST_REST_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look found."""

    changed: Sequence[str]
    """Tasks whose state is another than before."""
    said: str = ""
    """What is unusual: nobody answers, the run is paused."""
    asked: bool = True
    """Whether the engine was asked, and not only a file looked at."""
    unsettled: bool = False
    """Whether the engine should be asked again soon."""


class Watched(Protocol):
    """A run at an engine."""

    @property
    def greeting(self) -> str:
        """Said first: where else it can be looked at; empty where nowhere."""

    @property
    def goes_on(self) -> str:
        """Said when nobody waits any longer: "the jobs go on"."""

    @property
    def is_usual(self) -> str:
        """Said when nothing is unusual any longer: "the controller answers again"."""

    def look(self, record: RunRecord, *, due: bool) -> Seen:
        """Bring the record up to date; ask the engine only where that is ``due``."""

    def end(self, record: RunRecord, reason: str) -> None:
        """Ask the engine to end it.

        Raises:
            ExecutorError: it refuses, or does not answer.
        """

    def last_lines(self, record: RunRecord, task: str) -> tuple[Sequence[str], str]:
        """Return the end of a task's log, and where all of it is."""

    def rest_s(self, record: RunRecord) -> float | None:
        """How long to rest between looks; None: until the engine may be asked again."""


def wait(
    watched: Watched, run: Run, record: RunRecord, submission: Submission, pace: Pace
) -> RunRecord:
    """Look again and again, ever less often while nothing happens, until the run is over.

    Raises:
        SoundgateError: the engine does not want to be asked; the run goes on.
    """
    shown = display(record["tasks"], sys.stderr if submission.quiet else sys.stdout)
    logs = FailureLogs(shown)
    told = refused = ""
    limit_s = submission.timeout_s
    end_s = None if limit_s is None else time.monotonic() + limit_s
    if watched.greeting:
        shown.say(watched.greeting)
    try:
        while True:
            seen = watched.look(record, due=pace.is_due())
            _show(watched, record, seen.changed, shown, logs)
            over = State(record["state"]).final
            if seen.changed or over:
                run.write(record)
            if over:
                return record
            if seen.said != told:
                told = seen.said
                shown.say(told or watched.is_usual)
            if end_s is not None and time.monotonic() >= end_s:
                before, refused = refused, _ended(watched, record, limit_s)
                if refused and refused != before:
                    shown.say(refused)
                end_s = end_s if refused else None
            pace.went_on(asked=seen.asked, happened=bool(seen.changed) or seen.unsettled)
            time.sleep(_rest_s(watched.rest_s(record), pace, end_s))
    except KeyboardInterrupt:
        shown.say(f"{watched.goes_on}; watch it with: show-run {run.id}")
        shown.say(f"end it with: cancel-run {run.id}")
        raise
    except SoundgateError as error:
        goes_on = f"{error}; {watched.goes_on}: watch it with show-run {run.id}"
        error.args = (goes_on, *error.args[1:])
        raise
    finally:
        shown.close()


def _show(
    watched: Watched,
    record: RunRecord,
    changed: Sequence[str],
    shown: Display,
    logs: FailureLogs,
) -> None:
    for name in changed:
        shown.update(name, record["tasks"][name])
        if record["tasks"][name]["state"] == State.FAILED:
            lines, whole = watched.last_lines(record, name)
            logs.show(name, record["tasks"][name]["reason"], lines, whole)


def _ended(watched: Watched, record: RunRecord, limit_s: float | None) -> str:
    """End a run that took too long; return why that was refused: it is tried again then."""
    try:
        watched.end(record, f"the run exceeded --timeout {limit_s:g} s")
    except ExecutorError as error:
        return str(error)
    return ""


def _rest_s(own_s: float | None, pace: Pace, end_s: float | None) -> float:
    rest_s = pace.left_s() if own_s is None else own_s
    left_s = end_s - time.monotonic() if end_s is not None else 0.0
    if left_s > 0:
        rest_s = min(rest_s, left_s)
    return max(SHORTEST_REST_S, rest_s)
