from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats

from soundgate.audio.metrics.paired import Share, difference_interval, mcnemar, score_interval


def _right(*pairs):
    """Pairs of (how many clips, the first is right, the second is right) as two arrays."""
    first = np.concatenate([np.full(n, a, bool) for n, a, _ in pairs])
    return first, np.concatenate([np.full(n, b, bool) for n, _, b in pairs])


@pytest.mark.parametrize(
    ("ours", "theirs"), [(0, 0), (1, 0), (3, 3), (8, 1), (0, 12), (200, 260), (4000, 3700)]
)
def test_mcnemar_is_the_binomial_test_of_the_discordant_clips(ours, theirs):
    first, second = _right((5, True, True), (ours, True, False), (theirs, False, True))
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (ours, theirs)
    expected = stats.binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_by_hand_and_with_the_sides_exchanged():
    first, second = _right((40, True, True), (8, True, False), (1, False, True))
    # Twice the chance of 0 or 1 heads in 9 throws.
    assert mcnemar(first, second).p_value == 20 / 512
    assert mcnemar(second, first).p_value == 20 / 512


def test_mcnemar_of_very_many_clips_does_not_vanish_to_nothing():
    first, second = _right((900, True, False), (3, False, True))
    assert mcnemar(first, second).p_value == pytest.approx(stats.binomtest(3, 903).pvalue, rel=1e-6)


def _accuracy(right):
    return Share(np.asarray(right), np.ones(len(right), np.int64))


def test_the_pairing_cancels_what_is_hard_for_both():
    rng = np.random.default_rng(3)
    hard = rng.random(400) < 0.5
    first = ~hard
    second = first.copy()
    second[:20] = False
    groups = list(range(400))
    low, high = difference_interval(_accuracy(first), _accuracy(second), groups, seed=0)
    gained = int(first[:20].sum())
    value = gained / 400
    assert low < value < high
    # Unpaired it would be about 1.96 sqrt(2 * 0.25 / 400) = 0.07 to each side.
    spread = math.sqrt(gained / 400**2)
    assert high - value == pytest.approx(1.96 * spread, rel=0.35)


def test_groups_are_drawn_whole():
    first = np.repeat([True, False, True, True], 50)
    second = np.repeat([True, True, False, False], 50)
    groups = np.repeat(range(4), 50).tolist()
    low, high = difference_interval(_accuracy(first), _accuracy(second), groups, seed=0)
    assert (low, high) == (-0.5, 1.0)  # of four recordings, not of 200 clips
    single = difference_interval(_accuracy(first), _accuracy(second), list(range(200)), seed=0)
    assert single[1] - single[0] < 0.3


def test_items_are_counted_by_each_side_on_its_own():
    ours = Share(np.array([3, 4, 0, 2]), np.array([4, 4, 4, 4]))
    theirs = Share(np.array([1, 1, 0, 1]), np.array([2, 1, 1, 2]))
    low, high = difference_interval(ours, theirs, "abcd", seed=0)
    assert ours.value - theirs.value == pytest.approx(9 / 16 - 3 / 6)
    assert -1.0 <= low < 9 / 16 - 3 / 6 < high <= 1.0


def test_the_draws_depend_on_the_seed_only():
    first, second = _right((30, True, True), (8, True, False), (4, False, True))
    groups = list(range(42))
    one = difference_interval(_accuracy(first), _accuracy(second), groups, seed=1)
    assert one == difference_interval(_accuracy(first), _accuracy(second), groups, seed=1)
    assert one != difference_interval(_accuracy(first), _accuracy(second), groups, seed=2)
    wide = difference_interval(_accuracy(first), _accuracy(second), groups, seed=1, confidence=0.99)
    assert wide[0] < one[0] < one[1] < wide[1]


def test_equal_decisions_leave_an_interval_that_is_not_empty():
    right = np.arange(16) % 3 > 0
    low, high = difference_interval(_accuracy(right), _accuracy(right), list(range(16)), seed=0)
    z = stats.norm.ppf(0.975)
    assert (low, high) == pytest.approx((-z * z / (16 + z * z), z * z / (16 + z * z)))


def _tango(ours, theirs, trials, assumed):
    """The statistic with its share found by maximising the likelihood."""

    def minus_log_likelihood(share):
        rest = max(1 - 2 * share - assumed, 1e-300)
        return -(
            ours * math.log(max(share + assumed, 1e-300))
            + theirs * math.log(max(share, 1e-300))
            + (trials - ours - theirs) * math.log(rest)
        )

    ends = (max(0.0, -assumed), (1 - assumed) / 2)
    share = optimize.minimize_scalar(
        minus_log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-12}
    ).x
    variance = trials * (2 * share + assumed * (1 - assumed))
    return (ours - theirs - trials * assumed) / math.sqrt(variance)


@pytest.mark.parametrize(("difference", "trials"), [(1.0, 5), (0.5, 12), (-0.25, 8), (0.0, 3)])
def test_score_interval_ends_where_tangos_statistic_is_critical(difference, trials):
    low, high = score_interval(difference, trials)
    ours, theirs = trials * max(difference, 0), trials * max(-difference, 0)
    z = stats.norm.ppf(0.975)
    assert -1.0 <= low < high <= 1.0
    for end, sign in ((low, 1), (high, -1)):
        if abs(end) < 1 - 1e-9:
            assert _tango(ours, theirs, trials, end) == pytest.approx(sign * z, rel=1e-3)
