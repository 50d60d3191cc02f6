"""What a system detects at every threshold: intervals that appear and disappear as it falls.

At a threshold, a class is detected where its score is at least that high. As the threshold falls,
detections grow and merge; each interval exists for thresholds in ``(lower, upper]``. There are at
most as many as frames, so that every threshold is looked at without trying them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Floats, Ints

_BLOCK_SCORES: Final = 1 << 18
"""So many scores are looked at together."""


@dataclass(frozen=True, slots=True)
class Levels:
    """Detections and the thresholds at which they exist; arrays (detection,)."""

    events: Intervals
    upper: Floats
    """The highest threshold at which it is one detection, included."""
    lower: Floats
    """The highest threshold at which it has become part of a larger one; -inf: never."""

    def at(self, threshold: float) -> Intervals:
        """What is detected at a threshold."""
        return self.events.where((self.lower < threshold) & (threshold <= self.upper))


def of_boxes(events: Intervals, scores: Floats) -> Levels:
    """Detections of fixed extent: each exists at thresholds up to its score, float64 (event,)."""
    scores = np.asarray(scores, np.float64)
    return Levels(events, scores, np.full(len(events), -np.inf))


def of_operating_points(detections: Sequence[Intervals]) -> Levels:
    """Detections at one threshold after another, each of which exists at its own alone.

    The score of some thresholds bounds that of all from below.
    """
    if not detections:
        return of_boxes(Intervals.of([], [], [], []), np.empty(0))
    counts = [len(each) for each in detections]
    at = np.repeat(np.arange(len(counts), 0.0, -1), counts)
    events = Intervals(
        *(
            np.concatenate([getattr(each, field.name) for each in detections])
            for field in fields(Intervals)
        )
    )
    return Levels(events, at, at - 1)


def of_scores(
    scores: Sequence[NDArray[np.floating]],
    edges_s: Sequence[Floats],
    floors: Floats | None = None,
) -> Levels:
    """Detections of scores for each frame.

    Args:
        scores: of each clip, (frame, class); -inf where a frame is never detected.
        edges_s: of each clip, where frames begin and the last one ends, float64 (frame + 1,).
        floors: of each class, the threshold from which on downwards nothing is looked for, float64
            (class,); None: everything is.

    Returns:
        Every maximal run of frames with scores of at least some threshold, for each clip and class.
    """
    parts = [_of_clips(k, scores, edges_s, floors) for k in _alike(scores)]
    if not parts:
        return of_boxes(Intervals.of([], [], [], []), np.empty(0))
    return Levels(
        Intervals(*(np.concatenate([part[field] for part in parts]) for field in range(4))),
        *(np.concatenate([part[field] for part in parts]) for field in (4, 5)),
    )


def at_threshold(
    scores: Sequence[NDArray[np.floating]], edges_s: Sequence[Floats], threshold: float
) -> Intervals:
    """Runs of frames with scores of at least ``threshold``; arguments as of :func:`of_scores`."""
    active = [np.where(np.asarray(each) >= threshold, 0.0, -np.inf) for each in scores]
    return of_scores(active, edges_s).events


def _alike(scores: Sequence[NDArray[np.floating]]) -> Iterator[range]:
    """Clips one after another with equally many frames, at most some million scores."""
    begin = 0
    for end in range(1, len(scores) + 1):
        full = (end - begin) * scores[begin].size >= _BLOCK_SCORES
        if end == len(scores) or full or scores[end].shape != scores[begin].shape:
            yield range(begin, end)
            begin = end


def _of_clips(
    clips: range,
    scores: Sequence[NDArray[np.floating]],
    edges_s: Sequence[Floats],
    floors: Floats | None,
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats]:
    """Clip, class, start, end, upper and lower of the detections of clips of one shape."""
    rows = np.stack([np.asarray(scores[clip], np.float64).T for clip in clips])
    classes = rows.shape[1]
    if floors is not None:
        rows[rows <= floors[:, None]] = -np.inf
    rows = rows.reshape(-1, rows.shape[2])
    some = np.flatnonzero(np.isfinite(rows).any(axis=1))
    row, start, stop, upper, lower = _runs(rows[some])
    clip, label = np.divmod(some[row], classes)
    edges = np.stack([np.asarray(edges_s[each], np.float64) for each in clips])
    return clips.start + clip, label, edges[clip, start], edges[clip, stop], upper, lower


def _runs(rows: Floats) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Runs in each row (row, frame): row, first frame, frame after the last, upper and lower."""
    count, frames = rows.shape
    padded = np.full((count, frames + 2), -np.inf)
    padded[:, 1:-1] = rows
    minima = _range_minima(padded)
    first = _reach(minima, padded, forwards=False, strictly=False)
    # Equal frames of one run would give it several times: the first of them stands for it.
    is_first = _reach(minima, padded, forwards=False, strictly=True) == first
    last = _reach(minima, padded, forwards=True, strictly=False)
    row, frame = np.nonzero(is_first & np.isfinite(rows))
    start, stop = first[row, frame], last[row, frame]
    lower = np.maximum(padded[row, start - 1], padded[row, stop])
    return row, start - 1, stop - 1, rows[row, frame], lower


def _range_minima(padded: Floats) -> list[Floats]:
    """Minima of every range of 1, 2, 4, ... values, each table of the shape of ``padded``."""
    tables = [padded]
    width = padded.shape[1]
    while 2 << (len(tables) - 1) <= width:
        half = 1 << (len(tables) - 1)
        wider = tables[-1].copy()
        wider[:, : width - half] = np.minimum(wider[:, : width - half], tables[-1][:, half:])
        tables.append(wider)
    return tables


def _reach(minima: list[Floats], padded: Floats, *, forwards: bool, strictly: bool) -> Ints:
    """How far from each value the scores are at least (``strictly``: above) it, (class, frame).

    Forwards the index after the last such one, backwards that of the first. Steps of falling
    powers of two find it in as many steps as the width has digits.
    """
    width = padded.shape[1]
    values = padded[:, 1:-1]
    at = np.broadcast_to(np.arange(1, width - 1), values.shape).copy()
    compare = np.greater if strictly else np.greater_equal
    for power in range(len(minima) - 1, -1, -1):
        step = 1 << power
        begin = at if forwards else at - step
        inside = (begin + step <= width) & (begin >= 0)
        lowest = np.take_along_axis(minima[power], np.clip(begin, 0, width - 1), axis=1)
        moves = inside & compare(lowest, values)
        at = np.where(moves, at + step if forwards else at - step, at)
    return at
