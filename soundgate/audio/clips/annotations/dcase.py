"""Tables of the DCASE challenges on sound event detection, tab separated with a header.

    strong list   filename onset offset event_label [confidence] [threshold]
    weak list     filename event_labels            labels of a clip, with commas between them
    durations     filename duration
    scores        onset offset CLASS CLASS ...     a file a clip, a row a frame

In a strong list a clip without events has a row with empty cells. A clip is its file's name without
the ending ``.wav``, because lists of scores have none.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.cells import find_columns, to_number
from soundgate.audio.clips.annotations.delimited import delimiter_of
from soundgate.audio.clips.annotations.event import Event, file_name
from soundgate.audio.clips.annotations.text import read_rows, read_text, shortest, write_text
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ENDINGS: Final = (".wav", ".flac", ".mp3", ".ogg", ".m4a")
_SAME_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class StrongList:
    """Events, and every clip that the list names."""

    clips: tuple[str, ...]
    events: tuple[Event, ...]
    """Their ``file`` is the clip, ``score`` the confidence, if there is one."""
    thresholds: tuple[float, ...]
    """Of each event, where the list has this column; else empty."""
    has_confidence: bool


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Scores of the frames of a clip."""

    classes: tuple[str, ...]
    edges_s: NDArray[np.float64]
    """Where frames begin and the last one ends, (frame + 1,)."""
    scores: NDArray[np.float64]
    """(frame, class); -inf where nothing is detected at any threshold."""


@functools.lru_cache(maxsize=1 << 16)  # a list names each file many times
def clip_name(file: str) -> str:
    """The clip of a file's name.

    >>> clip_name("audio/Y1_0.000_10.000.wav"), clip_name("Y1_0.000_10.000")
    ('Y1_0.000_10.000', 'Y1_0.000_10.000')
    """
    name = file_name(file)
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def read_strong(path: Path) -> StrongList:
    """Read a strong list.

    Raises:
        DataError: it cannot be read, has no column for times, files or classes, or a wrong row.
    """
    header, rows = _table(path)
    columns = find_columns(path, header)
    for name, meant in (("file", "filename"), ("label", "event_label")):
        if name not in columns.places:
            raise DataError(f"{path}: has no column {meant!r}{nearest(meant, header)}")
    has_threshold = "threshold" in header
    clips: dict[str, None] = {}
    events, thresholds = [], []
    for line, cells in rows:
        file = columns.text(cells, "file")
        if not file:
            raise DataError(f"{path}:{line}: names no file in column 'filename'")
        clip = clip_name(file)
        clips[clip] = None
        if not any(columns.text(cells, name) for name in ("start_s", "end_s", "label")):
            continue
        event = replace(columns.event(cells, line), file=clip)
        if not event.label.strip():
            raise DataError(f"{path}:{line}: names no class in column 'event_label'")
        events.append(event)
        if has_threshold:
            cell = dict(event.columns).get("threshold", "")
            thresholds.append(to_number(cell, f"{path}:{line}", "threshold"))
    return StrongList(
        tuple(clips), tuple(events), tuple(thresholds), has_confidence="score" in columns.places
    )


def read_weak(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a weak list: the labels of each clip, none for an empty cell.

    Raises:
        DataError: it cannot be read, lacks a column, or names a clip twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for where, file, cell in _two_columns(path, "event_labels"):
        labels = tuple(dict.fromkeys(part.strip() for part in cell.split(",") if part.strip()))
        if found.setdefault(clip_name(file), labels) is not labels:
            raise DataError(f"{where}: names {file} a second time")
    return found


def read_durations(path: Path) -> dict[str, float]:
    """Read the seconds of each clip.

    Raises:
        DataError: it cannot be read, lacks a column, or a duration is wrong or given twice.
    """
    found: dict[str, float] = {}
    for where, file, cell in _two_columns(path, "duration"):
        seconds = to_number(cell, where, "duration")
        if seconds <= 0:
            raise DataError(f"{where}: {file} lasts {seconds:g} s; a duration is above 0")
        if found.setdefault(clip_name(file), seconds) != seconds:
            raise DataError(f"{where}: {file} lasts {seconds:g} s here, but another time above")
    return found


def read_scores(path: Path) -> ScoreTable:
    """Read the scores of a clip.

    Raises:
        DataError: it cannot be read, or a frame is no number or does not follow the one before.
    """
    lines = read_text(path).rstrip("\n").split("\n")
    header = [cell.strip() for cell in lines[0].split("\t")]
    if [name.lower() for name in header[:2]] != ["onset", "offset"] or len(header) < 3:
        raise DataError(f"{path}: its columns are not onset, offset and classes")
    if len(set(header)) < len(header):
        raise DataError(f"{path}: two columns have one name")
    values = _numbers(path, lines, len(header))
    times = values[:, :2]
    if np.isnan(values).any() or not np.isfinite(times).all() or (values == math.inf).any():
        line = 2 + int(np.argmax(~np.isfinite(values).all(axis=1)))
        raise DataError(f"{path}:{line}: a time or score is not a number")
    if (times[:, 1] <= times[:, 0]).any() or (abs(times[1:, 0] - times[:-1, 1]) > _SAME_S).any():
        raise DataError(f"{path}: frames do not follow one another without gaps")
    edges = np.append(times[:, 0], times[-1, 1])
    return ScoreTable(tuple(header[2:]), edges, values[:, 2:])


def _numbers(path: Path, lines: Sequence[str], columns: int) -> NDArray[np.float64]:
    """The rows below the header, float64 (frame, column)."""
    if len(lines) < 2:
        raise DataError(f"{path}: has no frames")
    try:
        values = np.loadtxt(io.StringIO("\n".join(lines[1:])), delimiter="\t", ndmin=2)
        if values.shape[1] == columns:
            return values
    except ValueError:
        pass
    for line, text in enumerate(lines[1:], 2):
        cells = text.split("\t")
        if len(cells) != columns:
            raise DataError(f"{path}:{line}: has {len(cells)} cells, the header {columns}")
        for cell in cells:
            try:
                float(cell)
            except ValueError:
                raise DataError(f"{path}:{line}: {cell!r} is not a number") from None
    raise DataError(f"{path}: is not a table of numbers")


def write_scores(path: Path, table: ScoreTable) -> None:
    """Write the scores of a clip so that :func:`read_scores` gives the same numbers."""
    rows = ["\t".join(("onset", "offset", *table.classes))]
    times = [shortest(edge) for edge in table.edges_s.tolist()]
    for at, scores in enumerate(table.scores.tolist()):
        rows.append("\t".join((times[at], times[at + 1], *map(repr, scores))))
    write_text(path, "\n".join(rows) + "\n")


def write_strong(path: Path, events: Sequence[Event], clips: Sequence[str] = ()) -> None:
    """Write a strong list, with a confidence if every event has one.

    Args:
        path: the list.
        events: their ``file`` is the clip.
        clips: every clip; one without events gets a row with empty cells.
    """
    scored = bool(events) and all(event.score is not None for event in events)
    rows = [["filename", "onset", "offset", "event_label", *(["confidence"] if scored else [])]]
    for event in events:
        confidence = [shortest(event.score)] if scored and event.score is not None else []
        times = (shortest(event.start_s), shortest(event.end_s))
        rows.append([f"{event.file}.wav", *times, event.label, *confidence])
    named = {event.file for event in events}
    empty = ["" for _ in rows[0][1:]]
    rows += [[f"{clip}.wav", *empty] for clip in clips if clip not in named]
    write_text(path, "".join("\t".join(row) + "\n" for row in rows))


def _two_columns(path: Path, second: str) -> list[tuple[str, str, str]]:
    """File and line, ``filename`` and another cell of each row."""
    header, rows = _table(path)
    for name in ("filename", second):
        if name not in header:
            raise DataError(f"{path}: has no column {name!r}{nearest(name, header)}")
    places = [header.index(name) for name in ("filename", second)]
    found = []
    for line, cells in rows:
        file, cell = (cells[at].strip() if at < len(cells) else "" for at in places)
        if not file:
            raise DataError(f"{path}:{line}: names no file in column 'filename'")
        found.append((f"{path}:{line}", file, cell))
    return found


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the rows below it with the numbers of their lines."""
    rows = list(read_rows(path, delimiter_of(path)))
    if not rows:
        raise DataError(f"{path}: is empty")
    header = [cell.strip() for cell in rows[0][1]]
    return header, [(line, cells) for line, cells in rows[1:] if any(c.strip() for c in cells)]
