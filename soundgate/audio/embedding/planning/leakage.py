"""Recordings that lie on several sides: what is heard in training is then heard in the test."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from soundgate.audio.formats.embeddings.segments import SPLITS, Leakage, SharedTrack
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from soundgate.audio.formats.embeddings.segments import Segment

EXAMPLES: Final = 10


def leakage_of(segments: Iterable[Segment]) -> Leakage:
    """Count the recordings, and those of them that several splits share."""
    splits: defaultdict[str, set[str]] = defaultdict(set)
    for segment in segments:
        splits[segment.track_id].add(segment.split)
    shared = [
        SharedTrack(track_id=name, splits=tuple(s for s in SPLITS if s in splits[name]))
        for name in sorted(splits)
        if len(splits[name]) > 1
    ]
    return Leakage(tracks=len(splits), shared=len(shared), examples=tuple(shared[:EXAMPLES]))


def check(found: Leakage, split_by: str) -> str:
    """What to tell of it.

    Raises:
        DataError: splits share recordings, and were not made by counts, where that is known.
    """
    if not found.shared:
        return f"no recording of {found.tracks} lies in two splits"
    first = found.examples[0]
    text = (
        f"{found.shared} of {found.tracks} recordings lie in several splits, {first.track_id} in "
        f"{', '.join(first.splits)}"
    )
    if split_by == "count":
        return f"leakage: {text}; results are too good: split_by: track avoids it"
    raise DataError(f"{text}: clips of one recording must be in the same split")
