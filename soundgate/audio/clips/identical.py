"""Clips whose files hold the same bytes are one recording, whatever the files are called."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.files.reading import read
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

    Recording = tuple[str, str]

T = TypeVar("T")

_GLANCE_BYTES: Final = 4096


def joint_sources(clips: Path, listed: Sequence[Clip]) -> list[str | None]:
    """The source of every clip, where the same bytes count as the same recording.

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
    for group in _alike(clips, listed):
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

    def size_and_glance(clip: Clip) -> Hashable:
        glance = _glance(clips / clip.path)
        return clip.split, clip.fold, clip.start_s, clip.end_s, glance or clip.path

    for candidates in _several(listed, size_and_glance):
        for group in _several(candidates, lambda clip: sha256_of(clips / clip.path)):
            if len({clip.recording for clip in group}) > 1 and _sounds(clips / group[0].path):
                yield group


def _several(items: Iterable[T], key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """Groups of two and more items of equal keys, in the order of their first."""
    groups: defaultdict[Hashable, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return (group for group in groups.values() if len(group) > 1)


def _glance(path: Path) -> tuple[int, bytes] | None:
    """A file's size, and some bytes of its middle; None: it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(size // 2)
            return size, file.read(_GLANCE_BYTES)
    except OSError:
        return None


def _sounds(path: Path) -> bool:
    """Whether a file holds anything but zeros; a damaged one holds nothing to be compared."""
    try:
        return bool(np.any(read(path)[0]))
    except DataError:
        return False
