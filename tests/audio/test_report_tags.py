"""The review page of a tagger: figures, diagrams and clips of its report."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pytest
from toy_review import write_run
from toy_tags import OPEN, WITHOUT, tagged, tagger, write_tag_run

from soundgate.audio.formats.reports.clip_results import ClipResult, read_results, write_results
from soundgate.audio.formats.reports.comparison import read_comparison
from soundgate.audio.metrics import multilabel
from soundgate.audio.review import tags
from soundgate.audio.review.clips import select
from soundgate.audio.review.evidence import gather
from soundgate.audio.review.page import write
from soundgate.audio.review.wording import fraction, signed
from soundgate.errors import DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_tag_run(tmp_path_factory.mktemp("run"), clips=24)


@pytest.fixture(scope="module")
def page(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write(run[0], folder)
    return (folder / "report.html").read_text("utf-8")


def _rows(page, region):
    """The cells of each row of a table, by what its row begins with."""
    table = page.split(f'aria-label="{region}"')[1].split("</table>")[0]
    rows = re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", table, flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]
    plain = [[" ".join(re.sub("<[^>]*>", " ", c).split()) for c in row] for row in cells]
    return {html.unescape(row[0]): row[1:] for row in plain}


def test_the_table_has_figures_intervals_and_the_champions_f1(run, page):
    folders, scored, made = run
    rows = _rows(page, "Figures of each label")
    known = made.labels["cel"]
    cells = multilabel.confusion(scored.tags)[scored.labels.index("cel")]
    ends = [f"{fraction(x.value)} {fraction(x.low)} to {fraction(x.high)}" for x in (known.f1,)]
    assert rows["cel"][1] == ends[0]
    assert rows["cel"][6:9] == [str(cells[1, 0]), str(cells[0, 1]), fraction(known.threshold)]
    compared = {row.label: row for row in read_comparison(folders.comparison).per_class}["cel"]
    assert rows["cel"][9:] == [fraction(compared.champion.f1), signed(compared.difference.f1)]
    assert compared.difference.f1 == pytest.approx(compared.candidate.f1 - compared.champion.f1)


def test_a_label_without_positives_is_last_has_no_figures_and_is_named(page):
    rows = _rows(page, "Figures of each label")
    assert list(rows)[-1] == WITHOUT
    assert rows[WITHOUT][1:6] == ["none"] * 5
    assert f"No test clip has {WITHOUT}: nothing is known of how well it is found." in page


def test_families_have_a_table(run, page):
    rows = _rows(page, "Figures of each family")
    assert set(rows) == set(run[2].families)
    assert rows["guitars"][6] == str(run[2].families["guitars"].missed)


def test_the_confusion_of_a_label_counts_every_annotated_clip(run):
    _, scored, made = run
    for row in tags.section(made, None).labels:
        k = scored.labels.index(row.name)
        expected = multilabel.confusion(scored.tags)[k]
        counts = [[cell.count for cell in cells] for cells in row.confusion]
        assert np.array_equal(counts, expected[::-1, ::-1])
        assert sum(map(sum, counts)) == (12 if row.name == OPEN else 24)


def test_curves_begin_and_end_in_the_corners(run):
    section = tags.section(run[2], None)
    drawn = {each.row.name: each for each in section.diagrams}
    assert drawn["cel"].roc.startswith("M0,100L")
    assert drawn["cel"].roc.endswith("L100,0")
    assert drawn[WITHOUT].roc == drawn[WITHOUT].precision_recall == drawn[WITHOUT].with_label == ""
    counts = run[2].labels["cel"].histogram
    assert drawn["cel"].with_label.count("V") == len(counts) + 1
    assert "V4.0" in drawn["cel"].with_label  # the fullest bar reaches almost to the top
    assert "V96.0" in drawn["cel"].without_label
    assert drawn["cel"].threshold_at == 40


def test_only_the_weakest_of_many_labels_are_drawn(tmp_path):
    labels = tuple(f"label_{k:03d}" for k in range(60))
    _, _, made = write_tag_run(
        tmp_path, labels=labels, families={"all": labels}, audio=False, champion=False, clips=30
    )
    section = tags.section(made, None)
    assert (len(section.labels), len(section.diagrams)) == (60, tags.DRAWN)
    assert [each.row.name for each in section.diagrams] == [
        row.name for row in section.labels[: tags.DRAWN]
    ]


def test_clips_show_wrong_labels_first_with_sound_and_a_spectrogram(run):
    evidence = gather(run[0], (), {})
    cards = select(evidence).cards
    assert all(card.media is not None for card in cards)
    assert evidence.pictured.preprocessing.target_rate == 16_000
    for card in cards:
        wrong = {*card.result.missed, *card.result.false_alarms}
        assert {bar.label for bar in card.bars[: len(wrong)]} == wrong
        assert all(bar.wrong for bar in card.bars[: len(wrong)])


def test_a_label_that_was_not_looked_for_is_never_wrong(run, tmp_path):
    folders, scored, _ = run
    results = list(read_results(folders.report / "predictions.jsonl"))
    write_results(tmp_path / "again.jsonl", results)
    assert list(read_results(tmp_path / "again.jsonl")) == results
    given = [r for k, r in enumerate(results) if k % 2 == 0 and OPEN in r.predicted]
    assert given
    assert all(OPEN not in r.false_alarms and not r.is_judged(OPEN) for r in given)
    for result, mask in zip(results, scored.tags.mask, strict=True):
        assert result.correct == (not result.missed and not result.false_alarms)
        assert (result.judged is None) == mask.all()
    theirs = read_results(folders.comparison / "champion_predictions.jsonl")
    assert all(row.correct == (not row.missed and not row.false_alarms) for row in theirs)


def test_a_damaged_label_is_one_line(tmp_path):
    folders, _, _ = write_tag_run(tmp_path, audio=False, champion=False, clips=12)
    path = folders.report / "evaluation.json"
    fields = json.loads(path.read_text())
    del fields["labels"]["cel"]["threshold"]
    path.write_text(json.dumps(fields))
    with pytest.raises(DataError, match=r"evaluation\.json: is damaged.*labels\.cel\.threshold"):
        gather(folders, (), {})


def test_other_systems_have_no_section_of_labels(tmp_path):
    write(write_run(tmp_path / "run", audio=False), tmp_path / "page")
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    assert 'id="labels"' not in page
    assert 'id="classes"' in page


def test_labels_of_the_toy_are_scored_by_their_own_thresholds():
    scored = tagged(tagger())
    thresholds = np.linspace(0.4, 0.5, 11)
    assert np.array_equal(scored.tags.decided, scored.tags.scores >= thresholds - 1e-9)
    assert isinstance(next(scored.results()), ClipResult)
