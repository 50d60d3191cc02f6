"""What Kubeflow is told of a judged report."""

from __future__ import annotations

import json

import pytest

from soundgate.errors import ExecutorError
from soundgate.programs.typed_outputs import write

REPORT = {
    "multiclass_classification_metrics": {"clip_acc": {"value": 0.875, "low": 0.5}},
    "clips": 16,
    "multi_label": False,
    "calibration": {"ece": float("nan"), "bins": [{"n": 3}]},
    "per_class": [{"label": "dog", "f1": 0.5}],
    "confusion_matrix": {"labels": ["dog", "rain"], "rows": [[7, 1], [0, 8]]},
}


def told(folder, *names) -> str:
    """What the launcher passes."""
    described = {
        name: {
            "artifacts": [
                {"name": name, "uri": f"s3://b/{name}", "type": {"schemaTitle": "system.X"}}
            ]
        }
        for name in names
    }
    target = folder / "kfp_outputs" / "output_metadata.json"
    return json.dumps({"outputs": {"artifacts": described, "outputFile": str(target)}})


def read(folder):
    return json.loads((folder / "kfp_outputs" / "output_metadata.json").read_text())["artifacts"]


def test_figures_and_confusions_are_told(tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    (report / "evaluation.json").write_text(json.dumps(REPORT))
    other = tmp_path / "other"
    other.mkdir()
    names = ("report", "report_metrics", "report_confusion", "other")
    write(told(tmp_path, *names), {"report": report, "other": other})
    found = read(tmp_path)
    assert sorted(found) == ["report_confusion", "report_metrics"]
    [metrics] = found["report_metrics"]["artifacts"]
    assert metrics["metadata"] == {
        "multiclass_classification_metrics.clip_acc.value": 0.875,
        "multiclass_classification_metrics.clip_acc.low": 0.5,
        "clips": 16,
    }
    assert metrics["uri"] == "s3://b/report_metrics"
    [confusion] = found["report_confusion"]["artifacts"]
    assert confusion["metadata"]["confusionMatrix"] == {
        "annotationSpecs": [{"displayName": "dog"}, {"displayName": "rain"}],
        "rows": [{"row": [7, 1]}, {"row": [0, 8]}],
    }


def test_a_report_without_a_matrix_shows_its_figures_alone(tmp_path):
    report = tmp_path / "comparison"
    report.mkdir()
    (report / "comparison.json").write_text('{"gain": -0.125, "compared": true}')
    write(told(tmp_path, "comparison_metrics", "comparison_confusion"), {"comparison": report})
    found = read(tmp_path)
    assert list(found) == ["comparison_metrics"]
    assert found["comparison_metrics"]["artifacts"][0]["metadata"] == {"gain": -0.125}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"outputs": {"artifacts": {}}}', "{{$}}"])
def test_what_is_no_executor_input_is_one_line(text):
    with pytest.raises(ExecutorError, match="executor_input: is not KFP's ExecutorInput"):
        write(text, {})
