"""Scores of segments of fixed length, made of the scores of frames.

A segment is detected where any frame in it is, so that its score is their highest. Soft labels of
segments ask for another one: the mean of the frames, weighted by the seconds that they share with
the segment, and of windows of a recording that overlap the mean of the windows. Source: the DCASE
2024 challenge, task 4 (Cornell, Ebbers et al., 2024), for MAESTRO's classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.metrics.events.segments import active, per_clip
from soundgate.audio.metrics.ranking import partial_roc_auc, rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Bools, Floats, Intervals, Ints


@dataclass(frozen=True, slots=True)
class Segments:
    """Segments of all clips, those of one clip after those of another."""

    scores: Floats
    """(segment, class); -inf where no frame covers it."""
    truth: Bools
    """Whether an event of the class covers any part of it, (segment, class)."""
    clip: Ints
    """(segment,)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Scores of a stretch of a clip."""

    clip: int
    scores: NDArray[np.floating]
    """(frame, class)."""
    edges_s: Floats
    """Where frames begin and the last one ends, on the clip's own time, float64 (frame + 1,)."""


Pooling = Callable[["Window", "Floats"], tuple[int, "Floats"]]
"""The first segment, of those that begin and end at bounds, that a window covers, and the scores of
those that it does, float64 (segment, class)."""


def of_windows(
    windows: Sequence[Window],
    events: Intervals,
    clips_s: Floats,
    classes: int,
    length_s: float,
    pooling: Pooling,
) -> Segments:
    """Segments of clips.

    Args:
        windows: of each clip one or several.
        events: the ground truth.
        clips_s: length of each clip, float64 (clip,).
        classes: how many there are.
        length_s: seconds of a segment; the last of a clip ends with it.
        pooling: :func:`highest` or :func:`means`.
    """
    count = per_clip(clips_s, length_s)
    before = np.cumsum(count) - count
    total, number = np.zeros((count.sum(), classes)), np.zeros(count.sum())
    for window in windows:
        bounds = np.minimum(np.arange(count[window.clip] + 1) * length_s, clips_s[window.clip])
        first, scores = pooling(window, bounds)
        rows = before[window.clip] + first + np.arange(len(scores))
        total[rows] += scores
        number[rows] += 1
    truth = np.zeros((count.sum(), classes), bool)
    truth.reshape(-1)[active(events, classes, length_s, clips_s)] = True
    scores = np.where(number[:, None] > 0, total / np.maximum(number, 1)[:, None], -np.inf)
    return Segments(scores, truth, np.repeat(np.arange(len(count)), count))


def means(window: Window, bounds: Floats) -> tuple[int, Floats]:
    """The mean score of each segment's frames, by seconds; see :data:`Pooling`."""
    first, shared = _shared(window, bounds)
    return first, shared @ window.scores / shared.sum(axis=1, keepdims=True)


def highest(window: Window, bounds: Floats) -> tuple[int, Floats]:
    """The highest score of each segment's frames; see :data:`Pooling`."""
    first, shared = _shared(window, bounds)
    frames = shared > 1e-9
    begin, end = frames.argmax(axis=1), frames.shape[1] - frames[:, ::-1].argmax(axis=1)
    scores = [window.scores[b:e].max(axis=0) for b, e in zip(begin, end, strict=True)]
    return first, np.stack(scores).astype(np.float64)


def _shared(window: Window, bounds: Floats) -> tuple[int, Floats]:
    """The first segment that a window covers, and seconds that segments share with frames."""
    edges = window.edges_s
    first = int(np.searchsorted(bounds[1:], edges[0] + 1e-6))
    last = int(np.searchsorted(bounds[:-1], edges[-1] - 1e-6))
    low, high = bounds[first:last, None], bounds[first + 1 : last + 1, None]
    shared = np.clip(np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1]), 0, None)
    return first, shared


def roc_aucs(segments: Segments, most: float, weights: Ints | None = None) -> Floats:
    """Area under the ROC curve of each class up to a false-positive rate, as a share of it.

    Args:
        segments: of all clips.
        most: the highest false-positive rate; 0.1 is that of mpAUC, the mean over the classes.
        weights: how often each clip counts, int64 (clip,); None: once.

    Returns:
        Float64 (class,); NaN for a class that is active in no segment, or in all.
    """
    clip = segments.clip
    counts = np.ones(len(clip), np.int64) if weights is None else weights[clip]
    ranked = (
        rank(truth, scores)
        for truth, scores in zip(segments.truth.T, segments.scores.T, strict=True)
    )
    return np.array([partial_roc_auc(each, counts[:, None], most)[0] for each in ranked])
