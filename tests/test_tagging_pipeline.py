"""The tagging pipeline: what its parameters mean, and a whole run on clips of the user's own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tagging_runs

from pipelines.parameters.tagging import TaggingParameters, read_gate
from pipelines.tagging import get_pipeline
from soundgate import cli
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, read_results
from soundgate.audio.formats.reports.report import read_report
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile


@pytest.mark.parametrize(
    ("text", "path", "at_most", "bound"),
    [
        ("macro_f1>=0.6", "metrics.macro_f1.value", False, 0.6),
        ("hamming_distance <= 0.1", "metrics.hamming_distance.value", True, 0.1),
        ("f1.cel>=0.5", "labels.cel.f1.value", False, 0.5),
        (
            "average_precision.lead guitar>=0.5",
            "labels.lead guitar.average_precision.value",
            0,
            0.5,
        ),
    ],
)
def test_a_gate_is_asked_for_by_its_metric(text, path, at_most, bound):
    asked = read_gate(text)
    assert (asked.at_most, asked.bound) == (bool(at_most), bound)
    assert asked.metric.json_path == path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("macro_f1>0.6", "is no gate: write metric>=bound"),
        ("macro_f2>=0.6", "no metric 'macro_f2'; did you mean 'macro_f1'"),
        ("f1>=0.6", "no metric 'f1'"),
        ("quantised_macro_f1>=0.6", "did you mean 'quantized_macro_f1'"),
        ("f1.a.b>=0.5", "cannot name the label 'a.b', whose dot .* rename the label"),
        ("macro_f1>=75", "the bound must be between 0 and 1"),
        ("macro_f1>=1.2.3", "is no gate"),
    ],
)
def test_a_wrong_gate_is_refused_when_the_parameters_are_read(text, problem):
    with pytest.raises(ParameterError, match=f"gates: .*{problem}"):
        TaggingParameters(gates=[text])


def test_folds_are_refused_rather_than_ignored():
    with pytest.raises(ParameterError, match="folds: tagging holds out one fold"):
        TaggingParameters(folds=[1, 2])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tagging_runs.write_table(tmp_path_factory.mktemp("clips") / "own")


def test_the_pipeline_declares_its_gates(table, tmp_path):
    config = ConfigFile(str(tagging_runs.write_config(tmp_path / "tagging.yaml")))
    p = TaggingParameters(
        config=config,
        train_paths=[f"csv:{table}"],
        gates=["f1.low>=0.9"],
        q_worse_than_champion=0.1,
        q_mean_average_precision_threshold=None,
    )
    names = list(get_pipeline(p).tasks)
    assert names.index("train") < names.index("export") < names.index("evaluate")
    assert [name for name in names if name.startswith("gate")] == [
        "gate-macro-f1",
        "gate-macro-f1-gain",
        "gate-f1-low",
    ]
    assert names[:4] == ["collect", "prepare", "accept", "train"]


@pytest.fixture(scope="module")
def done(table, tmp_path_factory):
    root = tmp_path_factory.mktemp("tagging_run")
    config = tagging_runs.write_config(root / "tagging.yaml")
    settings = tagging_runs.settings_of(table, root / "store")
    first = tagging_runs.run(root / "runs", settings=settings, config=config)
    return root, settings, config, first


@pytest.mark.slow
def test_a_run_ends_with_a_candidate(done):
    root, _, _, first = done
    assert first.returncode == 0, first.stdout + first.stderr
    assert "registered tagging-candidates version 1" in first.stdout
    (run,) = [path for path in (root / "runs/tagging").iterdir() if not path.is_symlink()]
    report = read_report(run / "tasks/evaluate/report")
    assert report.metrics["macro_f1"].value >= 0.9
    assert (run / "tasks/review/review/report.html").stat().st_size > 10_000
    log = (run / "tasks/train/log.txt").read_text("utf-8")
    assert "Macro F1 on validation set : " in log


LOAD = """
import sys
import mlflow, numpy as np, soundfile
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/tagging-candidates@candidate")
assert model.metadata.metadata == {"classes": ["high", "low"], "sample_rate_hz": 8000}
assert model.predict(model.input_example)["scores"].shape == (1, 2)
for path in sys.argv[2:]:
    samples, _ = soundfile.read(path, dtype="float32")
    print(model.predict({"waveform": samples[None]})["scores"][0].tolist())
try:
    model.predict({"waveform": np.zeros((1, 0), np.float32)})
except Exception as error:
    print(error)
"""


@pytest.mark.slow
def test_the_registered_tagger_scores_waveforms_as_its_report_does(done):
    root, _, _, _ = done
    (run,) = [path for path in (root / "runs/tagging").iterdir() if not path.is_symlink()]
    results = list(read_results(run / "tasks/evaluate/report" / PREDICTIONS))[:3]
    clips = [str(run / "tasks/collect/clips" / row.path) for row in results]
    ended = subprocess.run(
        [sys.executable, "-c", LOAD, f"sqlite:///{root}/runs/mlflow.db", *clips],
        capture_output=True,
        text=True,
        check=False,
        env={"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert ended.returncode == 0, ended.stderr
    *scores, refusal = ended.stdout.splitlines()
    for row, line in zip(results, scores, strict=True):
        assert json.loads(line) == pytest.approx([row.scores["high"], row.scores["low"]], abs=1e-4)
    assert "waveform holds no sample: give at least one" in refusal


@pytest.mark.slow
def test_its_report_is_written_in_older_form(done, tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDGATE_RUNS", str(done[0] / "runs"))
    assert cli.main(["export-tags", "last", str(tmp_path / "out")]) == 0
    assert len(json.loads((tmp_path / "out/preds.json").read_text("utf-8"))) >= 5


@pytest.mark.slow
def test_nothing_is_trained_again_for_another_gate_and_a_missed_one_registers_nothing(done):
    root, settings, config, _ = done
    again = tagging_runs.run(
        root / "runs",
        "--output",
        "json",
        settings=(*settings[:-1], "gates=hamming_distance>=1"),
        config=config,
    )
    tasks = json.loads(again.stdout)["tasks"]
    assert {tasks[name]["state"] for name in ("collect", "prepare", "train", "evaluate")} == {
        "reused"
    }
    assert tasks["gate-hamming-distance"]["state"] == "failed"
    assert tasks["register"]["state"] == "skipped"


@pytest.mark.slow
def test_a_changed_clip_is_noticed(done, table):
    root, settings, config, _ = done
    clip = table.parent / "000.wav"
    before = clip.read_bytes()
    try:
        clip.write_bytes(before[:-4] + bytes(4))
        shown = tagging_runs.run(root / "runs", "--dry-run", settings=settings, config=config)
    finally:
        clip.write_bytes(before)
    line = next(each for each in shown.stdout.splitlines() if each.startswith("collect"))
    assert "reused" not in line
