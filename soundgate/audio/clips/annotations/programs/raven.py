"""Selection tables of Raven: tab separated, a row a box and view, names in a header.

Columns of one file: ``Selection``, ``View``, ``Channel``, ``Begin Time (s)``, ``End Time (s)``,
``Low Freq (Hz)``, ``High Freq (Hz)``, then whatever the user adds. A table of several files says in
``Begin File`` and ``Begin Path`` which file a selection begins in, and in ``File Offset (s)`` when;
its begin and end times count from the start of the first file. A selection that was exported from
two views has two rows.

Source: Raven Pro user's manual, chapter 6, "Selection tables" (Cornell Lab of Ornithology).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.cells import Columns, find_columns, plain, to_number
from soundgate.audio.clips.annotations.event import Event, by_file, checked, file_name
from soundgate.audio.clips.annotations.text import read_rows, shortest, write_rows
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

VIEW: Final = "Spectrogram 1"
COLUMNS: Final = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)")
BAND: Final = ("Low Freq (Hz)", "High Freq (Hz)")
FILES: Final = ("Begin File", "Begin Path", "File Offset (s)")
LABEL: Final = "Annotation"
SCORE, SPLIT = "Score", "Split"
_ROUNDED_S: Final = 1e-3
"""File offsets are exported with three digits where times have nine."""

Row = tuple[int, list[str]]


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is a selection table."""
    names = {plain(name) for name in lines[0].split("\t")} if lines else set()
    return "selection" in names and any(name.startswith("begin time") for name in names)


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a selection table; of a selection with two views the spectrogram's row counts.

    Args:
        path: the table.
        columns: field to column, where the name does not tell: ``{"label": "Call"}``.

    Raises:
        DataError: it cannot be read, lacks a column, has a number twice, or an impossible event.
    """
    rows = read_rows(path, "\t")
    _, header = next(rows, (1, []))
    found = _columns(path, header, columns)
    names = [plain(name) for name in header]
    events = []
    for line, cells in _once(path, names, rows):
        event = found.event(cells, line)
        file = _cell(cells, names, "begin path") or _cell(cells, names, "begin file")
        events.append((line, cells, replace(event, file=file or event.file)))
    return _on_own_axis(path, header, names, events)


def _columns(path: Path, header: Sequence[str], columns: Mapping[str, str] | None) -> Columns:
    found = find_columns(path, header, columns)
    # These say how a row is read and are written anew, so that they are no cells to keep.
    kept = ("selection", "view", "begin file", "begin path", "file offset s", "file offset")
    for number, name in enumerate(header):
        if plain(name) in kept:
            found.places.setdefault(f"raven {plain(name)}", number)
    return found


def _cell(cells: Sequence[str], names: Sequence[str], name: str) -> str:
    place = names.index(name) if name in names else len(cells)
    return cells[place].strip() if place < len(cells) else ""


def _once(path: Path, names: Sequence[str], rows: Iterable[Row]) -> list[Row]:
    """One row a selection."""
    kept: dict[str, Row] = {}
    views: set[tuple[str, str]] = set()
    for line, cells in rows:
        number, view = (_cell(cells, names, name) for name in ("selection", "view"))
        if not any(cell.strip() for cell in cells):
            continue
        if (number, view) in views and number:
            raise DataError(f"{path}:{line}: has selection {number} a second time; number it anew")
        views.add((number, view))
        key = number or f"line {line}"
        if key not in kept or view.lower().startswith("spectrogram"):
            kept[key] = (line, cells)
    return list(kept.values())


def _on_own_axis(
    path: Path,
    header: Sequence[str],
    names: Sequence[str],
    rows: list[tuple[int, list[str], Event]],
) -> list[Event]:
    """Times from the start of each event's own file."""
    offset = next((n for n in ("file offset s", "file offset") if n in names), None)
    if offset is None:
        _refuse_a_sequence(path, [event for _, _, event in rows])
        return [event for _, _, event in rows]
    column = header[names.index(offset)]
    return [
        _moved(f"{path}:{line}", _cell(cells, names, offset), column, event)
        for line, cells, event in rows
    ]


def _moved(where: str, offset: str, column: str, event: Event) -> Event:
    """The event from its file's offset on; an offset that only rounds its time does not count."""
    begins = to_number(offset, where, column) if offset else event.start_s
    if abs(begins - event.start_s) < _ROUNDED_S:
        return event
    ends = begins + (event.end_s - event.start_s)
    return checked(replace(event, start_s=begins, end_s=ends), where)


def _refuse_a_sequence(path: Path, events: list[Event]) -> None:
    """Refuse a table whose times seem to count through several files, with nothing to tell."""
    files = by_file(events)
    groups = list(files.values())
    ends = [max(event.start_s for event in group) for group in groups]
    starts = [min(event.start_s for event in group) for group in groups]
    if len(groups) > 1 and all(a <= b for a, b in zip(ends[:-1], starts[1:], strict=True)):
        raise DataError(
            f"{path}: names {len(groups)} files, one after another, and has no column "
            "'File Offset (s)': its times may count from the start of the first; add the column"
        )


def write(path: Path, events: Sequence[Event]) -> None:
    """Write a selection table that Raven opens beside its audio.

    A table of several files has their offsets and paths. Begin and end times are then those within
    each file too, because only Raven knows how long the files before are.

    Args:
        path: the table; written whole or not at all.
        events: in the order of their numbers.
    """
    several = len({event.file for event in events}) > 1
    others = list(dict.fromkeys(name for event in events for name, _ in event.columns))
    others = [name for name in others if plain(name) not in {"view", "selection"}]
    header = [*COLUMNS, *BAND, *(FILES if several else ()), LABEL]
    optional = [n for n, has in ((SCORE, "score"), (SPLIT, "split")) if _any(events, has)]
    rows = [
        [
            *_cells(number, event, several=several),
            *_optional(event, optional),
            *_more(event, others),
        ]
        for number, event in enumerate(events, 1)
    ]
    write_rows(path, [[*header, *optional, *others], *rows], "\t")


def _any(events: Iterable[Event], name: str) -> bool:
    return any(getattr(event, name) is not None for event in events)


def _cells(number: int, event: Event, *, several: bool) -> list[str]:
    times = [shortest(event.start_s), shortest(event.end_s)]
    band = ["" if hz is None else shortest(hz) for hz in (event.low_hz, event.high_hz)]
    files = [file_name(event.file), event.file, times[0]] if several else []
    return [str(number), VIEW, str(event.channel or 1), *times, *band, *files, event.label]


def _optional(event: Event, names: Sequence[str]) -> list[str]:
    score = "" if event.score is None else shortest(event.score)
    return [score if name == SCORE else event.split or "" for name in names]


def _more(event: Event, names: Sequence[str]) -> list[str]:
    cells = dict(event.columns)
    return [cells.get(name, "") for name in names]
