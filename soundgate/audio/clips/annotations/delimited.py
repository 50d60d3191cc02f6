"""Tables with a header and one event a row: CSV of many programs, and DCASE's tab separated lists.

Columns are found by their names (``cells``) or named by the caller. DCASE lists (``filename onset
offset event_label``) may lack the header, as sed_eval's do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.cells import Columns, find_columns
from soundgate.audio.clips.annotations.text import read_rows, shortest, write_rows
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event

DCASE_HEADER: Final = ("filename", "onset", "offset", "event_label")
CSV_HEADER: Final = ("file", "start_s", "end_s", "low_hz", "high_hz", "label")
_OPTIONAL: Final = ("score", "channel", "split")
_DCASE_TIMES: Final = slice(1, 3)


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a table with a header.

    Args:
        path: the table; commas, semicolons or tabs, whichever the header has most of.
        columns: field to column, where the name does not tell: ``{"label": "Call"}``.

    Raises:
        DataError: it cannot be read, has no column for the times, or an impossible event.
    """
    rows = read_rows(path, delimiter_of(path))
    _, header = next(rows, (1, []))
    return _events(find_columns(path, header, columns), rows)


def read_dcase(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a DCASE list, with or without its header.

    Raises:
        DataError: as for :func:`read`.
    """
    rows = list(read_rows(path, delimiter_of(path)))
    if rows and not is_dcase_row(rows[0][1]):
        return _events(find_columns(path, rows[0][1], columns), rows[1:])
    places = dict(zip(("file", "start_s", "end_s", "label"), range(4), strict=True))
    return _events(Columns(path, DCASE_HEADER, places), rows)


def _events(columns: Columns, rows: Iterable[tuple[int, list[str]]]) -> list[Event]:
    return [columns.event(cells, line) for line, cells in rows if any(c.strip() for c in cells)]


def is_dcase_row(cells: Sequence[str]) -> bool:
    """Whether a row without header is ``file onset offset [label]``."""
    if len(cells) < len(DCASE_HEADER) - 1:
        return False
    try:
        [float(cell) for cell in cells[_DCASE_TIMES]]
    except ValueError:
        return False
    return True


def delimiter_of(path: Path) -> str:
    """The delimiter that the first line has most of: comma, semicolon or tab.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return max(",;\t", key=lambda mark: first.count(mark.encode()))


def write(path: Path, events: Sequence[Event]) -> None:
    """Write a CSV that :func:`read` reads back to the same events, further columns included."""
    optional = [name for name in _OPTIONAL if any(getattr(e, name) is not None for e in events)]
    others = list(dict.fromkeys(name for event in events for name, _ in event.columns))
    header = [*CSV_HEADER, *optional, *others]
    rows = []
    for event in events:
        cells = dict(event.columns)
        fields = [_text(getattr(event, name)) for name in (*CSV_HEADER, *optional)]
        rows.append([*fields, *(cells.get(name, "") for name in others)])
    write_rows(path, [header, *rows], ",")


def _text(value: object) -> str:
    if value is None:
        return ""
    return shortest(value) if isinstance(value, float) else str(value)


def write_dcase(path: Path, events: Sequence[Event]) -> None:
    """Write a DCASE list with its header.

    Raises:
        DataError: an event has no file, which the list must name.
    """
    rows: list[Sequence[str]] = [DCASE_HEADER]
    for event in events:
        if not event.file:
            raise DataError(f"{path}: an event has no recording: name it with --recording FILE")
        rows.append([event.file, shortest(event.start_s), shortest(event.end_s), event.label])
    write_rows(path, rows, "\t")
