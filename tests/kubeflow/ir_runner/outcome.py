"""What came of a run: a state for every task and everything it left."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ir_runner.artifacts import Artifact


class State(StrEnum):
    """The state of a task or of a run."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CACHED = "CACHED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"  # its condition is false, or something before it did not succeed
    CANCELED = "CANCELED"

    @property
    def done(self) -> bool:
        """Whether its outputs are there."""
        return self in (State.SUCCEEDED, State.CACHED)


@dataclass
class Task:
    """One task of a run; an item of a loop is one too (``loop[0]``), and so is a sub-pipeline."""

    path: str
    """Where it stands, ``for-loop-1[0]/train``; unique in a run."""
    name: str
    kind: str = "container"  # "container" | "importer" | "dag"
    state: State = State.PENDING
    reason: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    artifacts: dict[str, Artifact | list[Artifact]] = field(default_factory=dict)
    image: str = ""
    argv: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    retries: int = 0
    """Further attempts its policy allows."""
    attempts: int = 0
    """Pods that were made."""
    failures: list[str] = field(default_factory=list)
    """Why each attempt failed."""
    backoffs_s: list[float] = field(default_factory=list)
    gave_up: str = ""
    """Why it was not tried as often as its policy allows."""
    exit_code: int | None = None
    logs: list[Path] = field(default_factory=list)
    """What each attempt printed."""
    started_at: float = 0.0
    ended_at: float = 0.0

    def log_text(self) -> str:
        """Return what the last attempt printed."""
        made = [log for log in self.logs if log.exists()]
        return made[-1].read_text("utf-8", "replace") if made else ""


@dataclass
class Outcome:
    """A run."""

    run_id: str
    state: State
    tasks: dict[str, Task]
    """By path, in the order in which they were considered."""
    parameters: dict[str, Any]
    artifacts: dict[str, Any]

    @property
    def states(self) -> dict[str, State]:
        """The state of every task."""
        return {path: task.state for path, task in self.tasks.items()}

    @property
    def executed(self) -> list[str]:
        """Tasks that had a pod, in order of time."""
        ran = [task for task in self.tasks.values() if task.attempts]
        return [task.path for task in sorted(ran, key=lambda task: task.started_at)]

    def report(self) -> str:
        """Return what a person wants to see of a run that went wrong."""
        lines = [f"run {self.run_id}: {self.state}"]
        for task in self.tasks.values():
            lines.append(f"  {task.path}: {task.state} {task.reason}".rstrip())
            if task.state == State.FAILED:
                lines += [f"    | {line}" for line in task.log_text().splitlines()[-15:]]
        return "\n".join(lines)
