"""Exported detectors: recordings in, the scores of a prediction out, without this code."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_detector_scoring import write_model
from toy_calls import RATE, write_recordings

from soundgate.audio.datasets.corpora.indexing.building import build
from soundgate.audio.detection.scoring.prediction import Asked, predict
from soundgate.audio.detection.scoring.recordings import recordings
from soundgate.audio.files.reading import load
from soundgate.audio.formats.detections.scores import read_scores
from soundgate.audio.prediction.prediction import predict as predict_clips
from soundgate.audio.prediction.settings import Settings
from steps.spot.export import export
from tests.audio.served import serving, upload

pytestmark = pytest.mark.slow

runtime = pytest.importorskip("onnxruntime")
LENGTHS = {"a.wav": 6.0, "b.wav": 2.9}


def write_corpus(folder):
    times = write_recordings(folder, LENGTHS)
    for name, calls in times.items():
        rows = "".join(f"{start}\t{end}\thum\n" for start, end in calls)
        (folder / name).with_suffix(".txt").write_text(rows, "utf-8")
    list(build(folder, [], {}))
    return folder


def test_a_program_says_of_whole_recordings_what_a_prediction_does(tmp_path):
    torch.set_num_threads(1)
    corpus = write_corpus(tmp_path / "corpus")
    model = write_model(tmp_path / "model", ("noise", "cry", "hum"))
    config = tmp_path / "config.yaml"
    config.write_text("audio: {sample_rate_hz: 16000}\n", "utf-8")
    export(model, corpus, config, tmp_path / "exported", hop_s=0.1)
    predict(model, corpus, tmp_path / "scores", recordings(corpus), Asked(hop_s=0.1))
    session = runtime.InferenceSession(tmp_path / "exported" / "model.onnx")
    for row, windows in read_scores(tmp_path / "scores"):
        wave = load(corpus / row.path, sample_rate_hz=RATE)
        best, each, counts = session.run(None, {"waveform": np.stack([wave, 0 * wave])})
        assert counts.tolist() == [row.windows] * 2
        assert np.abs(each[0, :, 1:] - windows.scores).max() < 1e-4
        assert np.allclose(best[0, 1:], windows.scores.max(0), atol=1e-4)
    about = json.loads((tmp_path / "exported" / "export.json").read_text("utf-8"))
    assert about["classes"] == ["noise", "cry", "hum"]
    assert about["chunks"] == {"length_s": 0.4, "hop_s": 0.1, "join": "max"}
    assert about["front_end"]["n_freq_bins"] == 32
    assert max(about["checks"]["largest_difference"].values()) < 1e-4
    small = runtime.InferenceSession(tmp_path / "exported" / "model_int8.onnx")
    assert (
        np.abs(small.run(None, {"waveform": wave[None]})[1][0, :, 1:] - windows.scores).max() < 0.2
    )
    check_service(model, tmp_path)


def check_service(model, tmp_path):
    """The service runs the program, and says what ``predict`` says in torch."""
    (tmp_path / "exported").rename(model / "export")
    predict_clips(model, tmp_path / "corpus" / "a.wav", tmp_path / "out", Settings(format="jsonl"))
    row = json.loads((tmp_path / "out" / "clips.jsonl").read_text("utf-8"))
    with serving(model) as client:
        [about] = client.get("/version").json()["models"]
        content = (tmp_path / "corpus" / "a.wav").read_bytes()
        [found] = client.post("/predict", files=upload(content)).json()["recordings"]
    assert (about["system"], about["runtime"], about["labels"]) == ("spot", "onnx", ["cry", "hum"])
    assert found["scores"] == pytest.approx({name: row[name] for name in ("cry", "hum")}, abs=1e-4)
    assert found["labels"] == row["predicted"]
