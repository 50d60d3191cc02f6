"""Sound event bounding boxes from changes of the score (cSEBBs).

Source: Ebbers, Germain, Wichern, Le Roux, "Sound event bounding boxes", Interspeech 2024
(arXiv 2406.04212), written from the paper.

A step filter compares the mean score of the next half step with that of the last. Its maxima are
onsets, its minima offsets. A box's confidence is the mean score inside. Neighbours become one box
where the score falls little in between, so that an event that fades for a moment stays whole, and
all thresholds share the same boundaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from soundgate.audio.metrics.events.intervals import Bools, Floats, Ints

_SAME: Final = 10
"""Decimals of the step filter: flat stretches would else have maxima."""
_LITTLE: Final = 1e-3
"""Added to scores before their ratio is taken."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes of many rows of scores, by row and time; arrays (box,)."""

    row: Ints
    start_s: Floats
    end_s: Floats
    confidence: Floats


@dataclass(frozen=True, slots=True)
class Candidates:
    """Boxes before neighbours were merged, and what speaks against each merger; arrays (box,)."""

    row: Ints
    start_s: Floats
    end_s: Floats
    before: Floats
    """Integral of the row's score up to the start."""
    until: Floats
    """The same up to the end."""
    fall: Floats
    """The larger fall of the score from either box to the gap behind this one; inf: the last."""
    ratio: Floats
    """The larger ratio of either box's score to that of the gap; inf: the last of its row."""

    def merged(self, most_fall: float, most_ratio: float) -> Boxes:
        """Boxes of which those are one between which the score falls less.

        All mergers are decided at once, on the boxes as they are found.
        """
        joined = (self.fall < most_fall) & (self.ratio < most_ratio)
        first = np.flatnonzero(~np.append(False, joined[:-1])[: len(joined)])
        last = np.flatnonzero(~joined)
        start, end = self.start_s[first], self.end_s[last]
        confidence = (self.until[last] - self.before[first]) / (end - start)
        return Boxes(self.row[first], start, end, confidence)


def candidates(scores: Floats, edges_s: Floats, step_s: float) -> Candidates:
    """Find boxes.

    Args:
        scores: finite, float64 (row, frame): one class of one clip a row.
        edges_s: where frames begin and the last one ends, float64 (frame + 1,).
        step_s: length of the step filter, seconds.
    """
    times = _breakpoints(edges_s, step_s / 2)
    step = _step(scores, edges_s, times, step_s / 2)
    row, begin, end = _alternations(step[:, 1:] > step[:, :-1])
    start_s, end_s = times[begin], times[end]
    total = _integral(scores, edges_s)
    before, until = (_between(total, edges_s, row, at) for at in (start_s, end_s))
    fall, ratio = _falls(scores, edges_s, row, start_s, end_s)
    return Candidates(row, start_s, end_s, before, until, fall, ratio)


def _breakpoints(edges_s: Floats, half_s: float) -> Floats:
    """Where the step filter may turn: it is straight in between."""
    every = np.concatenate((edges_s, edges_s - half_s, edges_s + half_s))
    inside = every[(every >= edges_s[0]) & (every <= edges_s[-1])]
    return np.unique(np.round(inside, _SAME))


def _integral(scores: Floats, edges_s: Floats) -> Floats:
    """Integral of each row up to each edge, float64 (row, frame + 1)."""
    summed = np.cumsum(scores * np.diff(edges_s), axis=1)
    return np.concatenate((np.zeros((len(scores), 1)), summed), axis=1)


def _step(scores: Floats, edges_s: Floats, times: Floats, half_s: float) -> Floats:
    """Mean of the next half step less that of the last, (row, time); scores outside are 0."""
    total = _integral(scores, edges_s)

    def upto(at: Floats) -> Floats:
        at = np.clip(at, edges_s[0], edges_s[-1])
        frame = np.clip(np.searchsorted(edges_s, at, side="right") - 1, 0, scores.shape[1] - 1)
        return total[:, frame] + scores[:, frame] * (at - edges_s[frame])

    difference = upto(times + half_s) - 2 * upto(times) + upto(times - half_s)
    return np.round(difference / half_s, _SAME)


def _alternations(rises: Bools) -> tuple[Ints, Ints, Ints]:
    """Row, and index of the time, of maxima and of the minima that follow them.

    A maximum is the last point of a rise, a minimum the last one before the next. The first point
    ends a rise, too, and the last point a fall.

    Args:
        rises: whether the filter is higher at the next time, (row, time - 1).
    """
    rows = len(rises)
    before = np.concatenate((np.ones((rows, 1), bool), rises), axis=1)
    after = np.concatenate((rises, np.ones((rows, 1), bool)), axis=1)
    row, begin = np.nonzero(before & ~after)
    end = np.nonzero(~before & after)[1]
    return row, begin, end


def _between(total: Floats, edges_s: Floats, row: Ints, at: Floats) -> Floats:
    """Integral of each row up to a time, float64 (box,)."""
    frame = np.clip(np.searchsorted(edges_s, at, side="right") - 1, 0, len(edges_s) - 2)
    length = edges_s[frame + 1] - edges_s[frame]
    share = (at - edges_s[frame]) / length
    return total[row, frame] * (1 - share) + total[row, frame + 1] * share


def _falls(
    scores: Floats, edges_s: Floats, row: Ints, start_s: Floats, end_s: Floats
) -> tuple[Floats, Floats]:
    """Fall and ratio from boxes to the gap behind each; inf behind the last of a row."""
    if not len(row):
        return np.empty(0), np.empty(0)
    highest = _reduced(np.maximum, scores, edges_s, row, start_s, end_s)
    followed = np.flatnonzero(row[1:] == row[:-1])
    lowest = np.full(len(row), np.nan)
    lowest[followed] = _reduced(
        np.minimum, scores, edges_s, row[followed], end_s[followed], start_s[followed + 1]
    )
    either = np.maximum(highest[followed], highest[followed + 1])
    fall, ratio = np.full(len(row), np.inf), np.full(len(row), np.inf)
    fall[followed] = either - lowest[followed]
    ratio[followed] = (either + _LITTLE) / (lowest[followed] + _LITTLE)
    return fall, ratio


def _reduced(
    function: np.ufunc, scores: Floats, edges_s: Floats, row: Ints, begin_s: Floats, end_s: Floats
) -> Floats:
    """Highest or lowest score of the frames that a stretch of a row covers, float64 (stretch,)."""
    if not len(row):
        return np.empty(0)
    frames = scores.shape[1]
    first = np.searchsorted(edges_s, begin_s + 1e-9, side="right") - 1
    last = np.searchsorted(edges_s, end_s - 1e-9, side="left")
    first = np.clip(first, 0, frames - 1)
    last = np.clip(last, first + 1, frames)
    bounds = np.stack((row * frames + first, row * frames + last), axis=1).reshape(-1)
    padded = np.append(scores.reshape(-1), 0.0)  # a bound may be one behind the last score
    return np.asarray(function.reduceat(padded, bounds)[::2], np.float64)
