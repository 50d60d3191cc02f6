"""Two classifiers on the same clips: how large is the difference, and could it be chance."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_HALVINGS = 60


class Share(NamedTuple):
    """How many items of each clip are right, and how many there are; arrays ``(clip,)``."""

    right: Array
    counts: Array

    @property
    def value(self) -> float:
        """The accuracy: right items over all items."""
        return float(self.right.sum() / self.counts.sum())


class McNemar(NamedTuple):
    """Clips on which exactly one of two classifiers is right, and how odd their split is."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: Array, second: Array) -> McNemar:
    """Exact two-sided McNemar test (McNemar 1947; the binomial test on the discordant clips).

    Args:
        first: bool ``(clip,)``: whether the first classifier is right.
        second: the same of the second, on the same clips.

    Returns:
        The counts, and the probability of a split at least as uneven if a clip that only one of
        them gets right were as likely to be the one's as the other's; 1.0 where there is none.
    """
    ours, theirs = int((first & ~second).sum()), int((second & ~first).sum())
    total, smaller = ours + theirs, min(ours, theirs)
    # Whole numbers: a float would lose the tail of thousands of clips.
    tail = sum(_binomials(total, smaller))
    return McNemar(ours, theirs, min(1.0, 2 * tail / 2**total))


def difference_interval(
    first: Share, second: Share, groups: Sequence[object], *, seed: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the first accuracy less the second, drawing whole groups (paired).

    Every draw takes the same groups for both, so what makes a recording hard for both cancels.
    Where every draw gives the same difference, resampling knows nothing of the uncertainty: there
    it is the score interval of a paired difference (Tango 1998), a group being a trial.

    Args:
        first: of the one classifier.
        second: of the other, on the same clips; it may have cut them into other numbers of items.
        groups: a clip's group each; equal values are drawn together.
        seed: of the draws.
        confidence: level of the interval, 0..1.

    Returns:
        The lower and the upper end, in -1..1.
    """
    index, count = group_numbers(groups)
    sums = [np.bincount(index, values, count) for values in (*first, *second)]
    parts = []
    for drawn in resamples(count, draws=BOOTSTRAP_DRAWS, seed=seed):
        ours, our_counts, theirs, their_counts = (drawn @ values for values in sums)
        parts.append(ours / our_counts - theirs / their_counts)
    draws = np.concatenate(parts)
    # Equal differences of different groups are equal up to rounding only.
    if np.ptp(draws) < 1e-12:
        return score_interval(float(draws[0]), count, confidence=confidence)
    low, high = percentiles(draws, confidence)
    return float(low), float(high)


def score_interval(
    difference: float, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval of a paired difference of shares (Tango 1998); never empty.

    Args:
        difference: observed, -1..1; the trials that differ all favour the same side.
        trials: pairs, at least 1.
        confidence: level of the interval, 0..1.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    ours, theirs = trials * max(difference, 0.0), trials * max(-difference, 0.0)

    def end(inside: float, outside: float) -> float:
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if abs(_score(ours, theirs, trials, middle)) > z:
                outside = middle
            else:
                inside = middle
        return inside

    return end(difference, -1.0), end(difference, 1.0)


def _score(ours: float, theirs: float, trials: int, assumed: float) -> float:
    """Tango's statistic of the hypothesis that the difference is ``assumed``."""
    linear = -ours - theirs + (2 * trials - ours + theirs) * assumed
    constant = -theirs * assumed * (1 - assumed)
    # The likeliest share of pairs that favour the second, were the difference as assumed.
    share = (math.sqrt(linear**2 - 8 * trials * constant) - linear) / (4 * trials)
    variance = trials * (2 * share + assumed * (1 - assumed))
    gap = ours - theirs - trials * assumed
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _binomials(n: int, last: int) -> Iterator[int]:
    """The binomial coefficients of ``n`` over 0 to ``last``."""
    value = 1
    for k in range(last + 1):
        yield value
        value = value * (n - k) // (k + 1)
