"""A made-up system, not a classifier, is registered by the step and reviewed by the command."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from soundgate import cli
from soundgate.audio.formats.datasets.card import DatasetCard, write_card
from soundgate.audio.formats.reports.report import Estimate, Headline, Report, write_report
from steps.register import register

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

GATE = {
    "report": "evaluate/report",
    "metric": "event:f1",
    "file": "evaluation.json",
    "json_path": "metrics.event_f1.value",
    "message": "Execution failed due to event F1 <",
    "bound": "at_least",
    "threshold": 0.3,
    "advisory": False,
}


def register_detector(folder: Path, run: str, monkeypatch, event_f1: float) -> None:
    """Run the step on the artifacts of a detector that names no class and has no clip rows."""
    here = folder / run
    (here / "model").mkdir(parents=True)
    (here / "model" / "model.json").write_text('{"system": "made-up"}')
    (here / "model" / "weights.safetensors").write_bytes(run.encode())
    write_report(
        here / "report",
        Report(
            metrics={
                "event_f1": Estimate(value=event_f1, low=0.3, high=0.6),
                "psds1": Estimate(value=0.25),
                "not_shown_first": Estimate(value=7),
            },
            headline=(
                Headline(metric="psds1", title="PSDS 1"),
                Headline(metric="event_f1", title="Event F1"),
            ),
        ),
    )
    write_card(here / "card", DatasetCard(name="made-up", digest="d"))
    (here / "gates.json").write_text(json.dumps([GATE]))
    monkeypatch.setenv("SOUNDGATE_RUN", run)
    register(
        here / "model",
        here / "report",
        here / "card",
        here / "gates.json",
        {"evaluate/report": here / "report"},
        here / "entry",
        model_name="detector",
    )


def test_a_detector_is_registered_approved_shown_and_rolled_back(
    new_database, tmp_path, monkeypatch, capsys
):
    runs = tmp_path / "runs"
    runs.mkdir()
    shutil.copy(new_database, runs / "mlflow.db")
    monkeypatch.setenv("SOUNDGATE_ROOT", str(runs))
    monkeypatch.setenv("SOUNDGATE_RUNS", str(runs))
    for run, event_f1 in (("r1", 0.5), ("r2", 0.4)):
        register_detector(tmp_path, run, monkeypatch, event_f1)

    def review(*words: str) -> str:
        capsys.readouterr()
        assert cli.main(["review-model", *words, "--model-name", "detector"]) == 0
        return capsys.readouterr().out

    lines = review("list").splitlines()
    assert re.fullmatch(r"version +status +gates +psds 1 +age +run +decided", lines[0])
    assert re.fullmatch(r"2 +pending +passed +0\.25 .* r2", lines[1])
    assert "detector version 1, the champion" in review("approve", "r1", "--comment", "good")
    shown = review("show", "2")
    assert re.search(r"event:f1 +0\.4 +>= 0\.3 +passed", shown)
    assert re.search(r"event_f1 +0\.4 +0\.5\n", shown)  # nothing says that the clips are the same
    assert "it is not recorded whether both were measured on the same test clips" in shown
    assert "accuracy" not in shown
    assert json.loads(review("show", "2", "--output", "json"))["candidate"]["headline"] == [
        {"metric": "psds1", "title": "PSDS 1", "value": 0.25},
        {"metric": "event_f1", "title": "Event F1", "value": 0.4},
    ]
    approved = review("approve", "2", "--accept-changes", "--comment", "better on rain")
    assert "version 2, the champion" in approved
    back = review("rollback", "--comment", "false alarms")
    assert "version 1 is the champion; version 2 is previous" in back
    assert re.search(r"2 +rolled back \(version 2\)", review("list"))
