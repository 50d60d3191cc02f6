"""Counts and error rates of sed_eval's own cases, and areas under ROC curves."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import auc
from sklearn.metrics import roc_curve as reference_roc

from soundgate.audio.clips.annotations.files import read_annotations
from soundgate.audio.metrics.events import error_rates, segments
from soundgate.audio.metrics.events.intervals import Intervals, merged
from soundgate.audio.metrics.events.matching import Collar, count, match_collar
from soundgate.audio.metrics.ranking import best_f1, partial_roc_auc, rank, rank_figures

COLLARS = {
    "onoff_200ms_20pct": Collar(0.2, 0.2, 0.2),
    "onoff_500ms_50pct": Collar(0.5, 0.5, 0.5),
    "onset_only_200ms": Collar(0.2, None),
}


@pytest.fixture(scope="module", params=["office_high", "office_med"])
def office(request, real_data):
    folder = real_data("datasets/sed/sed_eval_golden")
    name = f"office_snr0_{request.param.removeprefix('office_')}_v2"
    tables = [
        read_annotations(folder / f"sound_event/{name}{end}.txt") for end in ("", "_detected")
    ]
    classes = sorted({event.label for table in tables for event in table})
    truth, found = (
        Intervals.of(
            np.zeros(len(table)),
            [classes.index(event.label) for event in table],
            [event.start_s for event in table],
            [event.end_s for event in table],
        )
        for table in tables
    )
    expected = json.loads((folder / "expected_sed_eval_0.2.1.json").read_text())[request.param]
    return truth, found, classes, expected


def check(counts, errors, classes, expected):
    overall = expected["overall"]
    assert counts.micro_f1 == pytest.approx(overall["f_measure"]["f_measure"], abs=1e-12)
    rates = overall["error_rate"]
    assert errors.rate == pytest.approx(rates["error_rate"], abs=1e-12)
    for name in ("substitution", "deletion", "insertion"):
        share = getattr(errors, f"{name}s") / errors.events
        assert share == pytest.approx(rates[f"{name}_rate"], abs=1e-12), name
    for at, label in enumerate(classes):
        of_class = expected["class_wise"][label]
        assert counts.events[at] == of_class["count"]["Nref"]
        assert counts.detections[at] == of_class["count"]["Nsys"]
        f1 = of_class["f_measure"]["f_measure"]
        if counts.events[at] and f1 is None:  # sed_eval has no precision without detections
            assert (counts.f1[at], counts.detections[at]) == (0.0, 0)
        elif counts.events[at]:
            assert counts.f1[at] == pytest.approx(f1, abs=1e-12), label


@pytest.mark.parametrize("name", list(COLLARS))
def test_collars_find_what_sed_eval_finds(office, name):
    truth, found, classes, expected = office
    matches = match_collar(truth, found, COLLARS[name])
    counts = count(truth, found, matches, len(classes))
    errors = error_rates.of_matches(truth, found, matches, COLLARS[name])
    check(counts, errors, classes, expected[name])


def test_a_best_matching_finds_at_least_what_a_greedy_one_does(office):
    truth, found, classes, expected = office
    matches = match_collar(truth, found, COLLARS["onoff_200ms_20pct"])
    counts = count(truth, found, matches, len(classes))
    greedy = expected["onoff_200ms_20pct_greedy"]["overall"]["f_measure"]["f_measure"]
    assert counts.micro_f1 >= greedy


def test_segments_are_those_of_sed_eval(office):
    truth, found, classes, expected = office
    ends = np.array([max(truth.end_s.max(), found.end_s.max())])
    counts = segments.count(truth, found, len(classes), 1.0)
    errors = error_rates.of_segments(truth, found, len(classes), 1.0, ends)
    check(counts, errors, classes, expected["segment_1s"])


def test_events_that_overlap_are_merged_per_clip_and_class():
    events = Intervals.of(
        [1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0], [0, 4, 0, 1, 1, 6], [9, 6, 3, 2, 9, 7]
    )
    plain, touching = merged(events), merged(events, touching=True)
    assert plain.start_s.tolist() == [0, 4, 6, 1, 0]
    assert plain.end_s.tolist() == [3, 6, 7, 9, 9]
    assert touching.start_s.tolist() == [0, 4, 1, 0]
    assert touching.end_s.tolist() == [3, 7, 9, 9]
    assert plain.clip.tolist() == [0, 0, 0, 0, 1]
    assert len(merged(events.where(np.zeros(6, bool)))) == 0


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("most", [0.1, 0.33, 1.0])
def test_partial_areas_equal_another_library_s_curve(seed, most):
    """Trapezoids below its points, with ties and repeated clips."""
    rng = np.random.default_rng(seed)
    truth = rng.random(60) < 0.3
    scores = np.round(rng.random(60) + 0.4 * truth, 1)
    scores[rng.random(60) < 0.1] = -np.inf
    weights = rng.integers(0, 4, (60, 2))
    found = partial_roc_auc(rank(truth, scores), weights, most)
    for draw in range(2):
        at = np.repeat(np.arange(60), weights[:, draw])
        finite = np.maximum(scores[at], -1.0)
        x, y, _ = reference_roc(truth[at], finite, drop_intermediate=False)
        edge = np.interp(most, x, y)
        inside = x <= most
        expected = auc(np.append(x[inside], most), np.append(y[inside], edge)) / most
        assert found[draw] == pytest.approx(expected, abs=1e-12)
    if most == 1.0:
        whole = rank_figures(rank(truth, scores), weights).roc_auc
        assert found == pytest.approx(whole, abs=1e-12)


def test_areas_without_both_kinds_are_no_numbers():
    once = np.ones((3, 1), np.int64)
    for truth in (np.zeros(3, bool), np.ones(3, bool)):
        assert np.isnan(partial_roc_auc(rank(truth, np.arange(3.0)), once, 0.1)).all()
    assert np.isnan(best_f1(rank(np.zeros(3, bool), np.arange(3.0))))
    assert best_f1(rank(np.array([0, 1, 1, 0], bool), np.array([3.0, 2, 1, 0]))) == 0.8
