"""What a system detects at every threshold: intervals that appear and disappear as it falls.

At a threshold, a class is detected where its score is at least that high. As the threshold falls,
detections grow and merge; each interval exists for thresholds in ``(lower, upper]``. There are at
most as many as frames, so that every threshold is looked at without trying them one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.metrics.events.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Floats, Ints


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


def of_scores(scores: Sequence[NDArray[np.floating]], edges_s: Sequence[Floats]) -> Levels:
    """Detections of scores for each frame.

    Args:
        scores: of each clip, (frame, class); -inf where a frame is never detected.
        edges_s: of each clip, where frames begin and the last one ends, float64 (frame + 1,).

    Returns:
        Every maximal run of frames with scores of at least some threshold, for each clip and class.
    """
    parts = [_of_clip(np.asarray(s, np.float64).T) for s in scores]
    rows = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
    clip = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    times = [
        (edges[part[1]], edges[part[2]])
        for part, edges in zip(parts, map(np.asarray, edges_s), strict=True)
    ]
    starts, ends = (
        np.concatenate([each[side] for each in times]) if times else np.empty(0) for side in (0, 1)
    )
    upper, lower = (
        np.concatenate([part[side] for part in parts]) if parts else np.empty(0) for side in (3, 4)
    )
    return Levels(Intervals.of(clip, rows, starts, ends), upper, lower)


def _of_clip(rows: Floats) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Runs in each row (class, frame): row, first frame, frame after the last, upper and lower."""
    classes, frames = rows.shape
    padded = np.full((classes, frames + 2), -np.inf)
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
