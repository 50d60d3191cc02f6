"""Figures of multi-label decisions and scores, with masks of what is annotated.

The value of precision, recall and F1 is 0.0 where the denominator is zero, as in scikit-learn with
``zero_division=0``; every other figure is NaN where it is undefined. A mean over labels (macro)
is over labels that have a positive clip, and of ROC AUC a negative one too: ``one_sided`` names
the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundgate.audio.metrics.bootstrap import (
    BOOTSTRAP_DRAWS,
    group_numbers,
    percentiles,
    resamples,
)
from soundgate.audio.metrics.classification import score_interval
from soundgate.audio.metrics.paired import score_interval as score_interval_of_difference
from soundgate.audio.metrics.ranking import Ranking, rank, rank_figures
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]
    _Score = Callable[[float], tuple[float, float]]

# A block of resamples stays in the processor's cache: 250 draws of 5,000 clips are 5 MB.
_BLOCK_VALUES = 1_250_000


@dataclass(frozen=True)
class Tags:
    """What a tagger said of clips, and what is true; arrays ``(clip, label)``."""

    truth: Array
    """Bool."""
    scores: Array
    """Float, finite where annotated; the higher, the likelier."""
    decided: Array
    """Bool: the labels that are given."""
    mask: Array
    """Bool: what is annotated; everything else counts in no figure."""

    def __post_init__(self) -> None:
        """Check the arrays.

        Raises:
            DataError: shapes differ, or a score is no number.
        """
        shapes = {name: getattr(self, name).shape for name in ("scores", "decided", "mask")}
        for name, shape in shapes.items():
            if shape != self.truth.shape or len(shape) != 2:
                raise DataError(f"{name}: shape {shape} is not that of truth, {self.truth.shape}")
        odd = np.argwhere(self.mask & ~np.isfinite(self.scores))
        if len(odd):
            clip, label = odd[0]
            raise DataError(
                f"scores: clip {clip} has {self.scores[clip, label]} for label {label}; "
                "scores must be finite"
            )


class Figures(NamedTuple):
    """Every figure; arrays whose first axis, if any, is the resample. All lie in 0..1."""

    precision: Array
    """``(..., label)``, like the next four."""
    recall: Array
    f1: Array
    average_precision: Array
    roc_auc: Array
    micro_precision: Array
    """``(...)``: of all annotated decisions together, like the next two."""
    micro_recall: Array
    micro_f1: Array
    macro_precision: Array
    """``(...)``: mean over labels, like the next four."""
    macro_recall: Array
    macro_f1: Array
    mean_average_precision: Array
    macro_roc_auc: Array
    hamming_distance: Array
    """Share of the annotated decisions that are wrong."""
    subset_accuracy: Array
    """Share of the clips whose annotated labels are all decided right; a clip without any annotated
    label does not count."""


class OneSided(NamedTuple):
    """Numbers of labels that have no annotated clip of one kind."""

    without_positives: tuple[int, ...]
    without_negatives: tuple[int, ...]


class Intervals(NamedTuple):
    """Figures with the ends of their intervals."""

    value: Figures
    low: Figures
    high: Figures


def tags(truth: Array, scores: Array, thresholds: Array | float, mask: Array | None = None) -> Tags:
    """Decide by thresholds: a label is given where its score reaches its threshold.

    Args:
        truth: bool ``(clip, label)``.
        scores: float ``(clip, label)``.
        thresholds: float ``(label,)``, or one for all.
        mask: bool ``(clip, label)``: what is annotated; None: everything.
    """
    known = np.ones(truth.shape, bool) if mask is None else mask
    return Tags(truth.astype(bool), scores, scores >= thresholds, known)


def by_family(given: Tags, families: Mapping[str, Sequence[int]]) -> Tags:
    """The same clips with families for labels, ``(clip, family)``.

    A family is true or given where one of its annotated labels is; its score is their highest. It
    is annotated where an annotated label is true, or where all its labels are annotated.

    Args:
        given: of labels.
        families: numbers of each family's labels.
    """
    columns = []
    for members in families.values():
        own = list(members)
        mask = given.mask[:, own]
        truth = (given.truth[:, own] & mask).any(1)
        scores = np.where(mask, given.scores[:, own], -np.inf).max(1)
        decided = (given.decided[:, own] & mask).any(1)
        columns.append((truth, scores, decided, truth | mask.all(1)))
    return Tags(*(np.stack(column, 1) for column in zip(*columns, strict=True)))


def confusion(given: Tags) -> Array:
    """Clips of each label, int64 ``(label, truth, decided)``: ``[:, 1, 0]`` are missed."""
    cells = [
        [(given.mask & (given.truth == t) & (given.decided == d)).sum(0) for d in (False, True)]
        for t in (False, True)
    ]
    return np.moveaxis(np.array(cells), 2, 0)


def one_sided(given: Tags) -> OneSided:
    """The labels that no mean over labels, or not that of ROC AUC, contains."""
    positive = (given.truth & given.mask).any(0)
    negative = (~given.truth & given.mask).any(0)
    return OneSided(
        tuple(np.flatnonzero(~positive).tolist()), tuple(np.flatnonzero(~negative).tolist())
    )


def figures(given: Tags) -> Figures:
    """Every figure of the clips; arrays ``(label,)`` and numbers ``()``."""
    ones = np.ones((len(given.truth), 1), np.int32)
    return Figures(*(array[0] for array in _figures(given, _rankings(given), ones)))


def intervals(
    given: Tags,
    groups: Sequence[object],
    *,
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
    confidence: float = 0.95,
) -> Intervals:
    """Percentile intervals of every figure (Efron 1979), resampling whole groups.

    Clips of one recording stand or fall together. Where every draw gives the same, resampling
    knows nothing of the uncertainty: there it is the score interval (Wilson 1927) of as many
    trials as there are groups.

    Args:
        given: the clips.
        groups: a clip's recording each; equal values are drawn together.
        seed: of the draws.
        draws: how many resamples.
        confidence: level of the intervals, 0..1.
    """
    value = figures(given)
    if not len(groups):
        return Intervals(value, value, value)
    drawn = _drawn([given], groups, seed=seed, draws=draws)[0]
    count = len(set(groups))

    def alone(share: float) -> tuple[float, float]:
        return score_interval(share, count, confidence=confidence)

    return _intervals(value, drawn, confidence, alone)


def differences(
    first: Tags,
    second: Tags,
    groups: Sequence[object],
    *,
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
    confidence: float = 0.95,
) -> Intervals:
    """Figures of the first less those of the second, paired: every draw takes the same recordings.

    Where every draw gives the same it is the score interval of a paired difference (Tango 1998).

    Args:
        first: of the one tagger.
        second: of the other, on the same clips.
        groups: a clip's recording each; equal values are drawn together.
        seed: of the draws.
        draws: how many resamples.
        confidence: level of the intervals, 0..1.

    Raises:
        DataError: the truth or what is annotated differs between the two.
    """
    for field in ("truth", "mask"):
        if not np.array_equal(getattr(first, field), getattr(second, field)):
            raise DataError(f"{field}: differs between the two; compare them on the same clips")
    value = _less(figures(first), figures(second))
    if not len(groups):
        return Intervals(value, value, value)
    ours, theirs = _drawn([first, second], groups, seed=seed, draws=draws)
    count = len(set(groups))

    def alone(difference: float) -> tuple[float, float]:
        return score_interval_of_difference(difference, count, confidence=confidence)

    return _intervals(value, _less(ours, theirs), confidence, alone)


def _intervals(value: Figures, drawn: Figures, confidence: float, alone: _Score) -> Intervals:
    ends = [percentiles(array, confidence) for array in drawn]
    lows, highs = [low for low, _ in ends], [high for _, high in ends]
    for low, high in zip(lows, highs, strict=True):
        for place in zip(*np.nonzero(np.atleast_1d(high - low < 1e-12)), strict=True):
            where = place if low.ndim else ()
            low[where], high[where] = alone(float(low[where]))
    return Intervals(value, Figures(*lows), Figures(*highs))


def _less(first: Figures, second: Figures) -> Figures:
    return Figures(*(a - b for a, b in zip(first, second, strict=True)))


def _drawn(
    given: Sequence[Tags], groups: Sequence[object], *, seed: int, draws: int
) -> list[Figures]:
    """The figures of each resample, the same resamples for all of ``given``."""
    index, count = group_numbers(groups)
    rankings = [_rankings(each) for each in given]
    parts: list[list[Figures]] = [[] for _ in given]
    block_values = max(1, _BLOCK_VALUES * count // max(len(index), 1))
    for drawn in resamples(count, draws=draws, seed=seed, block_values=block_values):
        weights = drawn.T.astype(np.int32)[index]
        for each, ranked, part in zip(given, rankings, parts, strict=True):
            part.append(_figures(each, ranked, weights))
    return [Figures(*(np.concatenate(a) for a in zip(*part, strict=True))) for part in parts]


def _rankings(given: Tags) -> list[Ranking]:
    columns = (given.truth.T, given.scores.T, given.mask.T)
    return [rank(*column) for column in zip(*columns, strict=True)]


def _figures(given: Tags, rankings: Iterable[Ranking], weights: Array) -> Figures:
    """Of resamples: ``weights`` int32 ``(clip, draw)`` says how often each clip counts."""
    each_draw = weights.T.astype(np.float64)
    hits = each_draw @ (given.truth & given.decided & given.mask)
    claimed = each_draw @ (given.decided & given.mask)
    support = each_draw @ (given.truth & given.mask)
    known = each_draw @ given.mask
    ranked = [rank_figures(ranking, weights) for ranking in rankings]
    shape = hits.shape
    precisions = np.array([found.average_precision for found in ranked]).T.reshape(shape)
    areas = np.array([found.roc_auc for found in ranked]).T.reshape(shape)
    precision, recall = _or_zero(hits, claimed), _or_zero(hits, support)
    f1, there = _or_zero(2 * hits, claimed + support), support > 0
    hit, claim, true, all_known = (array.sum(1) for array in (hits, claimed, support, known))
    wrong = (given.truth != given.decided) & given.mask
    judged = given.mask.any(1)
    return Figures(
        precision=precision,
        recall=recall,
        f1=f1,
        average_precision=precisions,
        roc_auc=areas,
        micro_precision=_or_zero(hit, claim),
        micro_recall=_or_zero(hit, true),
        micro_f1=_or_zero(2 * hit, claim + true),
        macro_precision=_mean(precision, there),
        macro_recall=_mean(recall, there),
        macro_f1=_mean(f1, there),
        mean_average_precision=_mean(precisions, there),
        macro_roc_auc=_mean(areas, ~np.isnan(areas)),
        hamming_distance=_or_nan((each_draw @ wrong).sum(1), all_known),
        subset_accuracy=_or_nan(each_draw @ (judged & ~wrong.any(1)), each_draw @ judged),
    )


def _mean(values: Array, where: Array) -> Array:
    """The mean over labels, of those that have the figure; NaN where none has."""
    return _or_nan(np.where(where, values, 0.0).sum(1), where.sum(1))


def _or_zero(numerator: Array, denominator: Array) -> Array:
    found: Array = np.zeros(numerator.shape)
    return np.divide(numerator, denominator, out=found, where=denominator > 0)


def _or_nan(numerator: Array, denominator: Array) -> Array:
    found: Array = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=found, where=denominator > 0)
