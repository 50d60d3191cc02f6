"""A part of a data set: a list of labels and the folder of its audio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.cells import Columns, find_columns
from soundgate.audio.clips.annotations.dcase import clip_name, read_strong, read_weak
from soundgate.audio.clips.annotations.event import file_name
from soundgate.audio.clips.annotations.text import read_rows
from soundgate.audio.files.reading import find
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.formats.datasets.sound_events import Kind, Split

_SEGMENT: Final = ("segment_id", "start_time_seconds", "end_time_seconds", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is read."""

    name: str
    dataset: str
    """Says what is annotated; a name of the label space."""
    kind: Kind
    split: Split
    audio: Path
    """Folder of the audio, with folders below it."""
    table: Path | None = None
    """The list of labels; a folder of lists, one a recording; None: audio without labels."""
    recordings: tuple[str, ...] | None = None
    """Those of a folder of lists that belong to the part; None: all."""
    window_s: float | None = None
    """Recordings are cut into windows of this length; None: a file is a clip."""
    hop_s: float = 1.0
    """From the start of a window to the next."""
    validation_share: float = 0.0
    """Share of the clips that become the split "validation", by their names."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says, before anybody looked whether the audio is there."""

    events: dict[str, list[Event]]
    """By file, without folder and ending; every file that is named."""
    labels: dict[str, tuple[str, ...]]
    """Of a weak list."""


def read_part(part: Part) -> Listed:
    """Read the list of a part.

    Raises:
        DataError: a table cannot be read or is wrong.
    """
    if part.kind == "weak":
        if part.table is None:
            raise DataError(f"{part.audio}: weakly labelled clips need a list of their labels")
        weak = read_weak(part.table)
        return Listed({clip: [] for clip in weak}, weak)
    if part.kind == "unlabelled":
        return Listed({clip: [] for clip in _unlabelled(part)}, {})
    if part.table is None:
        raise DataError(f"{part.audio}: labelled clips need a list of their events")
    if part.table.is_dir():
        return Listed(_folder(part.table, part.recordings), {})
    if _is_audioset(part.table):
        return Listed(_audioset(part.table), {})
    listed = read_strong(part.table)
    events: dict[str, list[Event]] = {clip: [] for clip in listed.clips}
    for event in listed.events:
        events[event.file].append(event)
    return Listed(events, {})


def _unlabelled(part: Part) -> list[str]:
    if part.table is None:
        return [clip_name(path.name) for path in find(part.audio)]
    return list(file_list(part.table))


def file_list(table: Path) -> dict[str, None]:
    """Files of a table's column ``filename``, without folder and ending, in its order.

    Raises:
        DataError: the table cannot be read, or has no such column.
    """
    rows = list(read_rows(table, "\t"))
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if "filename" not in header:
        raise DataError(f"{table}: has no column 'filename'")
    at = header.index("filename")
    named = (cells[at].strip() for _, cells in rows[1:] if len(cells) > at)
    return dict.fromkeys(clip_name(name) for name in named if name)


def _folder(folder: Path, recordings: tuple[str, ...] | None) -> dict[str, list[Event]]:
    """Lists of one recording each: onset, offset, label, confidence, without a header."""
    files = {path.stem: path for path in sorted(folder.rglob("*.txt"))}
    if not files:
        raise DataError(f"{folder}: holds no .txt lists")
    wanted = files if recordings is None else recordings
    if missing := [name for name in wanted if name not in files]:
        raise DataError(f"{folder}: has no list of {missing[0]!r}")
    return {name: _soft_list(files[name], name) for name in wanted}


def _soft_list(path: Path, recording: str) -> list[Event]:
    places = {"start_s": 0, "end_s": 1, "label": 2, "score": 3}
    columns = Columns(path, ("onset", "offset", "event_label", "confidence"), places)
    rows = [(line, cells) for line, cells in read_rows(path, "\t") if any(map(str.strip, cells))]
    return [columns.event(cells, line, recording) for line, cells in rows]


def _is_audioset(path: Path) -> bool:
    first = next(iter(read_rows(path, "\t")), (1, []))[1]
    return tuple(first[: len(_SEGMENT)]) == _SEGMENT


def _audioset(path: Path) -> dict[str, list[Event]]:
    """AudioSet's strong labels: ``segment_id`` is a video and where its clip starts, in ms."""
    rows = list(read_rows(path, "\t"))
    names = dict(zip(("file", "start_s", "end_s", "label"), _SEGMENT, strict=True))
    columns = find_columns(path, rows[0][1], names)
    events: dict[str, list[Event]] = {}
    for line, cells in rows[1:]:
        event = columns.event(cells, line)
        events.setdefault(file_name(event.file), []).append(event)
    return events


def audio_names(clip: str) -> tuple[str, ...]:
    """Names that the file of a clip may have, the likeliest first.

    >>> audio_names("b0RFKhbpFJA_30000")
    ('b0RFKhbpFJA_30000', 'Yb0RFKhbpFJA_30000', 'Yb0RFKhbpFJA', 'b0RFKhbpFJA')
    """
    video, _, start = clip.rpartition("_")
    if video and start.isdecimal() and len(video) == 11:
        return clip, f"Y{clip}", f"Y{video}", video
    return (clip,)
