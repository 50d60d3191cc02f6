"""What happens to the record of a run that an engine executes, whichever engine it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.runs import State

if TYPE_CHECKING:
    from soundgate.runs import Run

NOTHING = "nothing was submitted"


def end(record: dict[str, Any], state: State, reason: str) -> None:
    """Note in what state a run ended, now."""
    record.update(state=state, reason=reason, ended_at=runs.now())
    record["duration_s"] = runs.seconds_between(record["created_at"], record["ended_at"])


def refuse(run: Run, record: dict[str, Any], reason: str, state: State = State.FAILED) -> None:
    """Note that nothing reached the engine, or no more than what is done already."""
    for task in record["tasks"].values():
        if not State(task["state"]).final:
            task.update(state=State.SKIPPED, reason=NOTHING)
    end(record, state, f"{NOTHING}: {reason}")
    run.write(record)


def require_running(run: Run, record: dict[str, Any]) -> None:
    """Refuse to stop what does not run.

    Raises:
        ParameterError: it has ended, or has not begun.
    """
    if record["state"] != State.RUNNING:
        raise ParameterError(f"run {run.id} is not running: its state is {record['state']}")
