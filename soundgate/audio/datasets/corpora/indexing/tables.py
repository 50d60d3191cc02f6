"""The index of a corpus of recordings that are annotated in tables, of any format that is read.

Every recording that a table is about counts as annotated from end to end: a table without events
says that its recording has none. Other recordings of the folder are left out. A recording is a tape
of its own, unless its name tells which tape it was cut from.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.cells import plain
from soundgate.audio.clips.annotations.event import match_recordings
from soundgate.audio.clips.annotations.files import read_annotations
from soundgate.audio.datasets.corpora.indexing.index import (
    Call,
    Recording,
    build_index,
    outside,
    refuse,
)
from soundgate.audio.files.reading import EXTENSIONS, find, info
from soundgate.audio.formats.datasets.corpus import CALL, clip_offset_s, tape_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.formats.datasets.corpus import CorpusIndex

ANNOTATIONS: Final = "annotations"
"""Folder of a corpus in which tables are looked for; else they lie beside the recordings."""
TABLES: Final = frozenset(
    {".txt", ".tsv", ".csv", ".textgrid", ".svl", ".xml", ".json", ".jsonl", ".log", ".mat"}
)
DATASETS: Final = "dataset_"
"""Begins the names of folders that were cut from the corpus."""
_QUALITY: Final = re.compile(r"[Qq]?(\d+)")
_GRADES: Final = ("quality", "comments", "comment", "notes")


def index_tables(
    folder: Path, tables: Sequence[Path] = (), columns: Mapping[str, str] | None = None
) -> CorpusIndex:
    """Make the index of a folder of recordings with annotation tables.

    Args:
        folder: the corpus; all audio below it may be annotated.
        tables: annotation files, or folders in which those named like a recording are taken;
            none: all in ``annotations/``, else those beside a recording that are named like it.
        columns: field to column, where a table's names do not tell.

    Raises:
        DataError: there is no audio or no table, a table is wrong or about a recording that is not
            there, or an event is not in its recording.
    """
    listed = (path.relative_to(folder).as_posix() for path in find(folder))
    there = [path for path in listed if not path.startswith(DATASETS)]
    if not there:
        raise DataError(f"{folder}: holds no recordings; give the folder of a corpus")
    found = _named(tables, there) or _tables(folder, there)
    if not found:
        raise DataError(
            f"{folder}: holds no annotation tables; put them into {ANNOTATIONS}/ or beside the "
            "recordings they are about, or name them with --annotations"
        )
    events: dict[str, list[Event]] = {}
    seen: dict[tuple[str, int, int, str], Path] = {}
    for table in found:
        for path, of_path in _read(table, there, columns).items():
            for event in of_path:
                _refuse_twice(seen, table, path, event)
            events.setdefault(path, []).extend(of_path)
    return _index(folder, events)


def _refuse_twice(
    seen: dict[tuple[str, int, int, str], Path], table: Path, path: str, event: Event
) -> None:
    """Refuse a call that is annotated twice: it would count as two."""
    call = (path, round(1000 * event.start_s), round(1000 * event.end_s), event.label)
    first = seen.setdefault(call, table)
    if first != table:
        raise DataError(
            f"{table}: the call at {event.start_s:g} s of {path} stands in {first.name} too; name "
            "the tables that count with --annotations"
        )


def _index(folder: Path, events: Mapping[str, Sequence[Event]]) -> CorpusIndex:
    stems = Counter(tape_of(path) for path in events)
    recordings = {path: _recording(folder, path, stems) for path in events}
    calls = [_call(path, event) for path, of_path in events.items() for event in of_path]
    told = ((call, outside(call, recordings[call.path].duration_s)) for call in calls)
    refuse(folder, [f"{call.path}: a call {why}" for call, why in told if why])
    return build_index(folder.name, recordings.values(), calls)


def _recording(folder: Path, path: str, stems: Mapping[str, int]) -> Recording:
    """A recording; the tape's name has its folders where the bare name is not enough."""
    about, tape = info(folder / path), tape_of(path)
    is_cut = tape != PurePosixPath(path).stem
    if stems[tape] > 1 and not is_cut:
        tape = PurePosixPath(path).with_suffix("").as_posix()
    return Recording(
        path=path,
        duration_s=about.duration_s,
        rate_hz=about.rate_hz,
        tape=tape,
        raw_start_s=clip_offset_s(path),
    )


def _call(path: str, event: Event) -> Call:
    return Call(
        path=path,
        start_s=event.start_s,
        end_s=event.end_s,
        quality=_quality(event),
        label=event.label.strip() or CALL,
        low_hz=event.low_hz,
        high_hz=event.high_hz,
    )


def _quality(event: Event) -> int | None:
    """The grade of an event, "Q2" or "2" in one of the columns that annotators use for it."""
    cells = {plain(name): text.strip() for name, text in event.columns}
    for name in _GRADES:
        if found := _QUALITY.fullmatch(cells.get(name, "")):
            return int(found[1])
    return None


def _named(tables: Sequence[Path], there: Sequence[str]) -> list[Path]:
    """The tables that were given; of a folder, those that are named like a recording."""
    found = []
    for path in tables:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [each for each in sorted(path.rglob("*")) if each.suffix.lower() in TABLES]
        about = [each for each in inside if _about(each, there) is not None]
        if not about:
            raise DataError(f"{path}: holds no table that is named like a recording")
        found += about
    return found


def _tables(folder: Path, there: Sequence[str]) -> list[Path]:
    annotations = folder / ANNOTATIONS
    listed = sorted((annotations if annotations.is_dir() else folder).rglob("*"))
    tables = [path for path in listed if path.is_file() and path.suffix.lower() in TABLES]
    if annotations.is_dir():
        return tables
    own = [path for path in tables if not path.relative_to(folder).parts[0].startswith(DATASETS)]
    return [path for path in own if _about(path, there) is not None]


def _about(table: Path, there: Iterable[str]) -> str | None:
    """The recording whose name a table's begins with; the longest one, and the nearest."""
    beside = table.parent.name
    fitting = [
        path
        for path in there
        if table.name.startswith((PurePosixPath(path).name, f"{PurePosixPath(path).stem}."))
        or re.match(rf"{re.escape(PurePosixPath(path).stem)}[_ -]", table.name)
    ]
    return max(
        fitting,
        key=lambda path: (len(PurePosixPath(path).stem), PurePosixPath(path).parent.name == beside),
        default=None,
    )


def _read(
    table: Path, there: Sequence[str], columns: Mapping[str, str] | None
) -> dict[str, list[Event]]:
    """Events of a table by recording; of an empty one by the recording that its name tells."""
    if table.suffix.lower() in EXTENSIONS:
        raise DataError(f"{table}: is audio; name the tables that annotate it")
    about = _about(table, there)
    events = read_annotations(table, columns=columns, recording=about or "")
    if not events and about is None:
        raise DataError(
            f"{table}: has no events and is not named like a recording, so that it says nothing; "
            "name it like the recording it is about, or remove it"
        )
    if unnamed := next((event for event in events if not event.file), None):
        raise DataError(
            f"{table}: does not say which recording the event at {unnamed.start_s:g} s is in; "
            "name the table like the recording"
        )
    paths = match_recordings(events, there)
    found: dict[str, list[Event]] = {about: []} if about is not None and not events else {}
    for event in events:
        found.setdefault(paths[event.file], []).append(event)
    return found
