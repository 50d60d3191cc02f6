"""Tracks to segments: side by side from the start, then, round after round, from random offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from soundgate.audio.embedding.planning.tracks import Track, rank

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Cut(NamedTuple):
    """A segment of a track."""

    track: Track
    round: int
    """From 1."""
    bucket: int
    """Its place in the track and round."""
    start_ms: int
    """In the file."""
    length_ms: int
    """Of the sound; the last segment of a track is shorter than the window."""


def starts_ms(track: Track, window_ms: int, round_: int, seed: int) -> range:
    """Where the segments of a track begin in a round, ms from the start of the track.

    The first round begins with the track, later ones at an offset of less than a window and of at
    most half of the track. The last segment may lack sound at its end.

    >>> from soundgate.audio.embedding.planning.tracks import Track
    >>> track = Track("a", "a.wav", "rain", "", 0, 15_000, None, None, 0)
    >>> list(starts_ms(track, 7000, 1, seed=1))
    [0, 7000, 14000]
    """
    return range(_offset_ms(track, window_ms, round_, seed), track.length_ms, window_ms)


def rounds(tracks: Sequence[Track], window_ms: int, seed: int) -> Iterator[Cut]:
    """Endlessly yield the segments of tracks, round after round.

    Tracks come in a random order that depends on the seed and their names alone.
    """
    ordered = sorted(tracks, key=lambda track: rank(seed, "order", _name(track)))
    round_ = 0
    while ordered:
        round_ += 1
        for track in ordered:
            for bucket, start in enumerate(starts_ms(track, window_ms, round_, seed)):
                length_ms = min(window_ms, track.length_ms - start)
                yield Cut(track, round_, bucket, track.start_ms + start, length_ms)


def _name(track: Track) -> str:
    return f"{track.path}\n{track.start_ms}"


def _offset_ms(track: Track, window_ms: int, round_: int, seed: int) -> int:
    if round_ == 1:
        return 0
    drawn = rank(seed, f"offset {round_}", _name(track))
    below = max(1, min(window_ms, track.length_ms // 2))
    return int.from_bytes(drawn[:8], "little") * below >> 64
