"""Figures of merit of a classifier: one function each, on arrays, all fractions of one.

Where a denominator is zero (a class never predicted, a class with no clip) the value is 0.0, as in
scikit-learn with ``zero_division=0``.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundgate.audio.metrics.bootstrap import (
    BOOTSTRAP_DRAWS,
    group_numbers,
    percentiles,
    resamples,
)
from soundgate.audio.metrics.ranking import rank, rank_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

CALIBRATION_BINS = 15
THRESHOLD = 0.5
"""A label counts as given where its score reaches this; multi-label only."""


class ClassScores(NamedTuple):
    """Arrays of length class: float64 fractions, and int64 ``support``, the true clips."""

    precision: Array
    recall: Array
    f1: Array
    support: Array


class CalibrationBin(NamedTuple):
    """The clips whose confidence lies in ``(low, high]``; means are 0.0 in an empty bin."""

    low: float
    high: float
    clips: int
    confidence: float
    accuracy: float


def scores_per_class(truth: Array, predicted: Array) -> ClassScores:
    """Precision, recall and F1 of every class (van Rijsbergen 1979).

    Args:
        truth: bool ``(clip, class)``.
        predicted: bool ``(clip, class)``; one True a row where classes exclude one another.
    """
    hits = (truth & predicted).sum(0)
    claimed, support = predicted.sum(0), truth.sum(0)
    return ClassScores(
        precision=_ratio(hits, claimed),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, claimed + support),
        support=support,
    )


def average_precision(truth: Array, scores: Array) -> float:
    """Sum over thresholds of precision times the gain in recall, without interpolation.

    Scikit-learn's ``average_precision_score`` (Manning et al. 2008, ch. 8): equal scores share one
    threshold. 0.0 where no clip is positive.

    Args:
        truth: bool ``(clip,)``.
        scores: float ``(clip,)``; the higher, the likelier.
    """
    if not truth.any():
        return 0.0
    ones = np.ones((len(truth), 1), np.int64)
    return float(rank_figures(rank(truth, scores), ones).average_precision[0])


def mean_average_precision(truth: Array, scores: Array) -> float:
    """The mean of ``average_precision`` over the classes that have a positive clip (macro mAP).

    Args:
        truth: bool ``(clip, class)``.
        scores: float ``(clip, class)``.
    """
    present = np.flatnonzero(truth.any(0))
    if len(present) == 0:
        return 0.0
    return float(np.mean([average_precision(truth[:, k], scores[:, k]) for k in present]))


def micro_f1(truth: Array, predicted: Array) -> float:
    """F1 of all labels of all rows counted together; arrays bool ``(row, class)``."""
    total = int(truth.sum() + predicted.sum())
    return 2.0 * int((truth & predicted).sum()) / total if total else 0.0


def calibration(
    confidence: Array, correct: Array, *, bins: int = CALIBRATION_BINS
) -> tuple[float, list[CalibrationBin]]:
    """Expected calibration error (Guo et al. 2017) and the reliability diagram behind it.

    Args:
        confidence: float ``(n,)`` in 0..1, the score of what was predicted.
        correct: bool ``(n,)``.
        bins: how many bins of equal width; a value on a border belongs to the bin below it.

    Returns:
        The mean of |accuracy - confidence| over the bins, weighted by their clips, and the bins.
    """
    edges = np.linspace(0.0, 1.0, bins + 1)
    index = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    counts = np.bincount(index, minlength=bins)
    mean_confidence = _ratio(np.bincount(index, confidence, bins), counts)
    mean_accuracy = _ratio(np.bincount(index, correct.astype(float), bins), counts)
    gaps = np.abs(mean_accuracy - mean_confidence)
    error = float(np.sum(gaps * counts) / max(len(confidence), 1))
    table = [
        CalibrationBin(float(edges[k]), float(edges[k + 1]), int(counts[k]), float(c), float(a))
        for k, (c, a) in enumerate(zip(mean_confidence, mean_accuracy, strict=True))
    ]
    return error, table


def bootstrap_interval(
    correct: Array,
    counts: Array,
    groups: Sequence[object],
    *,
    seed: int,
    confidence: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
) -> tuple[float, float]:
    """Percentile interval of an accuracy (Efron 1979), resampling whole groups.

    Patches of a clip, and clips cut from one recording, stand or fall together; drawing them one
    by one would make the interval too narrow. Where every draw gives the same (all right, all
    wrong, one group) resampling knows nothing of the uncertainty: there it is the score interval
    (Wilson 1927) of as many independent trials as there are groups.

    Args:
        correct: ``(clip,)`` how many of the clip's items are right: 0 or 1, or its patches.
        counts: ``(clip,)`` how many items the clip has.
        groups: a clip's group each; equal values are drawn together.
        seed: of the draws.
        confidence: level of the interval, 0..1.
        draws: how many resamples.

    Returns:
        The lower and the upper end; at 0.95, the 2.5th and the 97.5th percentile of the draws.
    """
    if len(groups) == 0:
        return 0.0, 0.0
    index, n_groups = group_numbers(groups)
    hits = np.bincount(index, correct, n_groups)
    sizes = np.bincount(index, counts, n_groups)
    drawn_ratios = np.concatenate(
        [
            _ratio(drawn @ hits, drawn @ sizes)
            for drawn in resamples(n_groups, draws=draws, seed=seed)
        ]
    )
    if drawn_ratios.min() == drawn_ratios.max():
        return score_interval(float(drawn_ratios[0]), n_groups, confidence=confidence)
    low, high = percentiles(drawn_ratios, confidence)
    return float(low), float(high)


def score_interval(share: float, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927); never empty, never outside 0..1.

    Args:
        share: observed, 0..1.
        trials: independent trials, at least 1.
        confidence: level of the interval, 0..1.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    half = z * spread / (1 + z * z / trials)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def _ratio(numerator: Array, denominator: Array) -> Array:
    zero = np.zeros(len(numerator), np.float64)
    return np.divide(numerator, denominator, out=zero, where=denominator > 0)
