"""Annotation files of any known format, read and written by its name or by what is in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations import delimited, json_lines
from soundgate.audio.clips.annotations.event import Event, by_file, file_name
from soundgate.audio.clips.annotations.programs import (
    aoef,
    audacity,
    boris,
    field_log,
    notmat,
    raven,
    sonic_visualiser,
    textgrid,
)
from soundgate.audio.clips.annotations.text import read_text
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_HEAD_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of annotation file."""

    name: str
    about: str
    read: Callable[[Path, Mapping[str, str] | None], list[Event]]
    suffix: str = ""
    """Ending of files that are written; empty for what is only read."""
    keeps: frozenset[str] = frozenset()
    """Fields that it holds besides times and label."""
    several: bool = False
    """Whether one file annotates several recordings."""


FORMATS: Final = (
    Format(
        *("raven", "selection tables of Raven", raven.read, ".Table.1.selections.txt"),
        frozenset({"file", "low_hz", "high_hz", "channel", "score", "split", "columns"}),
        several=True,
    ),
    Format(
        *("audacity", "labels of Audacity", audacity.read, ".txt"),
        frozenset({"low_hz", "high_hz"}),
    ),
    Format(
        *("dcase", "DCASE lists: filename, onset, offset, event_label", delimited.read_dcase),
        *(".tsv", frozenset({"file"})),
        several=True,
    ),
    Format("textgrid", "TextGrids of Praat", textgrid.read, ".TextGrid"),
    Format("boris", "projects and exported tables of BORIS", boris.read),
    Format(
        *("sonic-visualiser", "layers of Sonic Visualiser", sonic_visualiser.read, ".svl"),
        frozenset({"low_hz", "high_hz"}),
    ),
    Format(
        *("aoef", "AOEF of soundevent and Whombat", aoef.read, ".json"),
        frozenset({"file", "low_hz", "high_hz"}),
        several=True,
    ),
    Format(
        *("csv", "tables with a header, any columns", delimited.read, ".csv"),
        frozenset({"file", "low_hz", "high_hz", "channel", "score", "split", "columns"}),
        several=True,
    ),
    Format(
        *("jsonl", "JSON lines", json_lines.read, ".jsonl"),
        frozenset({"file", "low_hz", "high_hz", "channel", "score", "split", "columns"}),
        several=True,
    ),
    Format("notmat", ".not.mat of evsonganaly", notmat.read),
    Format("field-log", "logs of Syrinx and PAMlab", field_log.read),
)


def format_named(name: str) -> Format:
    """A format by its name.

    Raises:
        DataError: there is none of that name.
    """
    by_name = {each.name: each for each in FORMATS}
    if name not in by_name:
        raise DataError(f"there is no annotation format {name!r}{nearest(name, by_name)}")
    return by_name[name]


def read_annotations(
    path: Path,
    *,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    recording: str = "",
) -> list[Event]:
    """Read a file of annotations.

    Args:
        path: the file; one without events is fine.
        kind: name of its format; None: seen in its name and first lines.
        columns: field to column, where a table's names do not tell: ``{"label": "Call"}``.
        recording: the recording, where the file names none.

    Returns:
        Its events, in the order of the file.

    Raises:
        DataError: it is of no known format, cannot be read, or has an impossible event; the text
            names the file, the line and what to do.
        MissingExtra: a library that reads the format is not installed.
    """
    found = format_named(kind or detect(path)).read(path, columns)
    return [event if event.file else replace(event, file=recording) for event in found]


def detect(path: Path) -> str:
    """Name of the format of a file.

    Raises:
        DataError: it is of no known format, or cannot be read.
    """
    if path.name.endswith(notmat.SUFFIX):
        return "notmat"
    if path.suffix.lower() in {".sv", ".svl"}:
        return "sonic-visualiser"
    lines = read_text(path).split("\n", _HEAD_LINES)[:_HEAD_LINES]
    lines = [line for line in lines if line.strip()]
    if not lines:
        return "audacity"  # a track without labels is exported as an empty file
    modules = {
        "textgrid": textgrid.reads,
        "sonic-visualiser": sonic_visualiser.reads,
        "aoef": aoef.reads,
        "boris": boris.reads,
        "jsonl": json_lines.reads,
        "field-log": field_log.reads,
        "raven": raven.reads,
        "audacity": audacity.reads,
    }
    for name, reads in modules.items():
        if reads(lines):
            return name
    return _table(path, lines[0])


def _table(path: Path, first: str) -> str:
    """DCASE or CSV, for a file whose first line may be a header."""
    delimiter = delimited.delimiter_of(path)
    cells = [cell.strip() for cell in first.split(delimiter)]
    if len(cells) > 1 and (
        [cell.lower() for cell in cells[:3]] == ["filename", "onset", "offset"]
        or delimited.is_dcase_row(cells)
    ):
        return "dcase"
    if len(cells) > 1:
        return "csv"
    known = ", ".join(each.name for each in FORMATS)
    raise DataError(f"{path}: is no annotation file that is known; name its format: {known}")


def lost(events: Iterable[Event], kind: Format) -> list[str]:
    """Fields that some event has and a format cannot hold."""
    fields = ("low_hz", "high_hz", "channel", "score", "split", "columns")
    events = list(events)
    return [
        name
        for name in fields
        if name not in kind.keeps and any(getattr(e, name) not in (None, ()) for e in events)
    ]


def write_annotations(
    target: Path,
    events: Sequence[Event],
    kind: Format,
    recordings: Mapping[str, aoef.Recording] | None = None,
) -> list[Path]:
    """Write events in a format.

    Args:
        target: the file; for several recordings in a format that holds one, a folder, in which
            each gets a file of its name.
        events: of any recordings.
        kind: the format.
        recordings: length and rate of each recording, which AOEF and Sonic Visualiser need.

    Returns:
        The files that were written.

    Raises:
        DataError: the format is only read, cannot hold an event, or lacks something to be told.
    """
    if not kind.suffix:
        written = ", ".join(each.name for each in FORMATS if each.suffix)
        raise DataError(f"{kind.name} is only read; written are: {written}")
    if kind.several:
        _write_one(target, events, kind, recordings or {})
        return [target]
    files = by_file(events)
    if len(files) <= 1 and not target.is_dir():
        _write_one(target, events, kind, recordings or {})
        return [target]
    if target.is_file():
        raise DataError(f"{target}: a file of {kind.name} holds one recording: give a folder")
    written_files = []
    for file, of_file in files.items():
        stem = Path(file_name(file)).stem or "annotations"
        path = target / f"{stem}{kind.suffix}"
        if path in written_files:
            raise DataError(f"{path}: two recordings have this name; convert them one by one")
        _write_one(path, of_file, kind, recordings or {})
        written_files.append(path)
    return written_files


def _write_one(
    path: Path, events: Sequence[Event], kind: Format, recordings: Mapping[str, aoef.Recording]
) -> None:
    file = events[0].file if events else ""
    known = recordings.get(file)
    match kind.name:
        case "raven":
            raven.write(path, events)
        case "audacity":
            audacity.write(path, events)
        case "dcase":
            delimited.write_dcase(path, events)
        case "csv":
            delimited.write(path, events)
        case "jsonl":
            json_lines.write(path, events)
        case "textgrid":
            textgrid.write(path, events, known.seconds if known else None)
        case "sonic-visualiser":
            sonic_visualiser.write(path, events, _known(path, file, recordings).rate_hz)
        case "aoef":
            for event in events:
                _known(path, event.file, recordings)
            aoef.write(path, events, recordings)
        case other:
            raise AssertionError(other)


def _known(path: Path, file: str, recordings: Mapping[str, aoef.Recording]) -> aoef.Recording:
    if file not in recordings:
        raise DataError(
            f"{path}: needs the length and rate of {file or 'the recording'!r}: give the folder of "
            "the recordings with --audio"
        )
    return recordings[file]
