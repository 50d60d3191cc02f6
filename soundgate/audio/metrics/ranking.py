"""What an order by score is worth: average precision, area under the ROC curve, both curves.

Everything is exact with equal scores: they share one threshold. Where a figure is undefined (no
positive clip; for the ROC, no negative one either) it is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Ranking(NamedTuple):
    """Clips by falling score."""

    order: Array
    """Int64 ``(ranked clip,)``: numbers of the clips, those left out by the mask excepted."""
    truth: Array
    """Bool ``(ranked clip,)``, in that order."""
    first: Array
    """Int64 ``(threshold,)``: where the clips of each different score begin in it."""
    thresholds: Array
    """Float64 ``(threshold,)``: the different scores, falling."""


class RankFigures(NamedTuple):
    """A figure of each resample, float64 ``(draw,)``."""

    average_precision: Array
    roc_auc: Array


class Curve(NamedTuple):
    """A curve, from the highest threshold to the lowest; float64 ``(point,)``."""

    x: Array
    y: Array
    thresholds: Array
    """A clip is claimed where its score reaches this; infinite at the point without a claim."""


def rank(truth: Array, scores: Array, mask: Array | None = None) -> Ranking:
    """Put clips in order.

    Args:
        truth: bool ``(clip,)``.
        scores: float ``(clip,)``; the higher, the likelier.
        mask: bool ``(clip,)``: what is annotated; None: everything.
    """
    chosen = np.arange(len(truth)) if mask is None else np.flatnonzero(mask)
    order = chosen[np.argsort(-scores[chosen], kind="stable")]
    ranked = scores[order].astype(np.float64)
    # Differences of infinite scores are no numbers.
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])[: len(ranked)])
    return Ranking(order, truth[order].astype(bool), first, ranked[first])


def rank_figures(ranking: Ranking, weights: Array) -> RankFigures:
    """Average precision and ROC AUC (scikit-learn's definitions) of clips that count several times.

    Average precision is the sum over thresholds of precision times the gain in recall, without
    interpolation (Manning et al. 2008, ch. 8). The ROC AUC is the share of pairs of a positive
    and a negative clip in the right order, equal scores counting half (Hanley and McNeil 1982).

    Args:
        ranking: the clips.
        weights: int ``(clip, draw)``: how often each clip counts in each resample.
    """
    draws = weights.shape[1]
    if not ranking.truth.any():
        return RankFigures(np.full(draws, np.nan), np.full(draws, np.nan))
    all_weights = weights[ranking.order]
    positive_weights = all_weights[ranking.truth]
    tied = len(ranking.first) < len(ranking.order)
    if tied:
        all_weights = np.add.reduceat(all_weights, ranking.first, axis=0)
    # Only thresholds with a positive clip contribute to either sum.
    threshold_of = np.searchsorted(ranking.first, np.flatnonzero(ranking.truth), "right") - 1
    rows, starts = np.unique(threshold_of, return_index=True)
    gained = np.add.reduceat(positive_weights, starts, axis=0)
    there = all_weights[rows]
    claimed = np.cumsum(all_weights, axis=0, out=all_weights)
    hits, positives, total = np.cumsum(gained, axis=0), gained.sum(0), claimed[-1]
    claimed = claimed[rows]
    precision = hits / np.maximum(claimed, 1)
    negatives = total - positives
    # Negatives that rank lower, and half of those at the same score.
    below = negatives - (claimed - hits) + (there - gained) / 2
    with np.errstate(invalid="ignore"):
        return RankFigures(
            np.einsum("kd,kd->d", precision, gained) / positives,
            np.einsum("kd,kd->d", below, gained) / (positives * negatives.astype(np.float64)),
        )


def partial_roc_auc(ranking: Ranking, weights: Array, most: float = 1.0) -> Array:
    """Area under the ROC curve up to a false-positive rate, as a share of that rate.

    Points are joined by straight lines (Fawcett 2006), also at the end, which may lie between two
    thresholds. There is no correction for chance (McClish 1989): a random order has ``most / 2``.

    Args:
        ranking: the clips.
        weights: int ``(clip, draw)``: how often each clip counts in each resample.
        most: the highest false-positive rate, above 0 and at most 1.

    Returns:
        Float64 ``(draw,)``; NaN where there is no positive or no negative clip.
    """
    if not len(ranking.first):
        return np.full(weights.shape[1], np.nan)
    counted = weights[ranking.order]
    hits = np.add.reduceat(np.where(ranking.truth[:, None], counted, 0), ranking.first, axis=0)
    claimed = np.add.reduceat(counted, ranking.first, axis=0)
    start = np.zeros((1, weights.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore"):
        y, x = (
            np.cumsum(np.concatenate((start, part)), axis=0) / part.sum(axis=0)
            for part in (hits, claimed - hits)
        )
        width, rise = np.diff(x, axis=0), np.diff(y, axis=0)
        inside = np.clip(most - x[:-1], 0, width)
        slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
        area = (inside * (y[:-1] + slope * inside / 2)).sum(axis=0) / most
    return np.where(np.isnan(x[-1]) | np.isnan(y[-1]), np.nan, area)


def best_f1(ranking: Ranking) -> float:
    """The highest F1 of all thresholds; NaN where there is no positive clip."""
    hits, claimed, _ = _counts(ranking)
    if not ranking.truth.any():
        return float("nan")
    return float((2 * hits / (claimed + hits[-1])).max())


def precision_recall_curve(truth: Array, scores: Array, mask: Array | None = None) -> Curve:
    """Recall (x) and precision (y) at every different score, after the point (0, 1).

    Args:
        truth: bool ``(clip,)``.
        scores: float ``(clip,)``.
        mask: bool ``(clip,)``: what is annotated; None: everything.

    Returns:
        The curve; x is NaN where there is no positive clip.
    """
    hits, claimed, thresholds = _counts(rank(truth, scores, mask))
    recall = hits / hits[-1] if len(hits) and hits[-1] else np.full(len(hits), np.nan)
    return Curve(np.r_[0.0, recall], np.r_[1.0, hits / claimed], np.r_[np.inf, thresholds])


def roc_curve(truth: Array, scores: Array, mask: Array | None = None) -> Curve:
    """False-positive rate (x) and true-positive rate (y) at every different score, after (0, 0).

    Args:
        truth: bool ``(clip,)``.
        scores: float ``(clip,)``.
        mask: bool ``(clip,)``: what is annotated; None: everything.

    Returns:
        The curve; a rate is NaN where there is no clip that it is a share of.
    """
    hits, claimed, thresholds = _counts(rank(truth, scores, mask))
    false_alarms = claimed - hits
    rates = [
        np.r_[0.0, n / n[-1] if len(n) and n[-1] else np.full(len(n), np.nan)]
        for n in (false_alarms, hits)
    ]
    return Curve(rates[0], rates[1], np.r_[np.inf, thresholds])


def _counts(ranking: Ranking) -> tuple[Array, Array, Array]:
    """Positive clips and all clips that reach each threshold, and the thresholds."""
    last = np.r_[ranking.first[1:], len(ranking.order)] - 1 if len(ranking.first) else ranking.first
    return np.cumsum(ranking.truth)[last], last + 1, ranking.thresholds
