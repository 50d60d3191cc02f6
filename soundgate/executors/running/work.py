"""What a runner is to do, and one attempt to do a task of it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from soundgate import runs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.executors.reuse import Digests
    from soundgate.executors.running.machine import Share
    from soundgate.pipeline import Pipeline, Task
    from soundgate.reuse.cache import Components
    from soundgate.reuse.snapshot import Snapshot
    from soundgate.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a runner is to do: the tasks of one run, as they were rendered."""

    pipeline: Pipeline
    run: Run
    commands: Mapping[str, Sequence[str]]
    """``python -m steps.NAME ...`` by task."""
    digests: Digests
    """Of what no task of these writes; what they write is added."""
    use_cache: bool = True
    quiet: bool = False
    """Progress goes to standard error, the result alone to standard output."""

    def context(self, task: Task, key: str, commit: str) -> runs.Context:
        """Return what a process of a task is told; ``Attempt.context`` adds what is the attempt's.

        Args:
            task: one of these.
            key: of its result.
            commit: of the project.
        """
        folder = self.run.task(task.name).absolute()
        return runs.Context(
            task=task.name,
            task_folder=str(folder),
            run=self.run.id,
            pipeline=self.pipeline.name,
            commit=commit,
            key=key,
            attempt="0",
            root=str(self.run.root.absolute()),
            cpus="0",
            failure=str(folder / "failure.txt"),
        )


@dataclass(slots=True)
class Attempt:
    """One process of a task."""

    number: int
    share: Share
    key: str
    components: Components
    seen: Snapshot
    """What it reads, as it was at the start."""
    started: float
    deadline: float
    log_start: int
    """Bytes that earlier attempts left in the log."""
    asked_to_stop: float | None = None
    killed: float | None = None
    """When it was sent SIGKILL for the first time."""
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    """Tells its folders from those of every other attempt, also of an earlier runner."""

    @classmethod
    def begin(
        cls,
        task: Task,
        share: Share,
        number: int,
        key: str,
        made_of: tuple[Components, Snapshot],
        log: Path,
    ) -> Self:
        """Begin an attempt now."""
        now = time.monotonic()
        return cls(
            number=number,
            share=share,
            key=key,
            components=made_of[0],
            seen=made_of[1],
            started=now,
            deadline=now + task.resources.hours * 3600,
            log_start=log.stat().st_size if log.exists() else 0,
        )

    def context(self, of_task: runs.Context) -> runs.Context:
        """Return what its process is told: of the task, and which attempt this is."""
        number, cpus = str(self.number), str(self.share.cpus)
        return replace(of_task, attempt=number, cpus=cpus, token=self.token)
