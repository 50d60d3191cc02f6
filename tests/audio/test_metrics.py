from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as reference

from soundgate.audio.metrics import bootstrap
from soundgate.audio.metrics import classification as metrics


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_scores_per_class_agree_with_scikit_learn_also_where_nothing_is_predicted(rng):
    truth, predicted = rng.integers(0, 5, 200), rng.integers(0, 4, 200)
    truth[truth == 2] = 3  # class 2 has no clip, class 4 is never predicted
    ours = metrics.scores_per_class(np.eye(5, dtype=bool)[truth], np.eye(5, dtype=bool)[predicted])
    theirs = reference.precision_recall_fscore_support(
        truth, predicted, labels=range(5), zero_division=0
    )
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other)
    assert ours.recall[2] == 0.0
    assert ours.precision[4] == 0.0


def test_average_precision_by_hand():
    # Ranks 1 and 3 are hits: (1/1 + 2/3) / 2.
    value = metrics.average_precision(np.array([True, False, True]), np.array([0.9, 0.8, 0.1]))
    assert value == pytest.approx((1 + 2 / 3) / 2)
    # All scores equal: one threshold, precision is the share of positives whatever the order.
    truth = np.array([True, False, False, True, False])
    assert metrics.average_precision(truth, np.zeros(5)) == pytest.approx(0.4)
    assert metrics.average_precision(truth[::-1], np.zeros(5)) == pytest.approx(0.4)
    assert metrics.average_precision(np.zeros(3, bool), np.arange(3.0)) == 0.0


def test_average_precision_agrees_with_scikit_learn_with_and_without_ties(rng):
    truth = rng.random((400, 6)) < 0.2
    for scores in (rng.random((400, 6)), rng.integers(0, 5, (400, 6)) / 5):
        expected = reference.average_precision_score(truth, scores, average="macro")
        assert metrics.mean_average_precision(truth, scores) == pytest.approx(expected)


def test_classes_without_a_positive_do_not_lower_the_mean():
    truth = np.array([[True, False], [False, False]])
    assert metrics.mean_average_precision(truth, np.array([[0.9, 0.9], [0.1, 0.8]])) == 1.0
    assert metrics.mean_average_precision(np.zeros((2, 2), bool), np.ones((2, 2))) == 0.0


def test_multi_label_figures_agree_with_scikit_learn(rng):
    truth, predicted = rng.random((300, 4)) < 0.4, rng.random((300, 4)) < 0.4
    assert metrics.micro_f1(truth, predicted) == pytest.approx(
        reference.f1_score(truth, predicted, average="micro")
    )
    expected = reference.f1_score(truth, predicted, average=None)
    np.testing.assert_allclose(metrics.scores_per_class(truth, predicted).f1, expected)
    assert metrics.micro_f1(np.zeros((2, 2), bool), np.zeros((2, 2), bool)) == 0.0


def test_calibration_by_hand():
    # Two bins of width 0.5: (0, .5] holds .5 and .3, (.5, 1] holds .9 twice.
    error, bins = metrics.calibration(
        np.array([0.5, 0.3, 0.9, 0.9]), np.array([True, False, True, False]), bins=2
    )
    assert [b.clips for b in bins] == [2, 2]
    assert bins[0].confidence == pytest.approx(0.4)
    assert bins[1].accuracy == pytest.approx(0.5)
    assert error == pytest.approx(0.5 * abs(0.5 - 0.4) + 0.5 * abs(0.5 - 0.9))


def test_calibration_of_sure_and_right_answers_is_zero_and_of_sure_and_wrong_ones_one():
    assert metrics.calibration(np.ones(9), np.ones(9, bool))[0] == 0.0
    assert metrics.calibration(np.ones(9), np.zeros(9, bool))[0] == 1.0
    error, bins = metrics.calibration(np.zeros(0), np.zeros(0, bool))
    assert error == 0.0
    assert len(bins) == 15


def test_calibrated_answers_have_a_small_error(rng):
    confidence = rng.uniform(0.1, 1.0, 20_000)
    error, _ = metrics.calibration(confidence, rng.random(20_000) < confidence)
    assert error < 0.015


def test_interval_of_independent_clips_is_the_binomial_one(rng):
    correct = (np.arange(400) < 320).astype(float)
    low, high = metrics.bootstrap_interval(correct, np.ones(400), range(400), seed=0, draws=4000)
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert low == pytest.approx(0.8 - half, abs=0.006)
    assert high == pytest.approx(0.8 + half, abs=0.006)


def test_interval_resamples_groups_not_clips():
    # Ten recordings of 40 clips, each wholly right or wrong: as wide as ten clips would be.
    groups = np.repeat(np.arange(10), 40)
    correct = (groups < 8).astype(float)
    grouped = metrics.bootstrap_interval(correct, np.ones(400), list(groups), seed=0)
    few = metrics.bootstrap_interval((np.arange(10) < 8) * 1.0, np.ones(10), range(10), seed=0)
    assert grouped == few
    assert grouped[1] - grouped[0] > 0.4


def test_patch_interval_weighs_clips_by_their_patches():
    # One clip of 90 wrong patches and nine clips of one right patch each.
    counts, correct = np.r_[90, np.ones(9)], np.r_[0, np.ones(9)]
    low, high = metrics.bootstrap_interval(correct, counts, range(10), seed=1)
    assert low < 0.09 < high
    assert high == 1.0  # the long clip is missed by a third of the draws


def test_interval_depends_on_the_seed_alone_and_not_on_the_block_size(monkeypatch):
    correct, counts = np.arange(40) % 7, np.arange(40) % 5 + 7
    first = metrics.bootstrap_interval(correct, counts, range(40), seed=5)
    assert first == metrics.bootstrap_interval(correct, counts, range(40), seed=5)
    assert first != metrics.bootstrap_interval(correct, counts, range(40), seed=6)
    monkeypatch.setattr(bootstrap, "_BLOCK_VALUES", 40 * 7)
    assert first == metrics.bootstrap_interval(correct, counts, range(40), seed=5)


def test_interval_of_two_thousand_clips_takes_well_under_a_second(rng):
    correct = rng.random(2000) < 0.9
    start = time.process_time()
    metrics.bootstrap_interval(correct, np.ones(2000), range(2000), seed=0)
    assert time.process_time() - start < 1.0


def test_an_interval_where_resampling_knows_nothing_is_the_score_interval():
    """All right, 20 of 20: Wilson's lower end is n / (n + z^2), z = 1.959964."""
    ones = np.ones(20)
    low, high = metrics.bootstrap_interval(ones, ones, range(20), seed=0)
    assert low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)
    assert high == 1.0
    low, high = metrics.bootstrap_interval(np.zeros(20), ones, range(20), seed=0)
    assert (low, high) == pytest.approx((0.0, 1 - 20 / (20 + 1.959964**2)), abs=1e-6)
    one_source = metrics.bootstrap_interval(np.array([1, 1, 0]), np.ones(3), "aaa", seed=0)
    assert one_source[0] < 2 / 3 < one_source[1]


def test_the_score_interval_is_wilson_s():
    """Wilson's own form for 8 of 10, from the quadratic it solves."""
    low, high = metrics.score_interval(0.8, 10)
    for end in (low, high):
        assert (0.8 - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / 10, abs=1e-6)
    assert (low, high) == pytest.approx((0.490162, 0.943318), abs=1e-5)
