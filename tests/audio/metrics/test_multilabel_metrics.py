"""Multi-label figures, against scikit-learn where it defines them and by hand where it does not."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
from sklearn import metrics as reference

from soundgate.audio.metrics import multilabel, ranking
from soundgate.audio.metrics.bootstrap import resamples
from soundgate.audio.metrics.thresholds import best_thresholds
from soundgate.errors import DataError


class Case(NamedTuple):
    truth: np.ndarray
    scores: np.ndarray


def _cases():
    rng = np.random.default_rng(4)
    truth = rng.random((300, 7)) < rng.random(7)
    truth[0], truth[1] = True, False
    yield "random", Case(truth, np.clip(truth * 0.3 + rng.random((300, 7)), 0, 1))
    yield "ties", Case(truth, rng.integers(0, 4, (300, 7)) / 4)
    yield "all scores equal", Case(truth, np.full((300, 7), 0.5))
    yield "two clips", Case(np.array([[True, False], [False, True]]), np.eye(2))
    yield "all wrong", Case(truth, np.where(truth, 0.0, 1.0))
    yield "float32", Case(truth, rng.random((300, 7), np.float32))


CASES = dict(_cases())


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def test_every_figure_is_scikit_learn_s(case):
    given = multilabel.tags(case.truth, case.scores, 0.5)
    found = multilabel.figures(given)
    truth, decided, scores = given.truth, given.decided, given.scores
    for average, ours in (
        (None, (found.precision, found.recall, found.f1)),
        ("micro", (found.micro_precision, found.micro_recall, found.micro_f1)),
        ("macro", (found.macro_precision, found.macro_recall, found.macro_f1)),
    ):
        theirs = reference.precision_recall_fscore_support(
            truth, decided, average=average, zero_division=0
        )
        np.testing.assert_allclose(ours, np.array(theirs[:3], float), atol=1e-12)
    ap, auc = reference.average_precision_score, reference.roc_auc_score
    np.testing.assert_allclose(found.average_precision, ap(truth, scores, average=None))
    np.testing.assert_allclose(found.roc_auc, auc(truth, scores, average=None))
    np.testing.assert_allclose(found.mean_average_precision, ap(truth, scores, average="macro"))
    np.testing.assert_allclose(found.macro_roc_auc, auc(truth, scores, average="macro"))
    np.testing.assert_allclose(found.hamming_distance, reference.hamming_loss(truth, decided))
    np.testing.assert_allclose(found.subset_accuracy, reference.accuracy_score(truth, decided))
    theirs = reference.multilabel_confusion_matrix(truth, decided)
    np.testing.assert_array_equal(multilabel.confusion(given), theirs)
    assert multilabel.one_sided(given) == ((), ())


def test_curves_are_scikit_learn_s(case):
    for truth, scores in zip(case.truth.T, case.scores.T, strict=True):
        x, y, thresholds = ranking.roc_curve(truth, scores)
        theirs = reference.roc_curve(truth, scores, drop_intermediate=False)
        np.testing.assert_allclose((x, y), theirs[:2])
        np.testing.assert_allclose(thresholds, theirs[2])
        x, y, thresholds = ranking.precision_recall_curve(truth, scores)
        precision, recall, cuts = reference.precision_recall_curve(truth, scores)
        np.testing.assert_allclose(x, recall[::-1])
        np.testing.assert_allclose(y, precision[::-1])
        np.testing.assert_allclose(thresholds[1:], cuts[::-1])


def test_masked_figures_are_those_of_the_annotated_clips_alone():
    case = CASES["ties"]
    rng = np.random.default_rng(8)
    mask = rng.random(case.truth.shape) < 0.6
    mask[5] = False
    scores = np.where(mask, case.scores, np.nan)
    given = multilabel.tags(case.truth, scores, 0.5, mask)
    found = multilabel.figures(given)
    for k in range(7):
        rows = mask[:, k]
        truth, decided = case.truth[rows, k], given.decided[rows, k]
        assert found.f1[k] == pytest.approx(reference.f1_score(truth, decided))
        expected = reference.average_precision_score(truth, scores[rows, k])
        assert found.average_precision[k] == pytest.approx(expected)
        assert found.roc_auc[k] == pytest.approx(reference.roc_auc_score(truth, scores[rows, k]))
        theirs = reference.confusion_matrix(truth, decided)
        np.testing.assert_array_equal(multilabel.confusion(given)[k], theirs)
        theirs = reference.roc_curve(truth, scores[rows, k], drop_intermediate=False)
        ours = ranking.roc_curve(case.truth[:, k], scores[:, k], rows)
        np.testing.assert_allclose((ours.x, ours.y), theirs[:2])
    truth, decided = case.truth[mask], given.decided[mask]
    assert found.micro_f1 == pytest.approx(reference.f1_score(truth, decided))
    assert found.hamming_distance == pytest.approx(np.mean(truth != decided))
    right = ((case.truth == given.decided) | ~mask).all(1)[mask.any(1)]
    assert found.subset_accuracy == pytest.approx(right.mean())


def test_labels_without_positives_are_named_and_lower_no_mean():
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], bool)
    scores = np.array([[0.9, 0.8, 0.9], [0.1, 0.2, 0.8], [0.8, 0.9, 0.3]])
    given = multilabel.tags(truth, scores, 0.5)
    found = multilabel.figures(given)
    assert multilabel.one_sided(given) == ((1,), (2,))
    assert found.macro_f1 == pytest.approx((1.0 + 0.8) / 2)
    assert found.mean_average_precision == 1.0
    assert found.macro_roc_auc == 1.0
    assert np.isnan(found.average_precision[1])
    assert np.isnan(found.roc_auc[[1, 2]]).all()
    assert found.micro_precision == pytest.approx(4 / 6)


@pytest.mark.parametrize("clips", [0, 3])
def test_without_an_annotated_label_means_are_undefined(clips):
    shape = (clips, 2)
    given = multilabel.tags(np.ones(shape, bool), np.ones(shape), 0.5, np.zeros(shape, bool))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = multilabel.figures(given)
        multilabel.intervals(given, ["a", "b", "c"][:clips], seed=0, draws=5)
    assert found.micro_f1 == 0.0
    assert np.isnan([found.macro_f1, found.mean_average_precision, found.macro_roc_auc]).all()
    assert np.isnan([found.hamming_distance, found.subset_accuracy]).all()
    assert multilabel.one_sided(given).without_positives == (0, 1)


def test_families_take_the_highest_of_their_annotated_labels():
    truth = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    scores = np.array([[0.2, 0.7, 0.1], [0.6, 0.1, 0.4], [0.3, 0.1, 0.2]])
    mask = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1]], bool)
    found = multilabel.by_family(
        multilabel.tags(truth, scores, 0.5, mask), {"strings": (0, 1), "voice": (2,)}
    )
    np.testing.assert_array_equal(found.truth, [[1, 0], [0, 1], [0, 0]])
    # The second clip's label 1 and the third's label 0 are open: the family could be there.
    np.testing.assert_array_equal(found.mask, [[1, 1], [0, 1], [0, 1]])
    assert found.scores[0].tolist() == [0.7, 0.1]
    np.testing.assert_array_equal(found.decided[found.mask], [1, 0, 0, 0])


@pytest.mark.parametrize("name", ["random", "ties"])
def test_every_resample_s_figures_are_those_of_repeated_clips(name):
    case = CASES[name]
    given = multilabel.tags(case.truth, case.scores, 0.5)
    groups = np.arange(300) // 7
    count = groups.max() + 1
    drawn = multilabel._drawn([given], groups.tolist(), seed=6, draws=9)[0]
    [multiplicities] = resamples(count, draws=9, seed=6)
    for k, multiplicity in enumerate(multiplicities):
        rows = np.repeat(np.arange(300), multiplicity[groups])
        fields = (given.truth, given.scores, given.decided, given.mask)
        expected = multilabel.figures(multilabel.Tags(*(array[rows] for array in fields)))
        for ours, theirs in zip(drawn, expected, strict=True):
            np.testing.assert_allclose(ours[k], theirs, atol=1e-12)


def test_intervals_are_wider_for_clips_of_one_recording_and_cover_the_value():
    rng = np.random.default_rng(0)
    truth = np.repeat(rng.random((60, 3)) < 0.5, 5, axis=0)
    scores = np.clip(truth * 0.4 + np.repeat(rng.random((60, 3)) * 0.7, 5, axis=0), 0, 1)
    given = multilabel.tags(truth, scores, 0.5)
    alone = multilabel.intervals(given, range(300), seed=1)
    grouped = multilabel.intervals(given, (np.arange(300) // 5).tolist(), seed=1)
    for field in ("micro_f1", "macro_f1", "mean_average_precision", "hamming_distance"):
        value = getattr(grouped.value, field)
        low, high = getattr(grouped.low, field), getattr(grouped.high, field)
        assert low < value < high
        narrow = getattr(alone.high, field) - getattr(alone.low, field)
        # Five equal clips each: the interval widens by the root of five.
        assert (high - low) / narrow == pytest.approx(5**0.5, rel=0.2)
    assert grouped.low.f1.shape == (3,)
    assert multilabel.intervals(given, range(300), seed=1).low.micro_f1 == alone.low.micro_f1


def test_a_perfect_tagger_has_an_interval_that_is_not_empty():
    truth = CASES["random"].truth
    given = multilabel.tags(truth, truth.astype(float), 0.5)
    found = multilabel.intervals(given, range(300), seed=0, draws=50)
    assert found.high.micro_f1 == 1.0
    assert 0.97 < found.low.micro_f1 < 1.0
    assert (found.low.f1 < 1.0).all()


def test_differences_are_paired():
    case = CASES["random"]
    rng = np.random.default_rng(5)
    ours = multilabel.tags(case.truth, case.scores, 0.5)
    slightly = np.where(rng.random(case.scores.shape) < 0.03, 1 - case.scores, case.scores)
    theirs = multilabel.tags(case.truth, slightly, 0.5)
    paired = multilabel.differences(ours, theirs, range(300), seed=0)
    one = multilabel.intervals(ours, range(300), seed=0)
    expected = multilabel.figures(ours).micro_f1 - multilabel.figures(theirs).micro_f1
    assert paired.value.micro_f1 == pytest.approx(expected)
    width = paired.high.micro_f1 - paired.low.micro_f1
    assert width < 0.5 * (one.high.micro_f1 - one.low.micro_f1)
    same = multilabel.differences(ours, ours, range(300), seed=0, draws=20)
    assert same.value.micro_f1 == 0.0
    assert same.low.micro_f1 < 0.0 < same.high.micro_f1
    other = multilabel.tags(~case.truth, case.scores, 0.5)
    with pytest.raises(DataError, match="truth: differs between the two"):
        multilabel.differences(ours, other, range(300), seed=0)


def test_scores_that_are_no_numbers_are_refused_with_clip_and_label():
    truth = np.zeros((2, 2), bool)
    with pytest.raises(DataError, match="clip 1 has nan for label 0"):
        multilabel.tags(truth, np.array([[0.1, 0.2], [np.nan, 0.1]]), 0.5)
    with pytest.raises(DataError, match=r"mask: shape \(2, 3\)"):
        multilabel.tags(truth, np.zeros((2, 2)), 0.5, np.ones((2, 3), bool))
    with pytest.raises(DataError, match=r"clip 0 has 1\.5 for label 1; must be 0 to 1"):
        best_thresholds(truth, np.array([[0.1, 1.5], [0.1, 0.1]]))


# ----- thresholds


def test_thresholds_reach_the_best_f1_of_all_cuts(case):
    found = best_thresholds(case.truth, case.scores)
    assert found.defaults == ()
    decided = multilabel.tags(case.truth, case.scores, np.array(found.values)).decided
    for k, (truth, scores) in enumerate(zip(case.truth.T, case.scores.T, strict=True)):
        tried = [reference.f1_score(truth, scores >= cut) for cut in np.unique(scores)]
        assert found.f1[k] == pytest.approx(max(tried))
        assert reference.f1_score(truth, decided[:, k]) == pytest.approx(max(tried))
        claims = [
            (scores >= cut).sum()
            for cut, f1 in zip(np.unique(scores), tried, strict=True)
            if f1 == pytest.approx(max(tried), abs=1e-12)
        ]
        assert decided[:, k].sum() == min(claims)


def test_of_equally_good_thresholds_the_highest_is_taken():
    # Claiming one clip gives 2/(1+2), claiming four gives 4/(4+2): equal.
    truth = np.array([[1], [0], [0], [1]], bool)
    scores = np.array([[0.9], [0.8], [0.7], [0.6]])
    found = best_thresholds(truth, scores)
    assert found.f1 == (pytest.approx(2 / 3),)
    assert found.values == (pytest.approx(0.85),)


def test_thresholds_lie_between_neighbouring_scores():
    truth = np.array([[1, 1, 1], [0, 1, 1]], bool)
    close = np.nextafter(np.float32(0.5), np.float32(0))
    scores = np.array([[0.5, 0.4, 0.0], [close, 0.2, 0.0]], np.float32)
    found = best_thresholds(truth, scores)
    assert close < found.values[0] < 0.5
    assert np.float32(found.values[0]) == 0.5, "in float32 there is nothing between them"
    assert found.values[1:] == (pytest.approx(0.1), 0.0)
    assert found.f1 == (1.0, 1.0, 1.0)


def test_labels_without_positives_keep_the_default_and_are_named():
    truth = np.array([[0, 1, 1], [0, 0, 0]], bool)
    mask = np.array([[1, 1, 0], [1, 1, 1]], bool)
    found = best_thresholds(truth, np.array([[0.9, 0.3, 0.9], [0.2, 0.1, 0.1]]), mask, default=0.4)
    assert found.defaults == (0, 2)
    assert found.values == (0.4, pytest.approx(0.2), 0.4)
    assert found.f1 == (None, 1.0, None)
