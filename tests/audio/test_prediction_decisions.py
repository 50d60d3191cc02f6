"""Thresholds, several labels, class names: what is made of the scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reading_tables import predict, rows, scores
from toy_model import CLASSES, write_model, write_sound


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of many lengths, one of them of several segments, in folders of folders."""
    root = tmp_path_factory.mktemp("folder")
    for number in range(12):
        write_sound(root / f"{number % 3}" / f"{number:02d}.wav", 0.3 + 0.21 * number, number)
    write_sound(root / "1.wav", 9.3, 40)
    return root


def test_below_the_threshold_a_clip_is_unknown(model, folder, tmp_path):
    best = sorted(row["score"] for row in predict(model, folder, tmp_path / "all"))
    threshold = best[len(best) // 2]
    found = predict(model, folder, tmp_path / "out", unknown_class_threshold=threshold - 1e-6)
    assert 0 < sum(row["unknown"] for row in found) < len(found)
    assert all(row["unknown"] == (row["score"] < threshold) for row in found)
    assert all(row["score"] == max(row[label] for label in CLASSES) for row in found)
    assert all(row[row["predicted"]] == row["score"] for row in found)
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert summary["unknown"] == sum(row["unknown"] for row in found)
    assert not any(row["unknown"] for row in rows(tmp_path / "all", "clips"))


@pytest.mark.parametrize("format_", ["csv", "parquet", "jsonl"])
def test_several_labels_at_one_half(folder, tmp_path, format_):
    model = write_model(tmp_path / "model", multi_label=True)
    found = predict(model, folder, tmp_path / "out", format=format_)
    lengths = set()
    for row in found:
        expected = [label for label in CLASSES if row[label] >= 0.5]
        assert row["predicted"] == (";".join(expected) if format_ == "csv" else expected)
        lengths.add(len(expected))
    assert len(lengths) > 1


def test_the_class_other_and_columns_of_the_same_name(folder, tmp_path):
    classes = ("Path", "class_path", "other", "score", "remark")
    model = write_model(tmp_path / "model", classes=classes)
    found = predict(model, folder, tmp_path / "out")
    columns = json.loads((tmp_path / "out" / "predictions.json").read_text())["columns"]
    assert columns == {
        "Path": "class_Path",
        "class_path": "class_class_path",
        "other": "other",
        "score": "class_score",
        "remark": "class_remark",
    }
    assert set(columns.values()) < found[0].keys()
    assert len(found[0]) == 7 + len(classes)
    np.testing.assert_allclose(scores(found, columns.values()).sum(1), 1, atol=1e-5)
    assert {row["predicted"] for row in found} <= set(classes)
