"""``history.jsonl`` of a training: a row an epoch (or a round), each figure by its name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from soundgate.audio.formats.record import read_lines

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.formats.record import JsonObject

HISTORY: Final = "history.jsonl"


def read_history(folder: Path) -> list[dict[str, float]]:
    """The rows in their order; none where the training left no history.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / HISTORY
    if not path.exists():
        return []
    return list(read_lines(path, _numbers, remedy="train the model again"))


def _numbers(row: JsonObject) -> dict[str, float]:
    """The finite numbers of a row: what cannot be drawn is left out."""
    numbers = {key: value for key, value in row.items() if isinstance(value, int | float)}
    return {key: value for key, value in numbers.items() if math.isfinite(value)}
