"""Figures of decisions that weigh classes alike, with intervals; classes exclude one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from soundgate.audio.metrics.bootstrap import (
    BOOTSTRAP_DRAWS,
    group_numbers,
    percentiles,
    resamples,
)
from soundgate.audio.metrics.classification import score_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

BETA: Final = 0.5
"""Precision counts twice as much as recall (van Rijsbergen 1979)."""


class MacroFigures(NamedTuple):
    """Arrays whose axis is the resample, or numbers ``()``; all in 0..1."""

    accuracy: Array
    """Share of the decisions that are right."""
    macro_precision: Array
    """Mean over classes, like the next two."""
    macro_recall: Array
    macro_f05: Array


class Interval(NamedTuple):
    """A figure with the ends of its interval."""

    value: float
    low: float
    high: float


def confusion_counts(truth: Array, decided: Array, classes: int) -> Array:
    """Int64 ``(class, class)``: a row a true class, a column a decided one.

    Args:
        truth: int ``(item,)``, numbers of the true classes.
        decided: int ``(item,)``, numbers of those decided for.
        classes: how many there are.
    """
    pairs = truth * classes + decided
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def macro_figures(truth: Array, decided: Array, classes: int) -> MacroFigures:
    """The figures of all items together.

    Means are over the classes that occur in the truth or among the decisions, as in scikit-learn;
    where a denominator is zero the value is 0.0.

    Args:
        truth: int ``(item,)``, at least one.
        decided: int ``(item,)``.
        classes: how many there are.
    """
    tallies = _tallies(truth, decided, np.zeros(len(truth), np.int64), 1, classes)
    return MacroFigures(*(array[0] for array in _figures(*tallies)))


def macro_intervals(
    truth: Array,
    decided: Array,
    classes: int,
    groups: Sequence[object],
    *,
    seed: int,
    confidence: float = 0.95,
) -> dict[str, Interval]:
    """Percentile intervals of every figure by its name (Efron 1979), resampling whole groups.

    Where every draw gives the same, it is the score interval (Wilson 1927) of as many trials as
    there are groups.

    Args:
        truth: int ``(item,)``, at least one.
        decided: int ``(item,)``.
        classes: how many there are.
        groups: an item's recording each; equal values are drawn together.
        seed: of the draws.
        confidence: level of the intervals, 0..1.
    """
    index, count = group_numbers(groups)
    tallies = _tallies(truth, decided, index, count, classes)
    parts = [
        _figures(*(drawn @ tally for tally in tallies))
        for drawn in resamples(count, draws=BOOTSTRAP_DRAWS, seed=seed)
    ]
    whole = macro_figures(truth, decided, classes)
    found = {}
    for name, value, *drawn in zip(MacroFigures._fields, whole, *parts, strict=True):
        draws = np.concatenate(drawn)
        if np.ptp(draws) == 0:
            ends = score_interval(float(value), count, confidence=confidence)
        else:
            low, high = percentiles(draws, confidence)
            ends = float(low), float(high)
        found[name] = Interval(float(value), *ends)
    return found


def _tallies(
    truth: Array, decided: Array, index: Array, groups: int, classes: int
) -> tuple[Array, Array, Array]:
    """Hits, decisions and true items of each class, int64 ``(group, class)``."""

    def count(numbers: Array, weights: Array) -> Array:
        flat = np.bincount(index * classes + numbers, weights, groups * classes)
        return flat.astype(np.int64).reshape(groups, classes)

    ones = np.ones(len(truth))
    return count(truth, truth == decided), count(decided, ones), count(truth, ones)


def _figures(hits: Array, claimed: Array, support: Array) -> MacroFigures:
    """Of tallies ``(draw, class)``."""
    precision, recall = _ratio(hits, claimed), _ratio(hits, support)
    weight = BETA * BETA
    f05 = _ratio((1 + weight) * hits, claimed + weight * support)
    there = (claimed + support) > 0
    return MacroFigures(
        accuracy=hits.sum(1) / support.sum(1),
        macro_precision=precision.sum(1) / there.sum(1),
        macro_recall=recall.sum(1) / there.sum(1),
        macro_f05=f05.sum(1) / there.sum(1),
    )


def _ratio(numerator: Array, denominator: Array) -> Array:
    zero = np.zeros(numerator.shape)
    return np.divide(numerator, denominator, out=zero, where=denominator > 0)
