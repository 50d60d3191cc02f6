from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from toy_features import CLASSES, config, read_rows, write_features, write_rows

from soundgate.audio.classification import inference
from soundgate.audio.classification.evaluation import evaluate
from soundgate.audio.classification.figures import figures, worst_clips
from soundgate.audio.classification.fit import fit
from soundgate.audio.classification.scored_clips import ScoredClips
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.features import Row
from soundgate.audio.metrics.rounding import decimal
from soundgate.errors import DataError

CLIP_PATTERN = r"Clip-level accuracy on test set : ([0-9\.]+)"
PATCH_PATTERN = r"Patch-level accuracy on test set : ([0-9\.]+)"


def _train(folder, **options):
    torch.set_num_threads(1)
    features = write_features(folder / "features", clips_per_class=15, **options)
    chosen = config(training={"epochs": 3, "learning_rate": 0.01}, data_augmentation={"gain": {}})
    fit(features, folder / "model", folder / "metrics", chosen)
    return features, folder / "model"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return _train(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def trained_multi_label(tmp_path_factory):
    return _train(tmp_path_factory.mktemp("multi"), multi_label=True)


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["trained", "trained_multi_label"])
def test_printed_written_and_gated_numbers_are_one_number(kind, request, tmp_path, capsys):
    result = evaluate(*request.getfixturevalue(kind), tmp_path).as_json()
    out = capsys.readouterr().out
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written == result
    accuracies = written["multiclass_classification_metrics"]
    for pattern, name in ((CLIP_PATTERN, "clip_acc"), (PATCH_PATTERN, "patch_acc")):
        printed = re.findall(pattern, out)
        assert len(printed) == 1
        assert float(printed[0]) == accuracies[name]["value"]
        assert 0.0 <= accuracies[name]["low"] <= accuracies[name]["value"]
        assert accuracies[name]["value"] <= accuracies[name]["high"] <= 1.0
        assert accuracies[name]["standard_deviation"] == "NaN"


def test_accuracies_are_those_of_the_test_fold_counted_by_hand(trained, tmp_path):
    features, model = trained
    result = evaluate(features, model, tmp_path).as_json()
    opened, classifier = read_features(features), inference.load(model)
    clips = patches = patches_right = clips_right = 0
    for row in opened.rows:
        if row.fold != 1:
            continue
        scores = classifier.patch_scores(opened.clip_frames(row))
        k = CLASSES.index(row.labels[0])
        clips += 1
        clips_right += int(scores.sum(0).argmax() == k)
        patches += len(scores)
        patches_right += int((scores.argmax(1) == k).sum())
    assert (result["clips"], result["patches"]) == (clips, patches)
    accuracies = result["multiclass_classification_metrics"]
    assert accuracies["clip_acc"]["value"] == round(clips_right / clips, 6)
    assert accuracies["patch_acc"]["value"] == round(patches_right / patches, 6)
    assert result["sources"] == 8  # two a class in fold 1, of one or two clips
    assert result["split"] == "test"
    assert result["model"]["test_fold"] == 1


def test_predictions_and_tables_agree_with_scikit_learn(trained, tmp_path):
    result = evaluate(*trained, tmp_path).as_json()
    rows = _lines(tmp_path / "predictions.jsonl")
    truth = [row["truth"][0] for row in rows]
    predicted = [row["predicted"][0] for row in rows]
    assert [row["correct"] for row in rows] == [
        a == b for a, b in zip(truth, predicted, strict=True)
    ]
    for row in rows:
        assert list(row["scores"]) == list(CLASSES)
        assert max(row["scores"], key=row["scores"].get) == row["predicted"][0]
        assert sum(row["scores"].values()) == pytest.approx(1.0, abs=1e-5)
    assert sum(row["patches"] for row in rows) == result["patches"]
    expected = reference.confusion_matrix(truth, predicted, labels=CLASSES).tolist()
    assert result["confusion_matrix"] == {"labels": list(CLASSES), "rows": expected}
    with (tmp_path / "confusion_matrix.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["truth", *CLASSES]
    assert [row[0] for row in table[1:]] == list(CLASSES)
    assert [[int(cell) for cell in row[1:]] for row in table[1:]] == expected
    scores = reference.precision_recall_fscore_support(
        truth, predicted, labels=CLASSES, zero_division=0
    )
    for k, entry in enumerate(result["per_class"]):
        assert entry["label"] == CLASSES[k]
        values = [entry[key] for key in ("precision", "recall", "f1", "support")]
        assert values == pytest.approx([column[k] for column in scores], abs=1e-6)


def test_the_report_does_not_depend_on_the_batch_size(trained, tmp_path):
    one = evaluate(*trained, tmp_path / "1", batch_size=1).as_json()
    many = evaluate(*trained, tmp_path / "64", batch_size=64).as_json()
    for key in ("multiclass_classification_metrics", "per_class", "confusion_matrix"):
        assert one[key] == many[key]
    for a, b in zip(_lines(tmp_path / "1" / "predictions.jsonl"),
                    _lines(tmp_path / "64" / "predictions.jsonl"), strict=True):  # fmt: skip
        assert a["scores"] == pytest.approx(b["scores"], abs=1e-5)


def test_multi_label_end_to_end(trained_multi_label, tmp_path):
    result = evaluate(*trained_multi_label, tmp_path).as_json()
    rows = _lines(tmp_path / "predictions.jsonl")
    truth = np.array([[name in row["truth"] for name in CLASSES] for row in rows])
    scores = np.array([[row["scores"][name] for name in CLASSES] for row in rows])
    decided = scores >= 0.5
    assert truth.sum() > len(rows)
    clip_acc = result["multiclass_classification_metrics"]["clip_acc"]["value"]
    assert clip_acc == pytest.approx(reference.accuracy_score(truth, decided), abs=1e-6)
    measured = result["multi_label_metrics"]
    assert measured["mean_average_precision"] == pytest.approx(
        reference.average_precision_score(truth, scores), abs=1e-4
    )
    assert measured["micro_f1"] == pytest.approx(
        reference.f1_score(truth, decided, average="micro"), abs=1e-6
    )
    for row, given in zip(rows, decided, strict=True):
        assert row["predicted"] == [name for name, yes in zip(CLASSES, given, strict=True) if yes]


def _judgement(truth, scores, *, multi_label=False, patches=None, patches_right=None):
    scores = np.asarray(scores, float)
    n = len(scores)
    rows = [Row(f"audio/{k:02d}.wav", ("x",), 1, None, None, 0, 1, 1.0) for k in range(n)]
    given = np.zeros(scores.shape, bool)
    for k, classes in enumerate(truth):
        given[k, classes] = True
    ones = np.ones(n, int)
    return ScoredClips(
        rows,
        given,
        scores,
        inference.decide(scores, multi_label=multi_label),
        ones if patches is None else np.array(patches),
        ones if patches_right is None else np.array(patches_right),
    )


def test_worst_clips_are_the_surest_mistakes():
    truth = [[0], [0], [1], [1]]
    judged = _judgement(truth, [[0.9, 0.1], [0.2, 0.8], [0.99, 0.01], [0.4, 0.6]])
    worst = worst_clips(judged, ["a", "b"])
    assert [entry["path"] for entry in worst] == ["audio/02.wav", "audio/01.wav"]
    assert worst[0] == {
        "path": "audio/02.wav", "truth": ["b"], "predicted": ["a"], "score": 0.99
    }  # fmt: skip
    many = _judgement([[0]] * 50, [[0.4, 0.6]] * 50)
    assert len(worst_clips(many, ["a", "b"])) == 20


def test_worst_clips_of_several_labels_may_be_missed_ones():
    truth = [[0, 1], [0]]
    judged = _judgement(truth, [[0.9, 0.05], [0.9, 0.7]], multi_label=True)
    worst = worst_clips(judged, ["a", "b"])
    assert [(entry["path"], entry["score"]) for entry in worst] == [
        ("audio/00.wav", 0.95),
        ("audio/01.wav", 0.7),
    ]


def test_patch_accuracy_counts_patches_not_clips():
    judged = _judgement([[0], [1]], [[1, 0], [0, 1]], patches=[90, 10], patches_right=[0, 10])
    result = figures(judged, ["a", "b"], multi_label=False, confidence=0.95)
    accuracies = result["multiclass_classification_metrics"]
    assert accuracies["patch_acc"]["value"] == 0.1
    assert accuracies["clip_acc"]["value"] == 1.0
    assert accuracies["patch_acc"]["low"] == 0.0
    assert accuracies["patch_acc"]["high"] == 1.0


def test_missed_and_wrong_labels_meet_in_the_confusion_matrix():
    judged = _judgement([[0, 1], [2]], [[0.9, 0.1, 0.8], [0.1, 0.1, 0.9]], multi_label=True)
    result = figures(judged, ["a", "b", "c"], multi_label=True, confidence=0.95)
    assert result["confusion_matrix"]["rows"] == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0"), (1.0, "1.0"), (0.9125, "0.9125"), (1e-6, "0.000001"), (0.333333, "0.333333")],
)
def test_numbers_are_printed_without_an_exponent(value, text):
    assert decimal(value) == text
    assert float(re.fullmatch(r"[0-9\.]+", text).group()) == value


@pytest.mark.parametrize("denominator", [3, 7, 80, 2092, 999_983])
def test_every_rounded_fraction_survives_printing(denominator):
    for numerator in range(0, denominator + 1, max(1, denominator // 500)):
        value = round(numerator / denominator, 6)
        assert float(decimal(value)) == value == json.loads(json.dumps(value))


def test_a_model_without_test_clips_is_refused(trained, tmp_path):
    features, model = trained
    copy = tmp_path / "model"
    copy.mkdir()
    for path in model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes().replace(b'"test"', b'"training"'))
    with pytest.raises(DataError, match="no test clips"):
        evaluate(features, copy, tmp_path / "report")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"classes": ("bell", "dog")}, "classes is bell, dog, but .*bell, dog, other, rain"),
        ({"multi_label": True}, "multi_label is True, but .* with False"),
        ({"overlap": 0.5}, "feature_extraction.overlap is 0.5, but .* with 0.25"),
    ],
)
def test_other_features_than_the_model_s_are_refused(trained, tmp_path, options, text):
    features = write_features(tmp_path / "features", **options)
    with pytest.raises(DataError, match=text) as caught:
        evaluate(features, trained[1], tmp_path / "report")
    assert str(features) in str(caught.value)
    assert not (tmp_path / "report").exists()


def test_a_test_clip_that_is_gone_is_named(trained, tmp_path):
    features = write_features(tmp_path / "features", clips_per_class=1)
    with pytest.raises(DataError, match=r"test clip 'audio/bell-001.wav' is not among"):
        evaluate(features, trained[1], tmp_path / "report")


def test_segments_of_one_file_are_told_apart(tmp_path):
    features = write_features(tmp_path / "features")
    rows = read_rows(features)
    for number, row in enumerate(rows):
        segment = {"start_s": float(number), "end_s": number + 1.0}
        row |= {"path": f"audio/long-{row['fold']}.wav", "source": None} | segment  # noqa: PLW2901
    write_rows(features, rows)
    chosen = config(training={"epochs": 1}, dataset={"validation_split": 0.0})
    fit(features, tmp_path / "model", tmp_path / "m", chosen)
    result = evaluate(features, tmp_path / "model", tmp_path / "report").as_json()
    assert result["clips"] == 8
    assert result["sources"] == 1
    predictions = _lines(tmp_path / "report" / "predictions.jsonl")
    assert [entry["start_s"] for entry in predictions] == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("labels", "text"), [(["bel"], "did you mean 'bell'"), ([], "has 0 labels")]
)
def test_labels_that_do_not_fit_are_named(trained, tmp_path, labels, text):
    features = write_features(tmp_path / "features", clips_per_class=15)
    rows = read_rows(features)
    rows[0]["labels"] = labels
    write_rows(features, rows)
    with pytest.raises(DataError, match=text) as caught:
        evaluate(features, trained[1], tmp_path / "report")
    assert "audio/bell-000.wav" in str(caught.value)
