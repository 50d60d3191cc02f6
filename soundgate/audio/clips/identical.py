"""Clips that hold the same sound are one recording, whatever their files are called.

Files of the same bytes do, and files of different formats whose samples are equal once decoded.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.files.reading import info, read
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

    Recording = tuple[str, str]

T = TypeVar("T")

_SAMPLE_BYTES: Final = 4096


def joint_sources(clips: Path, listed: Sequence[Clip]) -> list[str | None]:
    """The source of every clip, where the same sound counts as the same recording.

    Recordings that share a clip become one. Clips that the data set itself puts into different
    splits or folds stay apart: its division is not changed here, the inspection judges it. Digital
    silence is no recording.

    Args:
        clips: folder that the clips' paths are relative to.
        listed: clips that are used.

    Returns:
        For each clip its own ``source`` where nothing is joined, else the name of the whole group.
    """
    joined: dict[Recording, Recording] = {}
    for group in chain(_alike(clips, listed), _alike_when_decoded(clips, listed)):
        leaders = {_leader(joined, clip.recording) for clip in group}
        # A data set's own source comes before a path.
        first = min(leaders, key=lambda recording: (recording[0] == "file", recording[1]))
        joined.update((leader, first) for leader in leaders - {first})
    heads = set(joined.values())
    return [
        _leader(joined, clip.recording)[1]
        if clip.recording in joined or clip.recording in heads
        else clip.source
        for clip in listed
    ]


def _leader(joined: dict[Recording, Recording], recording: Recording) -> Recording:
    while recording in joined:
        recording = joined[recording]
    return recording


def _alike(clips: Path, listed: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Groups of clips that hold the same bytes; few files are read to their end for it."""

    def size_and_sample(clip: Clip) -> Hashable:
        sample = _sample(clips / clip.path)
        return clip.split, clip.fold, clip.start_s, clip.end_s, sample or clip.path

    for candidates in _several(listed, size_and_sample):
        for group in _several(candidates, lambda clip: sha256_of(clips / clip.path)):
            if len({clip.recording for clip in group}) > 1 and _sounds(clips / group[0].path):
                yield group


def _alike_when_decoded(clips: Path, listed: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Groups of clips of one sound in files of different formats.

    Only files that have a twin of another format, of equal rate and length by their headers, are
    decoded, so that a data set of one format costs nothing.
    """
    if len({_format(clip) for clip in listed}) < 2:
        return

    def length(clip: Clip) -> Hashable:
        return clip.split, clip.fold, clip.start_s, clip.end_s, _length(clips / clip.path)

    for candidates in _several(listed, length):
        if len({_format(clip) for clip in candidates}) < 2:
            continue
        for group in _several(candidates, lambda clip: _decoded(clips / clip.path)):
            if len({clip.recording for clip in group}) > 1:
                yield group


def _format(clip: Clip) -> str:
    return PurePosixPath(clip.path).suffix.lower()


def _several(items: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """Groups of two and more items of equal keys, in the order of their first."""
    groups: defaultdict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return (group for group in groups.values() if len(group) > 1)


def _sample(path: Path) -> tuple[int, bytes] | None:
    """A file's size, and some bytes of its middle; None: it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(size // 2)
            return size, file.read(_SAMPLE_BYTES)
    except OSError:
        return None


def _length(path: Path) -> Hashable:
    """Rate and frames by the header; a damaged file is like no other."""
    try:
        header = info(path)
    except DataError:
        return str(path)
    return header.rate_hz, header.frames


def _decoded(path: Path) -> bytes | str:
    """Digest of a file's samples; one that is damaged or silent is like no other."""
    try:
        samples = read(path)[0]
    except DataError:
        return str(path)
    return hashlib.blake2b(samples.tobytes()).digest() if np.any(samples) else str(path)


def _sounds(path: Path) -> bool:
    """Whether a file holds anything but zeros; a damaged one holds nothing to be compared."""
    try:
        return bool(np.any(read(path)[0]))
    except DataError:
        return False
