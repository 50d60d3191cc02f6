"""What a detector finds at every threshold of a list, from one set of scores.

The threshold is chosen where validation tapes are found best, and what is found there of the
benchmark is reported: the benchmark chooses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.detection.evaluation import tallies
from soundgate.audio.detection.evaluation.decoding import Decoding, decode
from soundgate.audio.metrics.events.matching import match_iou

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.detection.evaluation.decoding import Windows
    from soundgate.audio.detection.evaluation.tallies import Interval
    from soundgate.audio.detection.evaluation.truth import Truth
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Ints, Pairs

THRESHOLDS: Final = (
    *(0.001, 0.002, 0.005),
    *(round(k / 100, 2) for k in range(1, 100)),
    *(0.995, 0.998, 0.999),
)
"""Close to 0 and 1 they are closer together: networks are often too sure."""
TRIMS: Final = (0.0, 0.125, 0.25, 0.375, 0.5)
"""Shares of a window that may be taken off both ends of a detection; a half leaves one step."""
_SHORTEST: Final = 0.05
"""Share of calls that are so short that their length is no measure of others."""
UNCHOSEN: Final = 0.5
"""The threshold where validation tapes have no call that could choose one."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Counts of each tape at each threshold."""

    decoding: Decoding
    """As of the first threshold."""
    thresholds: Floats
    """Float64 (threshold,), ascending."""
    counts: Ints
    """Hits, calls and detections, int64 (threshold, tape, 3)."""
    detections: tuple[Intervals, ...]
    """What was found at each threshold; the same object where that is the same."""
    overlap: Floats
    """Intersection over union of all hits, summed, float64 (threshold,)."""

    @property
    def totals(self) -> Ints:
        """Counts of all tapes together, int64 (threshold, 3)."""
        return np.asarray(self.counts.sum(axis=1), np.int64)


def sweep(
    windows: Sequence[Windows],
    truth: Truth,
    decoding: Decoding,
    iou: float,
    thresholds: Iterable[float] = THRESHOLDS,
) -> Sweep:
    """Decode and match at every threshold.

    Args:
        windows: of every recording of ``truth``, by its number there.
        truth: the calls.
        decoding: how windows become detections; its threshold does not count.
        iou: least intersection over union of a match.
        thresholds: in any order.
    """
    ordered = np.unique(np.asarray(list(thresholds), np.float64))
    found: list[Intervals] = []
    judged: list[tuple[Ints, float]] = []
    for threshold in ordered.tolist():
        each = decode(windows, decoding.at(threshold))
        if found and _alike(found[-1], each):  # neighbouring thresholds often find the same
            each, outcome = found[-1], judged[-1]
        else:
            pairs = match_iou(truth.events, each, iou)
            outcome = tallies.tally(truth, each, pairs), _shared(truth.events, each, pairs)
        found.append(each)
        judged.append(outcome)
    counts, overlap = zip(*judged, strict=True)
    first = decoding.at(float(ordered[0]))
    return Sweep(first, ordered, np.stack(counts), tuple(found), np.array(overlap))


def _alike(ours: Intervals, theirs: Intervals) -> bool:
    """Whether both are the same detections, in the same order."""
    return (
        len(ours) == len(theirs)
        and np.array_equal(ours.start_s, theirs.start_s)
        and np.array_equal(ours.end_s, theirs.end_s)
        and np.array_equal(ours.clip, theirs.clip)
        and np.array_equal(ours.label, theirs.label)
    )


def _shared(events: Intervals, found: Intervals, pairs: Pairs) -> float:
    """Intersection over union of each pair, summed."""
    ours, theirs = events.where(pairs.left), found.where(pairs.right)
    shared = np.minimum(ours.end_s, theirs.end_s) - np.maximum(ours.start_s, theirs.start_s)
    return float((shared / (ours.length_s + theirs.length_s - shared)).sum())


@dataclass(frozen=True, slots=True)
class Choice:
    """What validation tapes chose."""

    decoding: Decoding
    f1: Interval
    """On the validation tapes, at this very threshold: a little better than on other tapes."""
    fit: float
    """The same F1 with hits that count as much as they overlap their calls; NaN as ``f1``."""
    is_chosen: bool
    """False where there was no call to choose by."""


def choose(
    windows: Sequence[Windows],
    truth: Truth,
    iou: float,
    *,
    merge_gap_s: float = 0.0,
    confidence: float = 0.95,
) -> Choice:
    """The trim and least length that fit the calls best, and the threshold with the best F1.

    Both are chosen by an F1 in which a hit counts as much as its intersection over union; the
    plain F1 is blind to boundaries. Of a range of thresholds that are equally good the middle one
    is taken, because the ends are good by chance.
    """
    lengths = dict.fromkeys((0.0, _shortest_hit_s(truth, iou)))
    ways = [Decoding(0.5, trim, merge_gap_s, least) for least in lengths for trim in TRIMS]
    tried = [sweep(windows, truth, way, iou) for way in ways]
    best = max(tried, key=lambda each: float(_fit(each).max()))
    reached = np.nan_to_num(tallies.f1(best.totals), nan=0.0)
    top = float(reached.max())
    if top <= 0:
        nothing = float("nan")
        return Choice(
            Decoding(UNCHOSEN, 0.0, merge_gap_s),
            tallies.Interval(nothing),
            nothing,
            is_chosen=False,
        )
    at = middle(np.flatnonzero(reached >= top - 1e-9))
    figures = tallies.intervals(best.counts[at], confidence)
    decoding = best.decoding.at(float(best.thresholds[at]))
    return Choice(decoding, figures["event_f1"], float(_fit(best)[at]), is_chosen=True)


def _shortest_hit_s(truth: Truth, iou: float) -> float:
    """The shortest detection that could be a hit of all but the shortest calls."""
    if not len(truth.events):
        return 0.0
    return round(iou * float(np.quantile(truth.events.length_s, _SHORTEST)), 4)


def _fit(swept: Sweep) -> Floats:
    """F1 with hits that count as much as they overlap their calls, float64 (threshold,)."""
    totals = swept.totals
    both = totals[:, tallies.CALLS] + totals[:, tallies.DETECTIONS]
    return np.asarray(2 * swept.overlap / np.maximum(both, 1), np.float64)


def middle(indices: Ints) -> int:
    """The middle of the longest run of consecutive indices; of equals the first run."""
    runs = np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[(len(longest) - 1) // 2])


def average_precision(swept: Sweep, confidence: float) -> Interval:
    """Area under precision over recall of all thresholds, with its interval.

    At each recall counts the best precision at that recall or a higher one. Recall that no
    threshold reaches has precision 0.
    """
    drawn = tallies.weights(swept.counts.shape[1])
    value = float(_area(swept.totals[None])[0])
    if drawn is None:
        return tallies.Interval(value)
    of_draws = np.einsum("dt,htc->dhc", drawn, swept.counts.astype(np.float64))
    return tallies.interval(value, _area(of_draws), confidence)


def _area(counts: Floats | Ints) -> Floats:
    """Areas of counts (draw, threshold, 3); NaN where there is no call."""
    precision, recall = tallies.precision(counts), tallies.recall(counts)
    order = np.argsort(recall, axis=1, kind="stable")
    recall = np.take_along_axis(recall, order, axis=1)
    precision = np.take_along_axis(precision, order, axis=1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    steps = np.diff(recall, axis=1, prepend=0.0)
    return np.asarray((steps * envelope).sum(axis=1), np.float64)
