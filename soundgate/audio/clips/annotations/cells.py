"""Cells of annotation tables: names of columns as people and programs write them, and numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FIELDS: Final = ("file", "start_s", "end_s", "low_hz", "high_hz", "label", "score", "channel")
FIELDS_AND_SPLIT: Final = (*FIELDS, "split")

# In lower case, with every run of other characters than letters and digits as one blank. Of two
# columns that a table has, the one that stands first here is taken.
_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "file": (
        *("file", "filename", "file name", "begin file", "audiofilename", "audio filename"),
        *("audio file", "source file", "sound files", "soundfile", "media file path"),
        *("media file", "recording", "fid", "path", "begin path"),
    ),
    "start_s": (
        *("start s", "start time s", "start seconds", "begin time s", "onset s", "onset"),
        *("start time", "starttime", "start", "begin", "left time sec", "lefttimesec"),
    ),
    "end_s": (
        *("end s", "stop s", "end time s", "stop seconds", "end seconds", "offset s", "offset"),
        *("end time", "stop time", "endtime", "end", "stop", "right time sec", "righttimesec"),
    ),
    "low_hz": (
        *("low hz", "low freq hz", "low frequency hz", "low freq", "bottom freq hz"),
        *("bottomfreqhz", "min freq hz", "f min hz"),
    ),
    "high_hz": (
        *("high hz", "high freq hz", "high frequency hz", "high freq", "top freq hz"),
        *("topfreqhz", "max freq hz", "f max hz"),
    ),
    "label": (
        *("label", "event label", "label species", "annotation", "species", "species ebird code"),
        *("ebird codes", "ebird code", "sound type", "class", "name", "behavior", "comment"),
    ),
    "score": ("score", "confidence", "probability", "cnn logit mean", "cnn score", "logit"),
    "channel": ("channel",),
    "split": ("split", "subset"),
}
_IN_KHZ: Final[dict[str, tuple[str, ...]]] = {
    "low_hz": ("min frq", "low khz", "bottom freq", "low freq khz"),
    "high_hz": ("max frq", "high khz", "top freq", "high freq khz"),
}
"""Columns of R packages (monitoR, warbleR), in kHz."""
_OTHER: Final = re.compile(r"[^0-9a-z]+")


def plain(name: str) -> str:
    """A column's name without case and punctuation: "Begin time (s)" is "begin time s"."""
    return _OTHER.sub(" ", name.lower()).strip()


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the fields of an event stand in a row."""

    table: Path
    header: tuple[str, ...]
    places: dict[str, int]
    in_khz: frozenset[str] = field(default_factory=frozenset)

    def text(self, cells: Sequence[str], name: str) -> str:
        """A field's cell; empty where the table or the row has none."""
        place = self.places.get(name, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    def _exactly(self, cells: Sequence[str], name: str) -> str:
        place = self.places.get(name, len(cells))
        return cells[place] if place < len(cells) and cells[place].strip() else ""

    def number(self, cells: Sequence[str], name: str, line: int) -> float | None:
        """A field's number; None where the cell is empty or says that there is none."""
        text = self.text(cells, name)
        if not text or text.upper() in {"NA", "NAN", "NONE"}:
            return None
        number = to_number(text, f"{self.table}:{line}", self.header[self.places[name]])
        return float(Decimal(text) * 1000) if name in self.in_khz else number

    def event(self, cells: Sequence[str], line: int, file: str = "") -> Event:
        """The event of a row.

        Args:
            cells: the row.
            line: its number in the file, from 1.
            file: the recording, where the table names none.

        Raises:
            DataError: a time is missing, or a number or the event is impossible.
        """
        where = f"{self.table}:{line}"
        start_s, end_s = (self._time(cells, name, line) for name in ("start_s", "end_s"))
        channel = self.number(cells, "channel", line)
        if channel is not None and channel != int(channel):
            raise DataError(f"{where}: the channel {channel:g} is not a whole number")
        return checked(
            Event(
                file=self.text(cells, "file") or file,
                start_s=start_s,
                end_s=end_s,
                low_hz=self.number(cells, "low_hz", line),
                high_hz=self.number(cells, "high_hz", line),
                label=self._exactly(cells, "label"),
                score=self.number(cells, "score", line),
                channel=None if channel is None else int(channel),
                split=self.text(cells, "split") or None,
                columns=self.others(cells),
            ),
            where,
        )

    def others(self, cells: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Cells that are no field of an event, and are not empty."""
        taken = set(self.places.values())
        named = enumerate(zip(self.header, cells, strict=False))
        return tuple((n, c) for at, (n, c) in named if at not in taken and n and c.strip())

    def _time(self, cells: Sequence[str], name: str, line: int) -> float:
        found = self.number(cells, name, line)
        if found is None:
            column = self.header[self.places[name]]
            raise DataError(f"{self.table}:{line}: has no time in column {column!r}")
        return found


def to_number(text: str, where: str, column: str) -> float:
    """The number of a cell.

    Raises:
        DataError: it is none.
    """
    try:
        found = float(Decimal(text))
    except InvalidOperation:
        hint = "; write decimals with a point" if re.fullmatch(r"-?\d+,\d+", text) else ""
        raise DataError(f"{where}: {text!r} in column {column!r} is not a number{hint}") from None
    if not math.isfinite(found):
        raise DataError(f"{where}: {text!r} in column {column!r} is not a finite number")
    return found


def find_columns(
    table: Path, header: Sequence[str], columns: Mapping[str, str] | None = None
) -> Columns:
    """Find the fields of an event among a table's columns.

    Args:
        table: the file, for errors.
        header: names of its columns.
        columns: which column a field stands in, where its name does not tell.

    Raises:
        DataError: a column is not there, or there is none for the times.
    """
    asked = dict(columns or {})
    if unknown := sorted(set(asked) - set(FIELDS_AND_SPLIT)):
        expected = ", ".join(FIELDS_AND_SPLIT)
        raise DataError(f"an event has no field {unknown[0]!r}; it has {expected}")
    places: dict[str, int] = {}
    in_khz: set[str] = set()
    for name in FIELDS_AND_SPLIT:
        if name in asked:
            places[name] = _place(table, header, asked[name])
            if plain(asked[name]) in _IN_KHZ.get(name, ()):
                in_khz.add(name)
        elif (place := _first(header, _NAMES[name])) is not None:
            places[name] = place
        elif (place := _first(header, _IN_KHZ.get(name, ()))) is not None:
            places[name] = place
            in_khz.add(name)
    for name in ("start_s", "end_s"):
        if name not in places:
            shown = ", ".join(h for h in header if h) or "none"
            raise DataError(
                f"{table}: has no column for {name} (its columns: {shown}); name it with "
                f"--column {name}=COLUMN"
            )
    return Columns(table, tuple(header), places, frozenset(in_khz))


def _first(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The place of the first name; of equal ones that with a capital, as Raven writes it."""
    for name in names:
        same = [at for at, column in enumerate(header) if plain(column) == name]
        if same:
            return min(same, key=lambda at: (header[at] == header[at].lower(), at))
    return None


def _place(table: Path, header: Sequence[str], column: str) -> int:
    if column in header:
        return list(header).index(column)
    if (place := _first(header, (plain(column),))) is not None:
        return place
    raise DataError(f"{table}: has no column {column!r}{nearest(column, header)}")
