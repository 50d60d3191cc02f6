"""Figures of merit of a classifier: one function each, on arrays, all fractions of one.

Where a denominator is zero (a class never predicted, a class with no clip) the value is 0.0, as in
scikit-learn with ``zero_division=0``.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

CALIBRATION_BINS = 15
BOOTSTRAP_DRAWS = 1000
THRESHOLD = 0.5
"""A label counts as given where its score reaches this; multi-label only."""

# Draws of the bootstrap are made in blocks of about so many numbers (32 MB).
_BLOCK_VALUES = 4_000_000


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
    positives = int(truth.sum())
    if positives == 0:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    last_of_score = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    precision = hits[last_of_score] / (last_of_score + 1)
    recall = hits[last_of_score] / positives
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


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
    numbers: dict[object, int] = {}
    index = np.array([numbers.setdefault(group, len(numbers)) for group in groups])
    n_groups = len(numbers)
    hits = np.bincount(index, correct, n_groups)
    sizes = np.bincount(index, counts, n_groups)
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_VALUES // n_groups)
    ratios = []
    for start in range(0, draws, block):
        drawn = rng.integers(0, n_groups, (min(block, draws - start), n_groups))
        ratios.append(_ratio(hits[drawn].sum(1), sizes[drawn].sum(1)))
    tail = (1.0 - confidence) / 2
    drawn_ratios = np.concatenate(ratios)
    if drawn_ratios.min() == drawn_ratios.max():
        return score_interval(float(drawn_ratios[0]), n_groups, confidence=confidence)
    low, high = np.quantile(drawn_ratios, (tail, 1.0 - tail))
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
