from __future__ import annotations

import re

import pytest
from toy_review import MISSED, PASSED, UNJUDGED

from soundgate.audio.formats.reports.comparison import Comparison
from soundgate.audio.formats.reports.report import Estimate, Headline
from soundgate.audio.review import charts, wording
from soundgate.audio.review.evidence import Verdict


def test_curves_leave_out_what_is_missing_or_not_finite():
    rows = [{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": float("nan")}, {"epoch": 3, "loss": 0}]
    (found,) = charts.all_curves(rows, 3)
    assert found.title == "Loss"
    assert [line.label for line in found.lines] == ["training"]
    assert len(found.lines[0].path.split("L")) == 2
    assert found.lines[0].kept == 0.0
    # The largest value of 1.0 stays below the top, zero lies on the axis.
    ends = re.fullmatch(r"M([\d.]+),([\d.]+)L([\d.]+),([\d.]+)", found.lines[0].path).groups()
    first, high, last, low = map(float, ends)
    assert (first, last, low) == (found.left, found.right, found.bottom)
    assert found.top < high < found.top + 15
    assert charts.all_curves([], None) == []
    (single,) = charts.all_curves(rows[:1], 1)
    assert single.kept_epoch == 1


def test_a_linear_probe_has_rounds():
    rows = [{"round": k, "loss": 1.0 / k} for k in (1, 2, 3)]
    (found,) = charts.all_curves(rows, 3)
    assert (found.unit, found.kept_epoch) == ("round", 3)
    assert found.lines[0].kept == pytest.approx(1 / 3)


COMPARED = {
    "left_out": {"unknown_to_champion": 0},
    "champion": {"name": "aed", "version": "3"},
    "compared": True,
    "clips": 80,
    "sources": 80,
    "confidence_level": 0.95,
    "headline": [{"metric": "clip_accuracy", "title": "Clip accuracy"}],
}


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.17, "the candidate is better than the champion, aed version 3: +0.090"),
        (-0.2, -0.01, "the candidate is worse than the champion"),
        (-0.02, 0.2, "the candidate is not clearly better or worse than the champion"),
    ],
)
def test_the_banner_says_what_the_interval_allows(low, high, said):
    gap = {"value": 0.09, "low": low, "high": high}
    compared = COMPARED | {"metrics": {"clip_accuracy": {"difference": gap}}}
    assert said in wording.against_champion(Comparison(**compared))
    compared["left_out"] = {"unknown_to_champion": 60, "champion_trained_on": 4}
    assert "(64 left out) the candidate is" in wording.against_champion(Comparison(**compared))


def test_a_falling_error_is_better_than_the_champion():
    gap = Estimate(value=-4.0, low=-6.0, high=-2.0)
    line = Headline(metric="onset_error_ms", title="Onset error", lower_is_better=True)
    assert wording.direction(gap, line) == "up"
    assert wording.direction(gap, line.model_copy(update={"lower_is_better": False})) == "down"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ((8, 1, 0.0390625), "with probability 0.039 (exact McNemar test): chance hardly"),
        ((3, 2, 1.0), "with probability 1.000 (exact McNemar test): chance may"),
        ((0, 0, 1.0), "Both models are right on the same clips"),
        ((90, 1, 1e-20), "probability less than 0.001"),
    ],
)
def test_mcnemar_in_words(test, said):
    names = ("only_candidate_right", "only_champion_right", "p_value")
    found = wording.mcnemar(Comparison(**COMPARED, mcnemar=dict(zip(names, test, strict=True))))
    assert said in found


@pytest.mark.parametrize(
    ("verdicts", "state", "title"),
    [
        ([], "neutral", "No gate was declared"),
        ([PASSED], "good", "Passed its only gate"),
        ([PASSED, PASSED], "good", "Passed all 2 gates"),
        ([PASSED, MISSED], "bad", "Missed 1 of 2 gates"),
        ([PASSED, UNJUDGED], "mixed", "Missed 1 of 2 gates (advisory)"),
        ([MISSED, UNJUDGED], "bad", "Missed 2 of 2 gates"),
    ],
)
def test_the_banner(verdicts, state, title):
    shown = [Verdict.model_validate(verdict) for verdict in verdicts]
    found = wording.banner(shown, Comparison(compared=False))
    assert (found.state, found.title) == (state, title)
    # As the registry sees it: without a verdict, or with an advisory miss, approval needs more.
    overridden = "Approving it needs an override and a reason." in found.sentences
    assert overridden == (state in ("neutral", "mixed"))
    assert ("The run registers no candidate." in found.sentences) == (state == "bad")


def test_lost_classes_and_few_compared_clips_are_in_the_banner():
    shown = [Verdict.model_validate(PASSED)]
    names = {"unknown_to_candidate": ["siren", "wind"], "unknown_to_champion": ["bell"]}
    fields = {"champion": {"name": "aed", "version": "3"}, "reason": "no class in common"}
    changed = Comparison.model_validate({"compared": False, "classes_left_out": names, **fields})
    found = wording.banner(shown, changed)
    assert (found.state, found.title) == ("mixed", "Passed its only gate; the classes change")
    assert "2 classes of the champion would be lost: siren, wind." in found.sentences
    assert "1 class would be new: bell." in found.sentences
