"""Counts of each tape, and the figures of all tapes with intervals that draw whole tapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.bootstrap import BOOTSTRAP_DRAWS, percentiles, resamples

if TYPE_CHECKING:
    from soundgate.audio.detection.evaluation.truth import Truth
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Ints, Pairs

SEED: Final = 0
"""Of the bootstrap."""
HITS, CALLS, DETECTIONS = 0, 1, 2
"""Columns of a tally."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its confidence interval; NaN where it is undefined."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def tally(truth: Truth, detections: Intervals, matches: Pairs) -> Ints:
    """Hits, calls and detections of each tape, int64 (tape, 3)."""
    tape, tapes = truth.tape_numbers, len(truth.tape_names)
    counted = (truth.events.clip[matches.left], truth.events.clip, detections.clip)
    columns = [np.bincount(tape[of], minlength=tapes) for of in counted]
    return np.stack(columns, axis=1).astype(np.int64)


def precision(counts: Floats | Ints) -> Floats:
    """Share of detections that are calls, of counts (..., 3); 0 where nothing is detected."""
    return _ratio(counts[..., HITS], counts[..., DETECTIONS], 0.0)


def recall(counts: Floats | Ints) -> Floats:
    """Share of calls that are found, of counts (..., 3); NaN where there is none."""
    return _ratio(counts[..., HITS], counts[..., CALLS], np.nan)


def f1(counts: Floats | Ints) -> Floats:
    """Harmonic mean of both, of counts (..., 3); NaN where nothing is there and nothing found."""
    return _ratio(2 * counts[..., HITS], counts[..., CALLS] + counts[..., DETECTIONS], np.nan)


FIGURES: Final = {"event_f1": f1, "event_precision": precision, "event_recall": recall}


def weights(tapes: int, draws: int = BOOTSTRAP_DRAWS) -> Floats | None:
    """How often each draw has each tape, float64 (draw, tape); None where one tape is all."""
    if tapes < 2:  # nothing differs between draws of one
        return None
    return np.concatenate(list(resamples(tapes, draws=draws, seed=SEED))).astype(np.float64)


def intervals(counts: Ints, confidence: float) -> dict[str, Interval]:
    """Precision, recall and F1 of all tapes together, from counts (tape, 3)."""
    drawn = weights(len(counts))
    of_draws = None if drawn is None else drawn @ counts
    return {
        name: interval(
            float(figure(counts.sum(axis=0))),
            None if of_draws is None else figure(of_draws),
            confidence,
        )
        for name, figure in FIGURES.items()
    }


def interval(value: float, of_draws: Floats | None, confidence: float) -> Interval:
    """A figure with the percentiles of what it was in the draws."""
    if of_draws is None:
        return Interval(value)
    low, high = percentiles(of_draws, confidence)
    return Interval(value, float(low), float(high))


def _ratio(part: Floats | Ints, whole: Floats | Ints, otherwise: float) -> Floats:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.asarray(
        np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0), np.float64
    )
