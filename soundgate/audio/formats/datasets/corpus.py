"""``corpus_index.json``: the recordings of a corpus and the calls that people marked in them.

The file stands at the top of the corpus folder; all paths in it are relative to that folder, with
forward slashes. Its names are those of earlier tools: a *hum* is a call, a *labelled clip* is a
recording that somebody listened to from end to end, a *raw* recording is the tape it was cut from.
Calls have their times on the axis of the labelled clip (``clip_start_s``) and on that of the tape
(``raw_start_s``); where recordings were annotated as they are, both are one file.

Indexes of earlier tools have no ``format`` and no ``recordings``, which are then read from the
headers of the audio: see :func:`read_corpus_index`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.files.reading import EXTENSIONS, find, info
from soundgate.audio.formats.record import (
    JsonObject,
    OpenRecord,
    Record,
    read_record,
    write_record,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT: Final = "soundgate.corpus_index/1"
CORPUS_INDEX: Final = "corpus_index.json"
CALL: Final = "target"
"""Label of calls that nobody named."""
SLACK_S: Final = 0.01
"""How much later than its recording a call may end: names of files round their times."""


class CorpusEntry(OpenRecord):
    """A call."""

    uid: int
    corpus_name: str = ""
    hum_path: str | None = None
    """The call as a file of its own; None where only its times are known."""
    clip_path: str
    """The recording that was annotated: the one whose events are complete."""
    raw_path: str | None = None
    """The tape it was cut from, where the corpus holds it."""
    quality: int | None = None
    """As the annotator graded it; None where nobody did."""
    dur_s: float
    clip_dur_s: float | None = None
    """Length of the annotated recording in seconds."""
    clip_start_s: float
    """On the axis of ``clip_path``."""
    clip_end_s: float
    raw_start_s: float
    """On the axis of the tape."""
    raw_end_s: float
    clip_uid: int
    raw_uid: int
    label: str = CALL
    low_hz: float | None = None
    high_hz: float | None = None


class CorpusRecording(OpenRecord):
    """An annotated recording, with or without calls."""

    uid: int
    """What entries call ``clip_uid``."""
    path: str
    duration_s: float
    rate_hz: int
    tape: str
    """Name of the tape: recordings of one tape belong to one side of a division."""
    raw_uid: int
    raw_path: str | None = None
    raw_start_s: float = 0.0
    """Where the recording begins on the tape."""


class Calls(OpenRecord):
    """How many calls there are, in all and of each quality."""

    n_hums: int
    qualities: dict[str, int]
    """By the quality as a text; calls that nobody graded are left out."""


class Distribution(OpenRecord):
    """Calls by ``clip_uid`` and by ``raw_uid``."""

    per_clip: dict[str, Calls]
    per_raw: dict[str, Calls]


class CorpusMeta(OpenRecord):
    """Figures of the corpus."""

    corpus_name: str
    n_raw_recordings: int
    n_labelled_clips: int
    n_hums: int
    avg_raw_duration_h: float | None = None
    avg_hum_duration_s: float = 0.0
    clip_duration_s: float | None = None
    """The length of every clip in whole seconds; None where they differ."""
    avg_clip_duration_s: float | None = None
    generated_at: str = ""
    """Empty: the same corpus gives the same bytes."""


class CorpusIndex(Record):
    """``corpus_index.json``."""

    format: Literal["soundgate.corpus_index/1"] = FORMAT
    meta: CorpusMeta
    distribution: Distribution
    entries: tuple[CorpusEntry, ...]
    recordings: tuple[CorpusRecording, ...]
    """Every annotated recording, also those without calls."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What calls are named, sorted."""
        return tuple(sorted({entry.label for entry in self.entries}))


def read_corpus_index(folder: Path) -> CorpusIndex:
    """The index of a corpus.

    Args:
        folder: the corpus, or the index itself.

    Raises:
        DataError: the file is missing, damaged or contradicts itself, or the audio of an index
            without recordings cannot be read.
    """
    path = folder if folder.suffix == ".json" else folder / CORPUS_INDEX
    if not path.is_file():
        raise DataError(
            f"{path}: is not there; make it with 'soundgate build-corpus-index {path.parent}'"
        )
    index = read_record(
        path,
        CorpusIndex,
        remedy=f"make it again with 'soundgate build-corpus-index {path.parent}'",
        upgrade=lambda fields: _from_earlier_tools(path.parent, fields),
    )
    _check(path, index)
    return index


def write_corpus_index(folder: Path, index: CorpusIndex) -> None:
    """Write ``corpus_index.json``; the same index gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{CORPUS_INDEX}.part"
    write_record(part, index)
    part.replace(folder / CORPUS_INDEX)


def recordings(index: CorpusIndex) -> dict[str, float]:
    """Length in seconds of every annotated recording by its path, also of those without calls."""
    return {recording.path: recording.duration_s for recording in index.recordings}


def entries_by_recording(index: CorpusIndex) -> dict[str, list[CorpusEntry]]:
    """Calls of every annotated recording by its path, in order of time; empty where it has none."""
    found: dict[str, list[CorpusEntry]] = {recording.path: [] for recording in index.recordings}
    for entry in sorted(index.entries, key=lambda call: (call.clip_start_s, call.clip_end_s)):
        found[entry.clip_path].append(entry)
    return found


def _check(path: Path, index: CorpusIndex) -> None:
    """Refuse an index whose parts do not fit one another."""
    for kind in ("entries", "recordings"):
        uids = [each.uid for each in getattr(index, kind)]
        if len(set(uids)) < len(uids):
            twice = next(uid for at, uid in enumerate(uids) if uid in uids[:at])
            raise DataError(f"{path}: {kind}: uid {twice} is used twice; number them anew")
    by_path = {recording.path: recording for recording in index.recordings}
    if len(by_path) < len(index.recordings):
        raise DataError(f"{path}: recordings: a path is listed twice; list each once")
    for entry in index.entries:
        where = f"{path}: entries: uid {entry.uid}"
        recording = by_path.get(entry.clip_path)
        if recording is None:
            raise DataError(f"{where}: clip_path {entry.clip_path!r} is not among the recordings")
        if not 0 <= entry.clip_start_s <= entry.clip_end_s:
            raise DataError(
                f"{where}: a call from {entry.clip_start_s:g} s to {entry.clip_end_s:g} s is "
                "impossible; correct clip_start_s and clip_end_s"
            )
        if entry.clip_end_s > recording.duration_s + SLACK_S:
            raise DataError(
                f"{where}: the call ends at {entry.clip_end_s:g} s, but {entry.clip_path} at "
                f"{recording.duration_s:g} s"
            )


def _from_earlier_tools(folder: Path, fields: JsonObject) -> JsonObject:
    """An index without ``format`` and ``recordings``, completed from the audio's headers."""
    if "format" in fields:
        return fields
    tapes = {entry["clip_path"]: entry for entry in fields["entries"]}
    others = {entry.get(name) for entry in fields["entries"] for name in ("hum_path", "raw_path")}
    folders = sorted({(folder / clip).parent for clip in tapes})
    beside = {path.relative_to(folder).as_posix() for where in folders for path in find(where)}
    paths = sorted((beside - others) | set(tapes))
    made = [_recording(folder, path, tapes.get(path)) for path in paths]
    uids = {raw["tape"]: raw["raw_uid"] for raw in made if raw["raw_uid"]}
    free = max([0, *(raw["uid"] for raw in made), *uids.values()]) + 1
    for raw in made:
        if not raw["raw_uid"]:
            raw["uid"], raw["raw_uid"] = free, uids.setdefault(raw["tape"], free + 1)
            free += 2
    return {"format": FORMAT, **fields, "recordings": made}


def _recording(folder: Path, path: str, entry: Mapping[str, object] | None) -> JsonObject:
    """A row of ``recordings``; ids are 0 where no call tells them."""
    about = info(folder / path)
    made: JsonObject = {
        "uid": 0,
        "path": path,
        "duration_s": about.duration_s,
        "rate_hz": about.rate_hz,
        "tape": tape_of(path),
        "raw_uid": 0,
        "raw_start_s": clip_offset_s(path),
    }
    if entry is not None:
        known = {"uid": entry["clip_uid"], "raw_uid": entry["raw_uid"]}
        made |= known | {"raw_path": entry.get("raw_path")}
    return made


def tape_of(path: str) -> str:
    """Name of the tape that a clip was cut from, by the clip's name; else its own name.

    >>> tape_of("labelled_recordings/388_20250204_cut.wav_900_1800.wav")
    '388_20250204_cut'
    >>> tape_of("tapes/a.wav")
    'a'
    """
    parts = _clip_parts(path)
    return PurePosixPath(parts[0]).stem if parts else PurePosixPath(path).stem


def clip_offset_s(path: str) -> float:
    """Where a clip begins on its tape, by the clip's name; 0 for other names."""
    parts = _clip_parts(path)
    return float(parts[1]) if parts else 0.0


def _clip_parts(path: str) -> tuple[str, str, str] | None:
    """Name of the tape, start and end of a clip called ``<tape>.wav_<start>_<end>.wav``."""
    stem = PurePosixPath(path).stem
    tape, start, end = (*stem.rsplit("_", 2), "", "")[:3]
    if PurePosixPath(tape).suffix.lower() not in EXTENSIONS:
        return None
    times = (text.replace(".", "", 1).isdigit() for text in (start, end))
    return (tape, start, end) if all(times) else None
