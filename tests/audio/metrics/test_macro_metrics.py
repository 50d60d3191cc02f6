from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from soundgate.audio.metrics.macro import confusion_counts, macro_figures, macro_intervals


@pytest.fixture(scope="module")
def decisions():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 4, 200)
    decided = np.where(rng.random(200) < 0.6, truth, rng.integers(0, 4, 200))
    return truth, decided


def test_equals_scikit_learn_also_where_a_class_never_occurs(decisions):
    truth, decided = decisions
    for classes in (4, 6):  # classes 4 and 5 are known, and neither true nor decided for
        found = macro_figures(truth, decided, classes)
        expected = reference.precision_recall_fscore_support(
            truth, decided, beta=0.5, average="macro", zero_division=0
        )
        assert np.allclose([*found[1:]], expected[:3], atol=1e-12)
        assert found.accuracy == reference.accuracy_score(truth, decided)


def test_a_class_that_is_never_decided_for_has_precision_0():
    truth, decided = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    found = macro_figures(truth, decided, 2)
    assert found.macro_precision == 0.25
    assert found.macro_recall == 0.5
    # of class 0: precision 1/2, recall 1, so 1.25 * 0.5 / (0.25 * 0.5 + 1) = 5/9
    assert found.macro_f05 == pytest.approx(5 / 18)


def test_precision_counts_more_than_recall():
    careful = macro_figures(np.array([0, 0, 0, 1]), np.array([0, 2, 2, 1]), 3)
    assert careful.macro_f05 == pytest.approx((1.25 / (0.25 * 3 + 1) + 1) / 3)


def test_intervals_draw_recordings_not_segments(decisions):
    truth, decided = decisions
    alone = macro_intervals(truth, decided, 4, list(range(200)), seed=0)
    together = macro_intervals(
        np.repeat(truth, 5), np.repeat(decided, 5), 4, np.repeat(np.arange(200), 5).tolist(), seed=0
    )
    for name, interval in alone.items():
        assert interval.low < interval.value < interval.high
        assert together[name] == pytest.approx(interval)  # copies add nothing
    assert alone["accuracy"].high - alone["accuracy"].low == pytest.approx(
        2 * 1.96 * np.sqrt(alone["accuracy"].value * (1 - alone["accuracy"].value) / 200), rel=0.15
    )


def test_all_right_is_no_certainty():
    truth = np.array([0, 1, 0, 1, 0])
    found = macro_intervals(truth, truth, 2, list(range(5)), seed=0)
    assert found["accuracy"] == pytest.approx((1.0, 0.5655, 1.0), abs=1e-3)  # Wilson, 5 of 5


def test_confusion_counts_have_the_truth_in_rows():
    counts = confusion_counts(np.array([0, 0, 1]), np.array([1, 1, 1]), 3)
    assert counts.tolist() == [[0, 2, 0], [0, 1, 0], [0, 0, 0]]
