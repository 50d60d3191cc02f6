"""A job before it is written as a step of the definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.task import SMALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.base import OpenArgument
    from soundgate.executors.sagemaker.rendering.joins import Mount
    from soundgate.task import Resources, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One container, independent of the kind of job that runs it."""

    name: str
    kind: str
    words: Sequence[str | OpenArgument]
    """The command: ``python -m steps.X`` and its arguments."""
    mounts: Sequence[Mount]
    outputs: Sequence[str]
    after: Sequence[str] = ()
    """Other steps that it waits for."""
    resources: Resources = SMALL
    cached: bool = True
    task: Task | None = None
    """The task; None for a job that only the engine needs."""
