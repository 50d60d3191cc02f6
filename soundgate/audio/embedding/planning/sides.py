"""Recordings to sides: each goes whole to train, es, valid or test."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from soundgate.audio.clips import splits
from soundgate.audio.embedding.planning.tracks import rank
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.audio.embedding.planning.tracks import Track

OWN = {splits.TRAINING: "train", splits.VALIDATION: "valid", splits.TEST: "test"}
"""Sides of a data set's own splits."""


def by_recording(
    tracks: Sequence[Track], sizes: Mapping[str, int], window_ms: int, seed: int
) -> list[str]:
    """The side of each track: recordings are dealt to the side that lacks most of its share.

    Args:
        tracks: of all classes.
        sizes: share of each side; 0: it gets nothing.
        window_ms: length of a segment.
        seed: of the order of recordings.

    Raises:
        DataError: a class has fewer recordings than there are sides.
    """
    wanted = {side: size for side, size in sizes.items() if size}
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, track in enumerate(tracks):
        groups[track.track_id].append(index)
    _check_recordings(tracks, wanted)
    filled = {side: Counter[str]() for side in wanted}
    sides = [""] * len(tracks)
    for name in sorted(groups, key=lambda name: rank(seed, "side", name)):
        own: Counter[str] = Counter()
        for index in groups[name]:
            own[tracks[index].class_name] += -(-tracks[index].length_ms // window_ms)
        side = min(
            wanted,
            key=lambda each: sum(filled[each][c] / wanted[each] * n for c, n in own.items()),
        )
        filled[side] += own
        for index in groups[name]:
            sides[index] = side
    _check_sides(tracks, sides, wanted)
    return sides


def by_data_set(
    tracks: Sequence[Track],
    sizes: Mapping[str, int],
    window_ms: int,
    seed: int,
    test_fold: int,
) -> list[str]:
    """The side of each track: as the data set says, and its training divided for what is missing.

    A data set with folds is tested on ``test_fold``.

    Raises:
        DataError: it has neither splits nor folds, or they cover some tracks only.
    """
    if all(track.split for track in tracks):
        sides = [OWN[str(track.split)] for track in tracks]
    elif all(track.fold for track in tracks):
        sides = ["test" if track.fold == test_fold else "train" for track in tracks]
    else:
        raise DataError(
            "split_by: the data set has neither splits nor folds for all tracks; write split_by: "
            "track"
        )
    if wanted := [side for side in sizes if sizes[side] and side not in sides]:
        rest = {side: sizes[side] for side in ("train", *wanted)}
        own = [index for index, side in enumerate(sides) if side == "train"]
        dealt = by_recording([tracks[index] for index in own], rest, window_ms, seed)
        for index, side in zip(own, dealt, strict=True):
            sides[index] = side
    return sides


def _check_recordings(tracks: Sequence[Track], wanted: Mapping[str, int]) -> None:
    recordings: defaultdict[str, set[str]] = defaultdict(set)
    for track in tracks:
        recordings[track.class_name].add(track.track_id)
    for name, found in recordings.items():
        if len(found) < len(wanted):
            raise DataError(
                f"class {name!r} has {len(found)} recording(s), but {', '.join(wanted)} need one "
                "each: add recordings, set a size to 0, or write split_by: count"
            )


def _check_sides(tracks: Sequence[Track], sides: Sequence[str], wanted: Mapping[str, int]) -> None:
    """Where recordings hold several classes, dealing may leave a class without a side."""
    have = {(track.class_name, side) for track, side in zip(tracks, sides, strict=True)}
    for name in sorted({track.class_name for track in tracks}):
        for side in wanted:
            if (name, side) not in have:
                raise DataError(
                    f"class {name!r} has no recording left for {side}: add recordings, choose "
                    f"another seed or set {side}_size to 0"
                )
