"""Segments are counted out: so many of each class for each side."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING

from soundgate.audio.embedding.planning.cutting import rounds
from soundgate.audio.formats.embeddings.segments import SPLITS, Segment, record_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.embedding.planning.cutting import Cut
    from soundgate.audio.embedding.planning.tracks import Track


def by_side(
    tracks: Sequence[Track], sides: Sequence[str], window_ms: int, config: SecConfig
) -> Iterator[Segment]:
    """Yield the segments of every class and side: of its own tracks, as many as its size says."""
    own: defaultdict[tuple[str, str], list[Track]] = defaultdict(list)
    for track, side in zip(tracks, sides, strict=True):
        own[track.class_name, side].append(track)
    numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
    for name, side in sorted(own, key=lambda key: (key[0], SPLITS.index(key[1]))):
        cuts = rounds(own[name, side], window_ms, config.seed)
        if config.every_segment:
            chosen: Iterator[Cut] = itertools.takewhile(lambda cut: cut.round == 1, cuts)
        else:
            chosen = itertools.islice(cuts, config.sizes[side])
        yield from _segments(chosen, side, numbers[name], config)


def by_count(tracks: Sequence[Track], window_ms: int, config: SecConfig) -> Iterator[Segment]:
    """Yield the segments of every class: one stream, of which the sides are filled in turn."""
    own: defaultdict[str, list[Track]] = defaultdict(list)
    for track in tracks:
        own[track.class_name].append(track)
    for name in sorted(own):
        cuts, numbers = rounds(own[name], window_ms, config.seed), itertools.count()
        for side, size in config.sizes.items():
            yield from _segments(itertools.islice(cuts, size), side, numbers, config)


def shard_of(segments: Sequence[Segment], shards: int) -> list[list[Segment]]:
    """Divide segments into units of work of about equal size; those of one file stay together."""
    by_path: dict[str, list[Segment]] = {}
    for segment in sorted(segments, key=lambda each: (each.path, each.start_s, each.round)):
        by_path.setdefault(segment.path, []).append(segment)
    made: list[list[Segment]] = [[] for _ in range(shards)]
    before = 0
    for own in by_path.values():
        made[(2 * before + len(own)) * shards // (2 * len(segments))].extend(own)
        before += len(own)
    return made


def _segments(
    cuts: Iterator[Cut], side: str, numbers: Iterator[int], config: SecConfig
) -> Iterator[Segment]:
    has_noise = config.noise_perc > 0 and side in config.noise_splits
    for cut, number in zip(cuts, numbers, strict=False):
        track = cut.track
        yield Segment(
            record_id=record_id(track.path, cut.start_ms, cut.round),
            track_id=track.track_id,
            class_name=track.class_name,
            subclass=track.subclass,
            path=track.path,
            split=side,
            start_s=cut.start_ms / 1000,
            duration_s=cut.length_ms / 1000,
            round=cut.round,
            noise=has_noise,
            track=track.place,
            bucket=cut.bucket,
            number=number,
        )
