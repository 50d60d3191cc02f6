"""The review page of a detector: its figures, its curves, and what it made up, missed and found."""

from __future__ import annotations

import html
import json
import re

import numpy as np
import pytest
from scored_tapes import Call, Tape, write_corpus, write_scores

from soundgate.audio.detection.evaluation.evaluation import Asked, Folders, evaluate
from soundgate.audio.detection.evaluation.leakage import Used
from soundgate.audio.files.reading import write as write_audio
from soundgate.audio.formats.datasets.card import DatasetCard, write_card
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.reports.events import Candidate, read_event_report
from soundgate.audio.formats.reports.report import write_report
from soundgate.audio.review import evidence as pages
from soundgate.audio.review.detections import section
from soundgate.audio.review.page import write
from soundgate.audio.review.wording import fraction

RATE_HZ = 8000
TAPES = {
    "a.wav": Tape(
        (Call(2, 3.5), Call(8, 9.5, heard=0.02), Call(20, 21.5, quality=2)),
        tape="a",
        heard_nothing=(Call(9.8, 10.6, heard=0.97), Call(26, 27, heard=0.7)),
    ),
    "<b>.wav": Tape((Call(2, 3.5),), tape="<b>"),
    "quiet.wav": Tape(tape="quiet"),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> pages.Folders:
    """A run with the sounds of its benchmark: a tone in every call."""
    root = tmp_path_factory.mktemp("run")
    of = Folders(*(root / name for name in ("scores", "bench", "valscores", "corpus")))
    write_corpus(of.benchmark, TAPES)
    for path, tape in TAPES.items():
        time_s = np.arange(30 * RATE_HZ) / RATE_HZ
        inside = np.zeros(len(time_s), bool)
        for call in tape.calls:
            inside |= (time_s > call.start_s) & (time_s < call.end_s)
        wave = 0.5 * np.sin(2 * np.pi * 900 * time_s) * inside
        write_audio(of.benchmark / path, wave.astype("float32"), RATE_HZ)
    write_scores(of.scores, TAPES)
    validation = {"val.wav": Tape((Call(2, 3.5, heard=0.6),), tape="val")}
    write_corpus(of.corpus, validation)
    write_scores(of.validation, validation)
    asked = Asked(variant="v3", thresholds=(0.9,))
    evaluate(of, Used(frozenset({"val"})), asked, root / "report")
    made = read_event_report(root / "report")
    own = Candidate(
        variant="v3",
        window="len400_hop100",
        threshold=0.5,
        validation_f1=made.metrics["validation_event_f1"],
        event_f1=made.metrics["event_f1"],
        event_precision=made.metrics["event_precision"],
        chosen=True,
    )
    other = own.model_copy(update={"variant": "v2", "chosen": False, "validation_f1": None})
    write_report(root / "report", made.model_copy(update={"leaderboard": (own, other)}))
    write_card(root / "card", DatasetCard(name="tapes"))
    (root / "model").mkdir()
    described = {"architecture": "resnet18", "sample_rate_hz": RATE_HZ, "classes": ["noise", "t"]}
    (root / "model" / DESCRIPTION).write_text(json.dumps(described), "utf-8")
    return pages.Folders(
        report=root / "report", card=root / "card", model=root / "model", clips=of.benchmark
    )


@pytest.fixture(scope="module")
def page(folders, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("page")
    summary = write(folders, folder)
    assert (summary.clips_shown, summary.clips_tested) == (6, 6)
    return (folder / "report.html").read_text("utf-8")


def rows(page: str, region: str) -> list[list[str]]:
    """The cells of each row of a table."""
    table = page.split(f'aria-label="{region}"')[1].split("</table>", maxsplit=1)[0]
    found = re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", table, flags=re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in found]
    plain = [[" ".join(re.sub("<[^>]*>", " ", c).split()) for c in row] for row in cells]
    return [[html.unescape(cell) for cell in row] for row in plain]


def test_leaderboard_marks_the_candidate_and_names_both(page):
    first, second = rows(page, "Figures of each model and window")
    assert first[0] == "v3 candidate"
    assert (second[0], second[3]) == ("v2", "none")


def test_tapes_are_sorted_from_the_worst_and_silence_is_last(page):
    table = rows(page, "Figures of each tape")
    assert [row[0] for row in table] == ["a", "<b>", "quiet"]
    # tape a: of three calls two are found, beside two false alarms
    assert table[0][2:5] == ["3", "2", "2"]
    assert table[0][7] == fraction(4 / 7)
    # of a tape without calls and without detections there is no precision, recall or F1
    assert table[2][5:8] == ["none", "none", "none"]


def test_what_was_tested_are_recordings_of_tapes(page):
    plain = " ".join(html.unescape(re.sub("<[^>]*>", " ", page)).split())
    assert "Metrics on all 3 recordings" in plain
    assert "tested on 3 recordings" in plain
    assert "3 recordings of 3 tapes" in plain
    assert "test clip" not in plain


def test_qualities_have_their_recall(page):
    table = rows(page, "Figures of each quality")
    assert [row[:3] for row in table] == [["1", "3", "2"], ["2", "1", "1"]]


def test_false_alarms_come_first_the_surest_of_them_before(folders):
    evidence = pages.gather(folders, [], {})
    cards = section(evidence, evidence.detector).selection.cards
    assert [card.result.kind for card in cards] == [
        *("false_alarm", "false_alarm", "missed", "hit", "hit", "hit"),
    ]
    assert cards[0].result.score == pytest.approx(0.97)
    assert cards[0].media is not None


def test_picture_has_calls_and_detections_at_their_places(folders):
    evidence = pages.gather(folders, [], {})
    alarm = section(evidence, evidence.detector).selection.cards[0]
    span = alarm.result.span_s
    assert alarm.start_s == pytest.approx(span[0] - 1)
    [found] = alarm.detections
    shown_s = span[1] - span[0] + 2
    assert found.left == pytest.approx(100 / shown_s, abs=0.01)
    assert found.width == pytest.approx(100 * (span[1] - span[0]) / shown_s, abs=0.01)
    # the call at 8 s to 9.5 s was missed just before: its end is in the picture
    [call] = alarm.calls
    assert call.left == 0
    assert call.width == pytest.approx(100 * (9.5 - alarm.start_s) / shown_s, abs=0.01)


def test_curves_stand_where_the_figures_say(folders):
    evidence = pages.gather(folders, [], {})
    report = evidence.detector
    made = section(evidence, report)
    name, _, path = made.thresholds.lines[2]
    assert name == "recall"
    first = next(p for p in report.sweep if p.recall is not None)
    x, y = (float(v) for v in path[1:].split("L")[0].split(","))
    assert x == pytest.approx(40 + 328 * first.threshold, abs=0.1)
    assert y == pytest.approx(12 + 176 * (1 - first.recall), abs=0.1)
    assert sum(int(bar.title.split()[0]) for bar in made.histograms[0].bars) == 3


def test_names_are_escaped_and_the_page_stands_alone(page):
    assert "<b>.wav" not in page
    assert "&lt;b&gt;.wav" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_same_run_gives_the_same_page(folders, page, tmp_path):
    write(folders, tmp_path)
    assert (tmp_path / "report.html").read_text("utf-8") == page


def test_missing_audio_is_said_in_the_page(folders, tmp_path):
    elsewhere = pages.Folders(
        report=folders.report, card=folders.card, model=folders.model, clips=tmp_path
    )
    write(elsewhere, tmp_path / "page")
    assert "No audio: a.wav" in (tmp_path / "page" / "report.html").read_text("utf-8")
