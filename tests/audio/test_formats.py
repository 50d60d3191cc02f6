"""Stored formats: earlier versions are read, and a report of any system can be shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from soundgate.audio.formats.datasets.card import read_card
from soundgate.audio.formats.exported import read_export
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.history import read_history
from soundgate.audio.formats.model import read_description, rows_of
from soundgate.audio.formats.predictions import read_predictions
from soundgate.audio.formats.reports.clip_results import read_results
from soundgate.audio.formats.reports.comparison import (
    Champion,
    compare_reports,
    read_comparison,
    write_comparison,
)
from soundgate.audio.formats.reports.report import Report, read_report, write_report
from soundgate.audio.formats.reports.review_page import read_summary
from soundgate.audio.formats.version import read_version
from soundgate.audio.review.evidence import Folders
from soundgate.audio.review.page import write
from soundgate.errors import DataError

OLD = Path(__file__).parent / "old_formats"


def test_folders_of_earlier_versions_are_read():
    features = read_features(OLD / "features")
    assert rows_of(OLD / "model", features.rows, "test")
    assert read_description(OLD / "model").training["best_epoch"] == 1
    assert len(read_history(OLD / "metrics")) == 2
    assert read_card(OLD / "dataset").classes == ("bell", "dog")
    assert "network_int8.onnx" in read_export(OLD / "exported").files
    assert read_version(OLD / "version").version == "3"
    assert read_predictions(OLD / "predictions").columns.keys() == {"bell", "dog"}
    assert len(list(read_results(OLD / "report/predictions.jsonl"))) == 4
    assert read_summary(OLD / "review").clips_tested == 80


@pytest.mark.parametrize("name", ["report", "pooled"])
def test_a_report_of_version_1_gets_the_metrics_it_has(name):
    report = read_report(OLD / name)
    fields = json.loads((OLD / name / "evaluation.json").read_text())
    old = fields["multiclass_classification_metrics"]["clip_acc"]
    assert report.metrics["clip_accuracy"].value == old["value"]
    assert report.metrics["clip_accuracy"].high == old["high"]
    assert report.headline[0].title == "Clip accuracy"
    path = "multiclass_classification_metrics.clip_acc.value"
    assert report.metric_at(path) == "clip_accuracy"


def test_comparisons_of_version_1_are_read():
    with_champion = read_comparison(OLD / "comparison")
    assert with_champion.metrics["patch_accuracy"].champion.value == 0.555556
    assert read_comparison(OLD / "comparison-without-champion").champion is None


SPOT = {
    "metrics": {"psds1": {"value": 0.41, "low": 0.35, "high": 0.47}, "onset_f1": {"value": 0.6}},
    "headline": [{"metric": "psds1", "title": "PSDS 1"}],
}


def test_a_report_without_clips_gives_a_comparison_and_a_page(tmp_path):
    report = Report.model_validate(SPOT)
    write_report(tmp_path / "report", report)
    assert read_report(tmp_path / "report") == report
    compared = compare_reports(report, Champion(name="spot", version="2"), {"psds1": 0.38})
    assert compared.metrics["psds1"].difference.value == pytest.approx(0.03)
    write_comparison(tmp_path / "comparison", compared)
    (tmp_path / "card").mkdir()
    (tmp_path / "card/dataset.json").write_text('{"name": "tapes"}')
    folders = Folders(
        report=tmp_path / "report", card=tmp_path / "card", comparison=tmp_path / "comparison"
    )
    write(folders, tmp_path / "page")
    page = (tmp_path / "page/report.html").read_text("utf-8")
    assert "PSDS 1" in page
    assert "spot version 2" in page
    for section in ("confusion", "classes", "clips", "calibration"):
        assert f'id="{section}"' not in page


def test_a_headline_of_an_unknown_metric_is_refused(tmp_path):
    fields = {"format": "soundgate.report/2", **SPOT, "metrics": {}}
    (tmp_path / "evaluation.json").write_text(json.dumps(fields))
    with pytest.raises(DataError, match="metrics has no 'psds1'"):
        read_report(tmp_path)
