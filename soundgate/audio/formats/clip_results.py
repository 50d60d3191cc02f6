"""Rows of ``predictions.jsonl``, as those read them who compare models or show clips."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.audio.clips.manifest import Identity


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What a model made of a clip of the test."""

    path: str
    """Path below the ``clips/`` folder."""
    start_s: float | None
    end_s: float | None
    source: str | None
    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: Mapping[str, float]
    """Means over patches, by class."""
    patches: int
    patches_right: int
    right: bool

    @property
    def identity(self) -> Identity:
        """What it is found by in other lists."""
        return self.path, self.start_s, self.end_s

    @property
    def group(self) -> tuple[str, str]:
        """Equal for clips of one recording; a clip without a source is as its file."""
        return ("file", self.path) if self.source is None else ("source", self.source)


def read_results(path: Path) -> Iterator[ClipResult]:
    """Yield the rows of a ``predictions.jsonl`` in their order.

    Raises:
        DataError: the file is missing or damaged.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                yield _result(json.loads(line))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}:{number}: is damaged; evaluate the model again: {error!r}"
        ) from error


def _result(row: dict[str, Any]) -> ClipResult:
    return ClipResult(
        path=row["path"],
        start_s=row.get("start_s"),
        end_s=row.get("end_s"),
        source=row["source"],
        truth=tuple(row["truth"]),
        predicted=tuple(row["predicted"]),
        scores=row["scores"],
        patches=row["patches"],
        patches_right=row["patches_correct"],
        right=row["correct"],
    )
