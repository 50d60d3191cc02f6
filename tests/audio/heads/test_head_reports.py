from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
import toy_embeddings
from sklearn import metrics as reference

from soundgate.audio.classification.heads import comparison
from soundgate.audio.classification.heads.choosing import choose
from soundgate.audio.classification.heads.evaluation import evaluate
from soundgate.audio.classification.heads.fit import fit
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.classification.heads.settled import rows_of
from soundgate.audio.classification.heads.zero_shot import sentences_of
from soundgate.audio.formats.embeddings.vectors import read_embeddings, write_embeddings
from soundgate.audio.formats.models.embedding_classifier import head_settings
from soundgate.audio.formats.reports.clip_results import read_results
from soundgate.audio.formats.reports.embeddings import is_of_embeddings, read_embedding_report
from soundgate.audio.formats.reports.report import read_report
from soundgate.audio.formats.version import VersionCard, write_version
from soundgate.audio.review.evidence import Folders
from soundgate.audio.review.page import write
from soundgate.errors import DataError, ParameterError

CARD = {"name": "toy", "title": "Toy", "licence": "CC0", "clips": 66, "digest": "ab12"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Embeddings that are hard to tell apart, and two heads: a good one and a poor one."""
    folder = tmp_path_factory.mktemp("heads")
    embeddings = toy_embeddings.write(folder / "embeddings", spread=1.5)
    noisy = toy_embeddings.write(folder / "noisy", spread=12.0)
    settings = head_settings("ridge", ["regularisation=10"])
    for name, learnt in (("good", embeddings), ("poor", noisy)):
        fit(learnt, folder / name, folder / "metrics" / name, settings)
    return folder


@pytest.fixture(scope="module")
def report(world):
    leaderboard = world / "leaderboard"
    choose(world / "embeddings", {"good": world / "good", "poor": world / "poor"}, leaderboard)
    evaluate(world / "embeddings", world / "good", world / "report", leaderboard=leaderboard)
    return read_embedding_report(world / "report")


class Tower:
    """Sentences in the space of the toy embeddings."""

    digest, embedding_size, scale = "ef" * 32, toy_embeddings.SIZE, 10.0

    def __init__(self):
        self.heard = []

    def texts(self, sentences):
        self.heard = sentences
        return torch.nn.functional.normalize(2 * torch.eye(3, toy_embeddings.SIZE) + 5)


def test_figures_of_segments_and_of_clips_equal_scikit_learn_s(world, report):
    rows = rows_of(read_embeddings(world / "embeddings"), "test")
    scores = read_head(world / "good").scores(rows.values)
    decided = scores.argmax(1)
    precision, recall, f05, _ = reference.precision_recall_fscore_support(
        rows.numbers, decided, beta=0.5, average="macro"
    )
    found = {name: value.value for name, value in report.metrics.items()}
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(rows.numbers, decided))
    assert [found[f"macro_{name}"] for name in ("precision", "recall", "f05")] == pytest.approx(
        [precision, recall, f05], abs=1e-6
    )
    assert report.segments.confusion_matrix.rows == tuple(
        map(tuple, reference.confusion_matrix(rows.numbers, decided).tolist())
    )
    results = {result.path: result for result in read_results(world / "report/predictions.jsonl")}
    assert len(results) == report.clips == 18
    for path, result in results.items():
        own = [k for k, segment in enumerate(rows.segments) if segment.path == path]
        assert result.patches == len(own) == 2
        assert list(result.scores.values()) == pytest.approx(scores[own].mean(0), abs=1e-5)
    right = np.mean([result.correct for result in results.values()])
    assert found["clip_accuracy"] == pytest.approx(right, abs=1e-6)
    assert 0.5 < found["accuracy"] < found["clip_accuracy"]  # two segments know more than one
    assert sum(map(sum, report.confusion_matrix.rows)) == 18


def test_the_report_is_read_by_whoever_does_not_know_its_system(world, report):
    plain = read_report(world / "report")
    assert is_of_embeddings(plain)
    assert plain.metrics == report.metrics
    assert plain.metric_at("metrics.macro_f05.value") == "macro_f05"


def test_the_best_head_by_validation_is_chosen_and_all_are_tabled(world, report):
    assert [head.name for head in report.leaderboard.heads] == ["good", "poor"]
    assert [head.chosen for head in report.leaderboard.heads] == [True, False]
    with (world / "leaderboard/leaderboard.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert table[0]["settings"] == "regularisation 10.0"
    rows = rows_of(read_embeddings(world / "embeddings"), "valid")
    scores = read_head(world / "poor").scores(rows.values)
    assert float(table[1]["accuracy"]) == pytest.approx(
        (scores.argmax(1) == rows.numbers).mean(), abs=1e-6
    )
    loss = reference.log_loss(rows.numbers, scores)
    assert float(table[1]["loss"]) == pytest.approx(loss, abs=1e-6)


def test_zero_shot_takes_the_nearest_sentence(world, tmp_path):
    tower = Tower()
    sentences = sentences_of(toy_embeddings.CLASSES, tower)
    assert tower.heard[2] == "this is the sound of chain saw"
    made = evaluate(world / "embeddings", world / "good", tmp_path / "report", sentences=sentences)
    rows = rows_of(read_embeddings(world / "embeddings"), "test")
    values = rows.values / np.linalg.norm(rows.values, axis=1, keepdims=True)
    nearest = (values @ sentences.vectors.numpy().T).argmax(1)
    expected = (nearest == rows.numbers).mean()
    assert made.metrics["zero_shot_accuracy"].value == pytest.approx(expected, abs=1e-6)
    assert made.zero_shot.text_digest == Tower.digest
    assert "zero_shot_accuracy" in [line.metric for line in made.headline]


def test_sentences_of_another_space_are_an_error(world, tmp_path):
    tower = Tower()
    tower.texts = lambda sentences: torch.ones(len(sentences), 4)
    with pytest.raises(DataError, match="sounds have 6 numbers and sentences 4"):
        evaluate(
            world / "embeddings",
            world / "good",
            tmp_path,
            sentences=sentences_of(toy_embeddings.CLASSES, tower),
        )
    with pytest.raises(ParameterError, match=r"put \{\} once where the class belongs"):
        sentences_of(("dog",), tower, "a sound")


def champion(world, folder, model="poor", **about):
    """A released version, whose training clips are others than those of the candidate."""
    target = folder / "model"
    target.mkdir(parents=True)
    for path in (world / model).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    (target / "split.jsonl").write_text("")
    text = json.loads((target / "model.json").read_text("utf-8"))
    (target / "model.json").write_text(json.dumps({**text, **about}), "utf-8")
    write_version(folder, VersionCard(name="sec", version="3", metrics={"clip_accuracy": 0.25}))
    return folder


def compared(world, folder, other):
    return comparison.compare(
        world / "embeddings", world / "report", world / "good", other, folder / "comparison"
    )


def test_candidate_and_champion_are_compared_on_the_same_clips(world, report, tmp_path):
    made = compared(world, tmp_path, champion(world, tmp_path / "champion"))
    assert made.compared
    assert made.paired
    assert made.clips == 18
    rows = rows_of(read_embeddings(world / "embeddings"), "test")
    right = (read_head(world / "poor").scores(rows.values).argmax(1) == rows.numbers).mean()
    pair = made.metrics["accuracy"]
    assert pair.champion.value == pytest.approx(right, abs=1e-6)
    gap = pair.candidate.value - pair.champion.value
    assert pair.difference.value == pytest.approx(gap, abs=2e-6)
    assert pair.difference.low < pair.difference.value < pair.difference.high
    assert made.metrics["clip_accuracy"].candidate == report.metrics["clip_accuracy"]


def test_clips_that_the_champion_learnt_from_are_left_out(world, report, tmp_path):
    folder = champion(world, tmp_path / "champion")
    paths = [r.path for r in read_results(world / "report/predictions.jsonl")][:5]
    lines = [json.dumps({"path": path, "split": "training"}) + "\n" for path in paths]
    (folder / "model/split.jsonl").write_text("".join(lines))
    made = compared(world, tmp_path, folder)
    assert made.clips == 13
    assert made.left_out["champion_trained_on"] == 5


def test_a_champion_of_another_encoder_keeps_its_own_figures(world, report, tmp_path):
    encoder = toy_embeddings.ENCODER.model_copy(update={"digest": "cd" * 32}).as_json()
    folder = champion(world, tmp_path / "champion", encoder=encoder)
    made = compared(world, tmp_path, folder)
    assert not made.paired
    assert made.metrics["clip_accuracy"].champion.value == 0.25
    assert made.metrics["clip_accuracy"].difference.low is None


def test_a_champion_may_know_other_classes(world, report, tmp_path):
    names = ["dog", "owl", "chain_saw"]
    made = compared(world, tmp_path, champion(world, tmp_path / "champion", classes=names))
    assert made.clips == 12
    assert made.left_out["unknown_to_champion"] == 6
    assert [row.label for row in made.per_class] == ["dog", "chain_saw"]


def test_without_a_champion_nothing_is_worse(world, report, tmp_path):
    write_version(tmp_path / "none", VersionCard(name="sec", version=None))
    made = compared(world, tmp_path, tmp_path / "none")
    assert made.metrics["clip_accuracy"].difference.value == 0


def test_a_file_of_several_classes_is_a_clip_a_segment(world, tmp_path):
    found, vectors = toy_embeddings.rows()
    mixed = {k: s for k, s in enumerate(found) if s.split == "test" and s.class_name != "rain"}
    import dataclasses

    for k in mixed:
        found[k] = dataclasses.replace(found[k], path=f"tape-{found[k].track}.wav")
    write_embeddings(tmp_path / "e", toy_embeddings.ENCODER, toy_embeddings.CLASSES, found, vectors)
    made = evaluate(tmp_path / "e", world / "good", tmp_path / "report")
    assert made.clips == 6 + len(mixed)
    times = [
        r.start_s for r in read_results(tmp_path / "report/predictions.jsonl") if "tape" in r.path
    ]
    assert sorted(set(times)) == [0.0, 1.0]


def test_nothing_to_test_or_to_choose_by_is_one_line(world, tmp_path):
    bare = toy_embeddings.write(tmp_path / "e", tracks={"train": 3})
    with pytest.raises(DataError, match="has no segment in the split test"):
        evaluate(bare, world / "good", tmp_path / "report")
    with pytest.raises(DataError, match="no segment in the splits valid and es"):
        choose(bare, {"good": world / "good"}, tmp_path)
    with pytest.raises(DataError, match="every training failed"):
        choose(world / "embeddings", {}, tmp_path)


@pytest.mark.usefixtures("report")  # which writes the leaderboard
def test_the_review_page_shows_every_head_and_the_baseline(world, tmp_path):
    tower = sentences_of(toy_embeddings.CLASSES, Tower())
    evaluate(
        world / "embeddings",
        world / "good",
        tmp_path / "report",
        leaderboard=world / "leaderboard",
        sentences=tower,
    )
    (tmp_path / "card").mkdir()
    (tmp_path / "card/dataset.json").write_text(json.dumps(CARD))
    folders = Folders(
        report=tmp_path / "report",
        card=tmp_path / "card",
        model=world / "good",
        metrics=world / "metrics/good",
        clips=tmp_path,
    )
    summary = write(folders, tmp_path / "review")
    assert summary.clips_tested == 18
    page = (tmp_path / "review/report.html").read_text("utf-8")
    board = page[page.index('id="heads"') :]
    assert board.index(">good <span") < board.index(">poor<")
    assert "regularisation 10.0" in board
    assert "by the sentence “this is the sound of {}”" in board
    assert "Zero-shot accuracy" in page


def test_the_review_page_counts_segments_of_wrong_clips(world, tmp_path):
    evaluate(world / "embeddings", world / "poor", tmp_path / "report")
    (tmp_path / "card").mkdir()
    (tmp_path / "card/dataset.json").write_text(json.dumps(CARD))
    folders = Folders(
        report=tmp_path / "report",
        card=tmp_path / "card",
        model=world / "poor",
        metrics=world / "metrics/poor",
        clips=tmp_path,
    )
    write(folders, tmp_path / "review")
    page = (tmp_path / "review/report.html").read_text("utf-8")
    assert "Segments correct" in page
    assert "Patches correct" not in page
