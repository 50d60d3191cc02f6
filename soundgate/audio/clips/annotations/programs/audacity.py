r"""Labels of Audacity: ``start<TAB>end<TAB>text``, no header.

A label with a frequency band has a second line, ``\<TAB>low<TAB>high``; -1 stands for a frequency
that is not known. Source: Audacity manual, "Importing and exporting labels".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.cells import to_number
from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import read_text, shortest, write_text
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

UNKNOWN = "-1"
_BAND, _CELLS = "\\", 3


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines holds labels: two numbers and a text, tab separated."""
    cells = lines[0].split("\t") if lines else []
    if cells[:1] == [_BAND]:
        return True
    return len(cells) in (2, _CELLS) and all(_is_number(cell) for cell in cells[:2])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read the labels of one recording.

    Args:
        path: the file.
        columns: not used: there are none.

    Raises:
        DataError: it cannot be read, or a line is no label.
    """
    del columns
    return list(_events(path))


def _events(path: Path) -> Iterator[Event]:
    last: tuple[str, list[str]] | None = None
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where, cells = f"{path}:{number}", line.split("\t", _CELLS - 1)
        if cells[0] == _BAND:
            if last is None:
                raise DataError(f"{where}: is a frequency band without a label before it")
            yield _event(*last, _band(where, cells))
            last = None
            continue
        if last is not None:
            yield _event(*last)
        if len(cells) < _CELLS - 1:
            raise DataError(f"{where}: is not a label: expected start, end and text, tab separated")
        last = (where, cells)
    if last is not None:
        yield _event(*last)


def _band(where: str, cells: Sequence[str]) -> tuple[float | None, float | None]:
    if len(cells) < _CELLS:
        raise DataError(f"{where}: a frequency band needs two numbers behind the backslash")
    low, high = (to_number(cell.strip(), where, "frequency") for cell in cells[1:])
    return (None if low < 0 else low), (None if high < 0 else high)


def _event(
    where: str, cells: Sequence[str], band: tuple[float | None, float | None] = (None, None)
) -> Event:
    start_s, end_s = (to_number(cell.strip(), where, "time") for cell in cells[:2])
    label = cells[2] if len(cells) == _CELLS else ""
    event = Event(start_s=start_s, end_s=end_s, low_hz=band[0], high_hz=band[1], label=label)
    return checked(event, where)


def write(path: Path, events: Sequence[Event]) -> None:
    """Write the labels of one recording.

    Raises:
        DataError: a label holds a tab or a line break.
    """
    lines = []
    for event in events:
        if any(mark in event.label for mark in "\t\n\r"):
            raise DataError(f"{path}: the label {event.label!r} has a tab or a line break")
        lines.append(f"{shortest(event.start_s)}\t{shortest(event.end_s)}\t{event.label}\n")
        if event.low_hz is not None or event.high_hz is not None:
            band = (UNKNOWN if hz is None else shortest(hz) for hz in (event.low_hz, event.high_hz))
            lines.append(f"{_BAND}\t" + "\t".join(band) + "\n")
    write_text(path, "".join(lines))
