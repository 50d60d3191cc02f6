"""Figures of a candidate and the champion are subtracted only if both tested the same clips."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from soundgate.audio.formats.reports.clip_results import (
    FORMAT,
    ClipResult,
    clips_digest,
    write_results,
)
from soundgate.audio.formats.reports.report import Estimate, Report, Results
from soundgate.commands.review_text import details_text
from soundgate.registry.review.overview import candidate_details

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

ROW = ClipResult(
    path="a.wav",
    truth=("dog",),
    predicted=("rain",),
    scores={"dog": 0.4, "rain": 0.6},
    patches=2,
    patches_correct=0,
    source=None,
    correct=False,
)
REPORT = Report(
    metrics={"psds1": Estimate(value=0.5)}, results=Results(file="rows.jsonl", format=FORMAT)
)


def test_the_digest_knows_clips_segments_and_labels_and_no_scores(tmp_path):
    def digest(*rows: ClipResult) -> str:
        write_results(tmp_path / "rows.jsonl", rows)
        return clips_digest(tmp_path, REPORT)

    other = replace(ROW, path="b.wav")
    assert digest(ROW, other) == digest(other, replace(ROW, predicted=("dog",), correct=True))
    changed = [
        digest(ROW),
        digest(ROW, ROW),
        digest(other),
        digest(replace(ROW, truth=("rain",))),
        digest(replace(ROW, start_s=0.0, end_s=1.0)),
    ]
    assert len(set(changed)) == len(changed)


def test_a_report_without_rows_of_clips_names_no_test_set(tmp_path):
    assert clips_digest(tmp_path, REPORT.model_copy(update={"results": None})) == ""
    events = Results(file="events.tsv", format="soundgate.events/1")
    assert clips_digest(tmp_path, REPORT.model_copy(update={"results": events})) == ""


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("t", ""),
        ("u", "they were measured on different test clips"),
        (None, "it is not recorded whether both were measured on the same test clips"),
    ],
)
def test_show_subtracts_figures_of_the_same_test_clips_only(embedded, tag, said):
    for run in ("r1", "r2"):
        embedded.candidate(run)
    embedded.session().approve("1")
    client = embedded.registry.client
    if tag is None:
        client.delete_model_version_tag("aed", "1", "test.digest")
    else:
        client.set_model_version_tag("aed", "1", "test.digest", tag)
    found = candidate_details(embedded.session(), "2")
    assert found.incomparable == said
    text = details_text(found)
    assert re.search(r"clip_accuracy +0\.9 +0\.9", text)
    assert ("difference\n" in text) == (not said)
    assert (f"no differences: {said}; the report compares on common clips" in text) == bool(said)
    assert bool(re.search(r"\+0\b", text)) == (not said)
