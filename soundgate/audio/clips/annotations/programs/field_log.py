"""Logs of Syrinx and PAMlab: tab separated, ``fieldkey:`` before the names, ``an:`` before a row.

PAMlab, whose rows also state the sampling rate, counts channels from 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.cells import find_columns
from soundgate.audio.clips.annotations.text import read_text
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event

KEY, ROW = "fieldkey:", "an:"
RATE = "Sampling freq (Hz)"


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is such a log."""
    return bool(lines) and lines[0].startswith(KEY)


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a log.

    Args:
        path: the file.
        columns: field to column, where the name does not tell: ``{"label": "Call type"}``.

    Raises:
        DataError: it cannot be read, names no columns, or has an impossible event.
    """
    events: list[Event] = []
    found = None
    for number, line in enumerate(read_text(path).split("\n"), 1):
        kind, *cells = line.split("\t")
        if kind == KEY:
            found = find_columns(path, cells, columns)
        elif kind == ROW:
            if found is None:
                raise DataError(f"{path}:{number}: has no line '{KEY}' before it")
            event = found.event(cells, number)
            if RATE in found.header and event.channel is not None:
                event = replace(event, channel=event.channel + 1)
            events.append(event)
    return events
