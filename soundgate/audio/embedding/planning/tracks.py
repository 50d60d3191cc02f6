"""The tracks of a data set: one class each, their lengths and recordings."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from soundgate.audio.clips.identical import joint_sources
from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.files.reading import info
from soundgate.audio.files.threads import ordered
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AUDIO = "audio"
"""What paths of a prepared data set begin with."""


@dataclass(frozen=True, slots=True)
class Track:
    """A clip of the data set, to be cut into segments."""

    track_id: str
    """Its recording: a source that clips share, else its file; the same sound is one recording."""
    path: str
    class_name: str
    subclass: str
    start_ms: int
    """Where it begins in its file."""
    length_ms: int
    fold: int | None
    split: str | None
    """Of the data set's own: training, validation or test."""
    place: int
    """Among the tracks of its class, sorted by path."""


def read_tracks(
    clips: Path, classes: Sequence[str], *, audio_format: str = "", workers: int = 1
) -> list[Track]:
    """The tracks of a data set in order of path.

    Args:
        clips: folder of a prepared data set.
        classes: those that are wanted; empty: all.
        audio_format: extension of the files that are wanted, ``wav``; empty: all.
        workers: threads that read lengths.

    Raises:
        DataError: no track is left, a class has none, a clip has several of the classes, or a file
            cannot be read.
    """
    wanted = [
        (clip, name)
        for clip in read_manifest(clips)
        if _has_format(clip, audio_format) and (name := _class_of(clip, classes)) is not None
    ]
    _check_found(clips, wanted, classes, audio_format)
    lengths = ordered(lambda each: _extent_ms(clips, each[0]), wanted, workers)
    sources = joint_sources(clips, [clip for clip, _ in wanted])
    places: Counter[str] = Counter()
    tracks = []
    for ((clip, name), (start_ms, length_ms)), source in zip(lengths, sources, strict=True):
        tracks.append(
            Track(
                track_id=source or clip.path,
                path=clip.path,
                class_name=name,
                subclass=_subclass(clip, name),
                start_ms=start_ms,
                length_ms=length_ms,
                fold=clip.fold,
                split=clip.split,
                place=places[name],
            )
        )
        places[name] += 1
    return tracks


def rank(seed: int, purpose: str, name: str) -> bytes:
    """A random order of names that depends on seed and names alone, on every machine."""
    return hashlib.blake2b(f"{seed}\n{purpose}\n{name}".encode(), digest_size=16).digest()


def _has_format(clip: Clip, audio_format: str) -> bool:
    suffix = PurePosixPath(clip.path).suffix.lower().removeprefix(".")
    return not audio_format or suffix == audio_format.lower().removeprefix(".")


def _class_of(clip: Clip, classes: Sequence[str]) -> str | None:
    found = [label for label in clip.labels if not classes or label in classes]
    if len(found) > 1:
        raise DataError(
            f"{clip.path}: is of several classes, {', '.join(found)}; a segment has one: leave "
            "the others out of classes"
        )
    return found[0] if found else None


def _subclass(clip: Clip, class_name: str) -> str:
    """What a data set says, else the folders between the class's and the file."""
    if "subclass" in clip.columns:
        return clip.columns["subclass"]
    *folders, _ = PurePosixPath(clip.path).parts
    return "/".join(folders[folders.index(class_name) + 1 :]) if class_name in folders else ""


def _extent_ms(clips: Path, clip: Clip) -> tuple[int, int]:
    """First millisecond and length; what is less than a millisecond does not count."""
    file_ms = int(info(clips / clip.path).duration_s * 1000)
    start_ms = round((clip.start_s or 0.0) * 1000)
    end_ms = file_ms if clip.end_s is None else min(round(clip.end_s * 1000), file_ms)
    if end_ms <= start_ms:
        raise DataError(f"{clip.path}: holds no sound from {start_ms / 1000:g} s on")
    return start_ms, end_ms - start_ms


def _check_found(
    clips: Path, found: Sequence[tuple[Clip, str]], classes: Sequence[str], audio_format: str
) -> None:
    kind = f" {audio_format}" if audio_format else ""
    have = sorted({name for _, name in found})
    if missing := [name for name in classes if name not in have]:
        known = sorted({label for clip in read_manifest(clips) for label in clip.labels})
        raise DataError(
            f"classes: no{kind} track of {missing[0]!r} in the data set{nearest(missing[0], known)}"
        )
    if not found:
        raise DataError(f"the data set has no{kind} tracks; check audio_format and classes")
