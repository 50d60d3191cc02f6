"""``dataset_<variant>/``: short WAVs of calls and noise that a detector learns from.

    train.csv val.csv test.csv     a file name a line, no header
    variant_index.json             what each file is and where it comes from
    selection_tables/              a Raven table a tape
    spectrograms/                  a PNG a file, where asked for
    CLASS-LABEL_ID_YEAR_TAPE_STARTMS_ENDMS.wav

Data sets of earlier tools are read too: an index without ``format``, or none at all. All is then
told by the names of the files, and the sides by the CSV files, or by :func:`divide_tapes` where
there are none.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from pydantic import ConfigDict, Field

from soundgate.audio.formats.record import (
    JsonObject,
    OpenRecord,
    Record,
    read_record,
    write_record,
)
from soundgate.errors import DataError

FORMAT: Final = "soundgate.variant_index/1"
VARIANT_INDEX: Final = "variant_index.json"
SPLITS: Final = ("train", "val", "test")
NOISE: Final = "noise"
FRACTIONS: Final = (0.7, 0.15, 0.15)

_NAME: Final = re.compile(
    r"(?P<class_name>[^_-]+)-(?P<label>[^_]*)_(?P<uid>\d+)_(?P<year>[^_]+)_(?P<tape>.+)"
    r"_(?P<start>\d+)_(?P<end>\d+)"
)
_REMEDY: Final = "make the data set again with 'soundgate prepare-datasets'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipName:
    """What the name of a WAV tells."""

    class_name: str
    label: str
    uid: int
    year: str
    tape: str
    start_ms: int
    end_ms: int

    def __str__(self) -> str:
        """The name of the file."""
        tape = re.sub(r"[^A-Za-z0-9.+-]+", "-", self.tape)
        class_name, label = (
            re.sub(r"[^A-Za-z0-9.+]+", ".", text) for text in (self.class_name, self.label)
        )
        return (
            f"{class_name}-{label}_{self.uid:06d}_{self.year}_{tape}_{self.start_ms:07d}"
            f"_{self.end_ms:07d}.wav"
        )


def clip_name(name: str) -> ClipName | None:
    """Read the name of a WAV; None where it is of another form.

    >>> clip_name("target-Q2_000001_2025_388-20250204-cut_0001000_0002300.wav").tape
    '388-20250204-cut'
    """
    found = _NAME.fullmatch(PurePosixPath(name).stem)
    if found is None:
        return None
    return ClipName(
        class_name=found["class_name"],
        label=found["label"],
        uid=int(found["uid"]),
        year=found["year"],
        tape=found["tape"],
        start_ms=int(found["start"]),
        end_ms=int(found["end"]),
    )


class VariantEntry(OpenRecord):
    """A WAV."""

    model_config = ConfigDict(populate_by_name=True)

    uid: int
    fn: str
    class_name: str = Field(alias="class")
    """``noise``, or what is called."""
    label: str = ""
    """``Q`` and the quality, or ``bg``."""
    tape_key: str
    """Name of the tape, of earlier tools its path: files of one belong to one side, unless
    ``group_by`` says otherwise."""
    quality: int | None = None
    source: Literal["labelled", "clip", "raw"] = "labelled"
    """A call; noise of an annotated recording; noise of a tape."""
    start_ms: int
    """On the axis of the recording it was cut from, which is the tape where ``source`` is raw."""
    end_ms: int
    start_s: float
    end_s: float
    split: Literal["train", "val", "test"]
    spectrogram_path: str | None = None
    recording: str | None = None
    """The recording it was cut from, by its path in the corpus."""
    call_start_s: float | None = None
    """Where the call begins, seconds from the start of the WAV; None: it is noise."""
    call_end_s: float | None = None


class Region(Record):
    """A stretch of a recording of the corpus."""

    path: str
    start_s: float
    end_s: float


class NoiseAccount(Record):
    """How much noise was asked for, and what came of it."""

    asked: int
    from_clips: int
    from_raw: int
    """Of a tape, where its annotated recordings had no room left."""
    unannotated: int
    """Of ``from_raw``: in stretches that nobody annotated, which may hold calls."""
    not_found: int


class LeakageReport(Record):
    """What is on more than one side of the division."""

    group_by: Literal["tape", "clip", "call"]
    shared_tapes: tuple[str, ...] = ()
    shared_recordings: tuple[str, ...] = ()
    overlaps: tuple[tuple[str, str], ...] = ()
    """Files that hold the same seconds of a tape."""
    identical: tuple[tuple[str, str], ...] = ()
    """Files, or recordings of the corpus, that hold the same samples."""
    fails: bool = False
    """Whether it is more than ``group_by`` asked for."""


class VariantMeta(OpenRecord):
    """Figures of the data set."""

    created_at: str = ""
    """Empty: the same corpus, strategy and seed give the same bytes."""
    split_strategy: str = ""
    n_total: int
    n_target: int
    n_noise: int
    split_counts: dict[str, int]
    variant: str = ""
    corpus_name: str = ""
    seed: int = 0
    group_by: Literal["tape", "clip", "call"] = "tape"
    classes: tuple[str, ...] = ()
    """What is called, sorted; without noise."""
    rates_hz: dict[str, int] = Field(default_factory=dict)
    """Files of each sampling rate."""
    noise: dict[str, NoiseAccount] = Field(default_factory=dict)
    """By side."""
    validation_regions: tuple[Region, ...] = ()
    """Of the corpus: whole recordings where tapes or clips are divided, else the files of val."""
    leakage: LeakageReport | None = None
    strategy: JsonObject = Field(default_factory=dict)
    """Every setting of the strategy."""


class VariantIndex(Record):
    """``variant_index.json``."""

    format: Literal["soundgate.variant_index/1"] = FORMAT
    meta: VariantMeta
    entries: tuple[VariantEntry, ...]

    def of_split(self, split: str) -> tuple[VariantEntry, ...]:
        """Its entries of one side: train, val or test."""
        return tuple(entry for entry in self.entries if entry.split == split)


def read_variant_index(folder: Path) -> VariantIndex:
    """The index of a data set; made of names and CSV files where there is none.

    Raises:
        DataError: the index is damaged, names files that are not there, or there is none and a name
            cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder; give a data set")
    path = folder / VARIANT_INDEX
    if path.is_file():
        index = read_record(path, VariantIndex, remedy=_REMEDY, upgrade=_from_earlier_tools)
    else:
        index = _by_names(folder)
    if missing := [entry.fn for entry in index.entries if not (folder / entry.fn).is_file()]:
        raise DataError(f"{folder}: {len(missing)} files are not there, {missing[0]} first")
    return index


def write_variant_index(folder: Path, index: VariantIndex) -> None:
    """Write ``variant_index.json`` and the three CSV files."""
    for split in SPLITS:
        text = "".join(f"{entry.fn}\n" for entry in index.of_split(split))
        (folder / f"{split}.csv").write_text(text, "utf-8", newline="\n")
    write_record(folder / VARIANT_INDEX, index)


def divide_tapes(tapes: dict[str, int], fractions: tuple[float, float, float]) -> dict[str, str]:
    """Sides of whole tapes, where no file says which.

    Args:
        tapes: number of files of each tape.
        fractions: of files for train, val and test.

    Returns:
        Side by tape: the largest tapes first, each to the side that lacks most; every side has one
        where there are three. It depends on nothing else.
    """
    sizes = sorted(tapes, key=lambda tape: (-tapes[tape], _shuffled(tape)))
    wanted = {s: f * sum(tapes.values()) for s, f in zip(SPLITS, fractions, strict=True) if f}
    sides: dict[str, str] = {}
    for number, tape in enumerate(sizes):
        empty = [side for side in wanted if side not in sides.values()]
        lack = empty if len(sizes) - number <= len(empty) else list(wanted)
        side = max(lack, key=lambda side: wanted[side])
        sides[tape] = side
        wanted[side] -= tapes[tape]
    return sides


def _shuffled(text: str) -> bytes:
    return hashlib.blake2b(text.encode()).digest()


def _by_names(folder: Path) -> VariantIndex:
    """An index of WAVs and, where they are there, CSV files."""
    names = sorted(path.name for path in folder.glob("*.wav"))
    told = {name: clip_name(name) for name in names}
    if wrong := [name for name, found in told.items() if found is None]:
        raise DataError(
            f"{folder}: {len(wrong)} files are not called "
            f"CLASS-LABEL_ID_YEAR_TAPE_STARTMS_ENDMS.wav, {wrong[0]} first; rename them"
        )
    if not names:
        raise DataError(f"{folder}: holds no {VARIANT_INDEX} and no WAVs; give a data set")
    known = {name: found for name, found in told.items() if found is not None}
    sides = _sides(folder, known)
    entries = [_entry(name, known[name], sides[name]) for name in names if name in sides]
    return VariantIndex(meta=_meta(entries, {}), entries=tuple(entries))


def _sides(folder: Path, known: dict[str, ClipName]) -> dict[str, str]:
    tables = {split: folder / f"{split}.csv" for split in SPLITS}
    if not any(path.is_file() for path in tables.values()):
        counts: dict[str, int] = {}
        for found in known.values():
            counts[_tape(found)] = counts.get(_tape(found), 0) + 1
        by_tape = divide_tapes(counts, FRACTIONS)
        return {name: by_tape[_tape(found)] for name, found in known.items()}
    sides: dict[str, str] = {}
    for split, path in tables.items():
        if not path.is_file():
            raise DataError(f"{folder}: has CSV files but no {path.name}; add it, or remove them")
        for line in path.read_text("utf-8").splitlines():
            name = PurePosixPath(line.strip().replace("\\", "/")).name
            if name and name not in known:
                raise DataError(f"{path}: names {name}, which is not there")
            if name and sides.setdefault(name, split) != split:
                raise DataError(f"{path}: names {name}, which {sides[name]}.csv names too")
    return sides


def _tape(found: ClipName) -> str:
    return f"{found.year}_{found.tape}"


def _entry(name: str, found: ClipName, split: str) -> VariantEntry:
    quality = re.fullmatch(r"[Qq](\d+)", found.label)
    seconds = (found.end_ms - found.start_ms) / 1000
    is_noise = found.class_name == NOISE
    return VariantEntry.model_validate(
        {
            "uid": found.uid,
            "fn": name,
            "class": found.class_name,
            "label": found.label,
            "tape_key": _tape(found),
            "quality": int(quality[1]) if quality else None,
            "source": "clip" if is_noise else "labelled",
            "start_ms": found.start_ms,
            "end_ms": found.end_ms,
            "start_s": found.start_ms / 1000,
            "end_s": found.end_ms / 1000,
            "split": split,
            "call_start_s": None if is_noise else 0.0,
            "call_end_s": None if is_noise else seconds,
        }
    )


def _meta(entries: list[VariantEntry], known: JsonObject) -> VariantMeta:
    classes = {entry.class_name for entry in entries} - {NOISE}
    noise = sum(entry.class_name == NOISE for entry in entries)
    counted = {
        "n_total": len(entries),
        "n_target": len(entries) - noise,
        "n_noise": noise,
        "split_counts": {s: sum(entry.split == s for entry in entries) for s in SPLITS},
        "classes": sorted(classes),
    }
    return VariantMeta.model_validate({**known, **counted})


def _from_earlier_tools(fields: JsonObject) -> JsonObject:
    """Complete an index without ``format``: what is new in ours follows from what it says."""
    if "format" in fields:
        return fields
    entries = [_completed(entry) for entry in fields["entries"]]
    rows = [VariantEntry.model_validate(entry) for entry in entries]
    meta = _meta(rows, {**fields["meta"], "group_by": _group(rows)})
    return {"format": FORMAT, "meta": meta.as_json(), "entries": entries}


def _completed(entry: JsonObject) -> JsonObject:
    seconds = entry["end_s"] - entry["start_s"]
    is_noise = entry["class"] == NOISE
    call = {
        "call_start_s": None if is_noise else 0.0,
        "call_end_s": None if is_noise else seconds,
    }
    return call | entry


def _group(rows: list[VariantEntry]) -> str:
    """What was divided: tapes, or something smaller."""
    tapes = {(row.tape_key, row.split) for row in rows}
    return "tape" if len(tapes) == len({tape for tape, _ in tapes}) else "call"
