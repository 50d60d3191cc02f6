"""What ``soundgate make-selection-tables`` does: the calls of a corpus as tables for Raven."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusEntry, CorpusRecording


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """Which calls are written, and how."""

    by_tape: bool = False
    """A table a tape, with its times; else a table an annotated recording."""
    qualities: tuple[int, ...] = ()
    """None: all."""
    path_filter: str = ""
    """Part of the recording's path; with ``is_regex`` a regular expression."""
    is_regex: bool = False


def write_tables(corpus: Path, out: Path, selected: Selected) -> Iterator[str]:
    """Write a table for each recording or tape that has calls.

    Args:
        corpus: a corpus, or its index.
        out: folder of the tables.
        selected: which calls.

    Yields:
        How many were written.

    Raises:
        DataError: the index is wrong, or no call fits.
        ParameterError: the regular expression is none.
    """
    index = read_corpus_index(corpus)
    recordings = {recording.path: recording for recording in index.recordings}
    wanted = _pattern(selected)
    tables: defaultdict[str, list[Event]] = defaultdict(list)
    for entry in index.entries:
        fits = not selected.qualities or entry.quality in selected.qualities
        if fits and wanted.search(entry.clip_path):
            event = _event(entry, recordings[entry.clip_path], by_tape=selected.by_tape)
            tables[event.file].append(event)
    if not tables:
        raise DataError(f"{corpus}: no call fits --qualities and --path-filter")
    out.mkdir(parents=True, exist_ok=True)
    for file, events in sorted(tables.items()):
        name = PurePosixPath(file).with_suffix("").as_posix().replace("/", "-")
        ordered = sorted(events, key=lambda event: (event.start_s, event.end_s))
        raven.write(out / f"{name}_selection.txt", ordered)
    yield f"{sum(map(len, tables.values()))} calls in {len(tables)} tables in {out}"


def _event(entry: CorpusEntry, recording: CorpusRecording, *, by_tape: bool) -> Event:
    quality = () if entry.quality is None else (("Comments", f"Q{entry.quality}"),)
    return Event(
        file=f"{recording.tape}.wav" if by_tape else entry.clip_path,
        start_s=entry.raw_start_s if by_tape else entry.clip_start_s,
        end_s=entry.raw_end_s if by_tape else entry.clip_end_s,
        low_hz=0.0 if entry.low_hz is None else entry.low_hz,
        high_hz=recording.rate_hz / 2 if entry.high_hz is None else entry.high_hz,
        label=entry.label,
        columns=(("Sound_type", entry.label), *quality),
    )


def _pattern(selected: Selected) -> re.Pattern[str]:
    if not selected.is_regex:
        return re.compile(re.escape(selected.path_filter))
    try:
        return re.compile(selected.path_filter)
    except re.error as error:
        raise ParameterError(f"--path-filter: is no regular expression: {error}") from error
