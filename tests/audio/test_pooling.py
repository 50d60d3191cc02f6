"""Reports of several folds become one."""

from __future__ import annotations

import json

import pytest

from soundgate.audio.classification.folds import pool
from soundgate.audio.formats.reports.clip_results import PREDICTIONS
from soundgate.audio.formats.reports.report import REPORT
from soundgate.errors import DataError

CLASSES = ["dog", "rain"]


def report(folder, rows, classes=CLASSES):
    """Write what a fold leaves; rows are (path, truth, predicted, patches, right, source)."""
    folder.mkdir()
    lines = []
    for path, truth, predicted, patches, right, source in rows:
        scores = dict.fromkeys(classes, 0.2) | {predicted: 0.8}
        entry = {
            "path": path,
            "truth": [truth],
            "predicted": [predicted],
            "scores": scores,
            "patches": patches,
            "patches_correct": right,
            "source": source,
            "correct": truth == predicted,
        }
        lines.append(json.dumps(entry))
    (folder / PREDICTIONS).write_text("\n".join(lines) + "\n")
    clips = [truth == predicted for _, truth, predicted, *_ in rows]
    right, patches = sum(row[4] for row in rows), sum(row[3] for row in rows)
    figures = {
        "model": {"architecture": "plain"},
        "split": "test",
        "multi_label": False,
        "confusion_matrix": {"labels": list(classes), "rows": []},
        "multiclass_classification_metrics": {
            "clip_acc": {"value": sum(clips) / len(clips), "low": 0.0, "high": 1.0},
            "patch_acc": {"value": right / patches, "low": 0.0, "high": 1.0},
        },
    }
    (folder / REPORT).write_text(json.dumps(figures))
    return folder


@pytest.fixture
def folds(tmp_path):
    """Two folds: 2 of 3 clips right, then 1 of 1."""
    first = [
        ("a.wav", "dog", "dog", 6, 5, "1"),
        ("b.wav", "dog", "rain", 6, 2, "1"),
        ("c.wav", "rain", "rain", 4, 4, "2"),
    ]
    second = [("d.wav", "rain", "rain", 2, 1, None)]
    return [report(tmp_path / "one", first), report(tmp_path / "two", second)]


def test_pooled_figures_are_those_of_all_clips_together(folds, tmp_path, capsys):
    pool(folds, tmp_path / "all")
    found = json.loads((tmp_path / "all" / REPORT).read_text())
    accuracies = found["multiclass_classification_metrics"]
    assert accuracies["clip_acc"]["value"] == 0.75
    assert accuracies["patch_acc"]["value"] == pytest.approx(12 / 18, abs=1e-6)
    assert found["confusion_matrix"]["rows"] == [[1, 1], [0, 2]]
    assert (found["clips"], found["patches"], found["sources"]) == (4, 18, 3)
    assert found["split"] == "test, 2 folds"
    assert "Clip-level accuracy on test set : 0.75\n" in capsys.readouterr().out


def test_the_spread_over_folds_has_n_minus_one_in_it(folds, tmp_path):
    found = pool(folds, tmp_path / "all").as_json()["folds"]["clip_acc"]
    assert found["values"] == [2 / 3, 1.0]
    assert found["mean"] == pytest.approx(5 / 6, abs=1e-6)
    # of two values: their distance over the square root of two
    assert found["standard_deviation"] == pytest.approx((1 / 3) / 2**0.5, abs=1e-6)


def test_pooling_one_report_changes_nothing(folds, tmp_path):
    found = pool(folds[:1], tmp_path / "all").as_json()
    assert found["multiclass_classification_metrics"]["clip_acc"]["value"] == 0.666667
    assert found["folds"]["clip_acc"]["standard_deviation"] is None
    again = (tmp_path / "all" / PREDICTIONS).read_text().splitlines()
    before = (folds[0] / PREDICTIONS).read_text().splitlines()
    assert [json.loads(line) for line in again] == [json.loads(line) for line in before]


def test_a_clip_tested_twice_is_refused_with_both_places(folds, tmp_path):
    with pytest.raises(DataError, match=r"a\.wav was tested in .*one and in .*one"):
        pool([folds[0], folds[0]], tmp_path / "all")


def test_reports_of_other_classes_are_refused(folds, tmp_path):
    other = report(tmp_path / "x", [("e.wav", "cat", "cat", 1, 1, None)], ["cat", "dog"])
    with pytest.raises(DataError, match="different classes"):
        pool([*folds, other], tmp_path / "all")
    assert not (tmp_path / "all").exists()
