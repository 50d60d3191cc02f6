"""``review-detections`` and ``apply-corrections``: from detections back to labels."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scored_tapes import Call, Tape, write_corpus, write_scores

from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.datasets.corpora.indexing.building import make_index
from soundgate.audio.detection.evaluation.evaluation import Asked, Folders, evaluate
from soundgate.audio.detection.evaluation.leakage import Used
from soundgate.audio.files.reading import write as write_audio
from soundgate.audio.formats.detections.review import read_review
from soundgate.audio.formats.record import read_object
from soundgate.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAPES = {
    "tapes/a.wav": Tape(
        (
            Call(2, 3.5, quality=3),
            Call(8, 9.5, heard=0.02, quality=2),
            Call(20, 21.5, heard=0.5),
        ),
        tape="a",
        heard_nothing=(Call(13, 14, heard=0.97), Call(26, 27, heard=0.7)),
    ),
    "quiet.wav": Tape(tape="quiet"),
}
"""A call missed at 8 s; false alarms at 13 s and 26 s; a doubtful hit at 20 s."""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    of = Folders(*(tmp_path / name for name in ("scores", "bench", "valscores", "corpus")))
    write_corpus(of.benchmark, TAPES)
    for path in TAPES:
        write_audio(of.benchmark / path, np.zeros(30 * 8000, "float32"), 8000)
    write_scores(of.scores, TAPES)
    validation = {"val.wav": Tape((Call(2, 3.5),), tape="val")}
    write_corpus(of.corpus, validation)
    write_scores(of.validation, validation)
    evaluate(of, Used(frozenset({"val"})), Asked(variant="v3"), tmp_path / "report")
    run("review-detections", tmp_path / "report", tmp_path / "review")
    return tmp_path


def run(*words: object, expected: int = 0) -> None:
    assert main([str(word) for word in words]) == expected


def edit(table: Path, change: Callable[[list[str]], list[str] | None]) -> None:
    """Change the rows of a table of tabs, or delete those for which nothing is returned."""
    header, *rows = [line.split("\t") for line in table.read_text("utf-8").splitlines()]
    kept = [new for row in rows if (new := change(list(row))) is not None]
    table.write_text("\n".join("\t".join(row) for row in [header, *kept]) + "\n", "utf-8")


def column(table: Path, name: str) -> int:
    return table.read_text("utf-8").splitlines()[0].split("\t").index(name)


def changes(world: Path) -> list[dict[str, str]]:
    with (world / "new" / "changes.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_asks_about_doubtful_unexpected_and_missed(world):
    asked = {q.start_s: (q.reason, q.is_marked) for q in read_review(world / "review").questions}
    assert asked[8.0] == ("missed", True)
    assert asked[20.0] == ("uncertain", True)
    assert {reason for reason, _ in asked.values()} == {"missed", "uncertain", "unexpected"}
    table = world / "review" / "raven" / "tapes/a.wav.txt"
    header = table.read_text("utf-8").splitlines()[0].split("\t")
    assert header[-3:] == ["Correct", "Reason", "Detection"]
    labels = (world / "review" / "audacity" / "tapes/a.wav.txt").read_text("utf-8")
    assert "? target | unexpected 0.97 | #" in labels
    assert "? target | uncertain, marked 0.50 | #" in labels


def test_untouched_tables_change_nothing(world):
    run("apply-corrections", world / "review", world / "bench", world / "new")
    made = make_index(world / "bench", [world / "new" / f"{path}.txt" for path in TAPES])
    assert [(e.clip_start_s, e.clip_end_s, e.quality, e.label) for e in made.entries] == [
        *((2.0, 3.5, 3, "target"), (8.0, 9.5, 2, "target"), (20.0, 21.5, 1, "target")),
    ]
    # the recording without calls is annotated, as it was
    assert {recording.path for recording in made.recordings} == set(TAPES)
    answers = read_object(world / "new" / "version.json", remedy="")["answers"]
    assert answers["unreviewed"] == sum(answers.values())
    assert changes(world) == []


def test_ravens_column_adds_changes_and_removes_calls(world):
    table = world / "review" / "raven" / "tapes/a.wav.txt"
    correct, begin = column(table, "Correct"), column(table, "Begin Time (s)")

    def answered(row: list[str]) -> list[str] | None:
        start = float(row[begin])
        if 12 < start < 14:
            row[correct] = "hum"  # a call that nobody had marked, of another label
        elif start == 8.0:
            return None  # deleted: what was missed is no call
        elif start == 20.0:
            row[begin] = "19.75"
        elif start > 25:
            row[correct] = "no"
        return row

    edit(table, answered)
    with table.open("a", encoding="utf-8") as file:
        file.write("99\tSpectrogram 1\t1\t5.0\t6.0\t\t\ttarget\t\t\t\t\n")
    run("apply-corrections", world / "review", world / "bench", world / "new")
    events = raven.read(world / "new" / "tapes/a.wav.txt")
    found = [(event.start_s, event.label) for event in events]
    assert found[0] == (2.0, "target")
    assert (5.0, "target") in found
    assert (19.75, "target") in found
    assert not {8.0, 20.0} & {start for start, _ in found}
    assert [label for start, label in found if 12 < start < 14] == ["hum"]
    told = {(row["change"], row["old_start_s"]) for row in changes(world)}
    assert told == {("added", ""), ("removed", "8.0"), ("changed", "20.0"), ("rejected", "")}
    moved = next(event for event in events if event.start_s == 19.75)
    assert (moved.end_s, dict(moved.columns)["Comments"]) == (21.5, "Q1")
    answers = read_object(world / "new" / "version.json", remedy="")["answers"]
    assert (answers["added"], answers["changed"], answers["removed"]) == (2, 1, 1)


def test_audacitys_labels_count_where_ravens_were_left_alone(world):
    labels = world / "review" / "audacity" / "tapes/a.wav.txt"
    text = labels.read_text("utf-8").replace(
        "? target | unexpected 0.97", "target | unexpected 0.97"
    )
    labels.write_text(text + "5.0\t6.0\thum\n", "utf-8")
    run("apply-corrections", world / "review", world / "bench", world / "new")
    added = [(row["change"], row["label"], row["reason"]) for row in changes(world)]
    assert sorted(added) == [
        ("added", "hum", "found by the reader"),
        ("added", "target", "unexpected"),
    ]


def test_corrected_calls_are_the_truth_of_the_next_evaluation(world):
    """The loop closes: the false alarm that was a call becomes a hit."""
    table = world / "review" / "raven" / "tapes/a.wav.txt"
    correct, begin = column(table, "Correct"), column(table, "Begin Time (s)")

    def answered(row: list[str]) -> list[str]:
        row[correct] = "yes" if 12 < float(row[begin]) < 14 else ""
        return row

    edit(table, answered)
    run("apply-corrections", world / "review", world / "bench", world / "new")
    run("build-corpus-index", world / "bench", "--annotations", world / "new")
    of = Folders(*(world / name for name in ("scores", "bench", "valscores", "corpus")))
    before = len([q for q in read_review(world / "review").questions if q.reason == "unexpected"])
    run("review-detections", world / "report", world / "review2")
    evaluate(of, Used(frozenset({"val"})), Asked(variant="v3"), world / "report2")
    run("review-detections", world / "report2", world / "review3")
    after = len([q for q in read_review(world / "review3").questions if q.reason == "unexpected"])
    assert after == before - 1


def test_wrong_tables_are_refused_in_one_line(world, capsys):
    table = world / "review" / "raven" / "tapes/a.wav.txt"
    whole = table.read_text("utf-8")
    number, end = column(table, "Detection"), column(table, "End Time (s)")

    def refused(words: str, change: Callable[[list[str]], list[str] | None]) -> None:
        table.write_text(whole, "utf-8")
        edit(table, change)
        capsys.readouterr()
        run("apply-corrections", world / "review", world / "bench", world / "new", expected=2)
        assert words in capsys.readouterr().err
        assert not (world / "new").exists()

    def put(place: int, text: str) -> Callable[[list[str]], list[str]]:
        return lambda row: [*row[:place], text, *row[place + 1 :]]

    refused("Detection 77 was not asked about here", put(number, "77"))
    refused("Detection 1 stands twice", put(number, "1"))
    refused("ends at 99 s, but the recording at 30 s", put(end, "99.0"))
    table.write_text(whole, "utf-8")
    edit(table, put(column(table, "Correct"), "yes"))
    labels = world / "review" / "audacity" / "tapes/a.wav.txt"
    labels.write_text(labels.read_text("utf-8").replace("? ", ""), "utf-8")
    run("apply-corrections", world / "review", world / "bench", world / "new", expected=2)
    assert "both tables of tapes/a.wav were changed" in capsys.readouterr().err
    run("review-detections", world / "report", world / "review", expected=2)
    assert "holds a review already" in capsys.readouterr().err
