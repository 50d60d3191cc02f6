"""The fields of ``run.json`` and ``task.json``; ``docs/schemas/`` has them as JSON Schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class OutputRecord(TypedDict):
    """What is known of an output: of the lines that `sha256sum` prints for its files."""

    digest: str
    bytes: int
    files: int


class TaskMark(TypedDict):
    """``task.json``: a task's finished mark, written last."""

    format: str
    task: str
    run: str
    pipeline: str
    commit: str
    key: str
    """What decides about reuse; empty where an engine decides."""
    attempt: int
    """From 1; 0 where the result was reused."""
    state: str
    """A ``State``."""
    reason: str
    """Why it failed; else empty."""
    argv: Sequence[str]
    """Empty where the task could not write its mark itself."""
    exit_code: int
    """Negative for a signal."""
    started_at: str
    ended_at: str
    duration_s: float
    cpu_s: NotRequired[float]
    max_rss_bytes: NotRequired[int]
    early: NotRequired[str]
    """Why the result is not that of an undisturbed task: such a result is not reused."""
    host: str
    pid: int
    engine_id: str
    outputs: Mapping[str, OutputRecord]
    reused_from: str | None
    """The run that computed it."""


class TaskRecord(TypedDict):
    """A task in ``run.json``."""

    state: str
    """A ``State``."""
    module: str
    depends_on: Sequence[str]
    group: str
    """The map that it is an item of; else empty."""
    item: dict[str, Any]
    """Its values on the map's axes."""
    reason: str
    """Why it runs, was reused, failed or was skipped."""
    duration_s: float | None
    attempt: int
    started_at: NotRequired[str]
    engine_id: str
    outputs: Mapping[str, OutputRecord]
    note: str
    """The last line of its log."""


class RunRecord(TypedDict):
    """``run.json``: one execution of a pipeline."""

    format: str
    run: str
    pipeline: str
    state: str
    """A ``State``."""
    reason: str
    """Why it did not succeed; else empty."""
    created_at: str
    ended_at: str | None
    duration_s: float | None
    """Of the last start, where it was resumed."""
    exit_signal: NotRequired[int]
    """The signal that stopped it, 0 where none did."""
    executor: str
    engine_id: str
    host: str
    commit: str
    parameters: dict[str, Any]
    invocation: dict[str, Any]
    """What was typed; ``--resume`` starts from it."""
    tasks: dict[str, TaskRecord]
