"""One clip, one answer: by ``predict``, by the service, and by the exported program alone."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from soundgate.audio.files import reading
from soundgate.audio.prediction.prediction import predict
from soundgate.audio.prediction.settings import Settings
from tests.audio.served import serving, upload

pytestmark = pytest.mark.slow

runtime = pytest.importorskip("onnxruntime")


def model_of(runs, system, target):
    """The model of the newest run, with its programs, as it is registered."""
    tasks = max(runs.glob(f"{system}/2*"), key=lambda path: path.name) / "tasks"
    shutil.copytree(tasks / "train" / "model", target)
    shutil.copytree(tasks / "export" / "exported", target / "export")
    return target


@pytest.fixture(params=["aed", "tagging"])
def system(request):
    """What a model is of, and the runs that made one. Of detectors: ``test_detector_export``."""
    return request.param, request.getfixturevalue(f"small_{request.param}")


def test_predict_service_and_program_give_the_same_scores(system, tmp_path):
    name, runs = system
    model = model_of(runs, name, tmp_path / "model")
    about = json.loads((model / "export" / "export.json").read_text("utf-8"))
    rate_hz = about["sample_rate_hz"]
    seconds = 1.0 if name == "aed" else 2.3
    samples = np.random.default_rng(4).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)
    clip = tmp_path / "audio" / "clip0.wav"
    clip.parent.mkdir()
    reading.write(clip, samples, rate_hz)
    predict(model, clip.parent, tmp_path / "out", Settings(format="jsonl"))
    row = json.loads((tmp_path / "out" / "clips.jsonl").read_text("utf-8"))
    with serving(model) as client:
        [served] = client.get("/version").json()["models"]
        assert (served["system"], served["runtime"]) == (name, "onnx")
        [found] = client.post("/predict", files=upload(clip.read_bytes())).json()["recordings"]
    labels = served["labels"]
    expected = [row[label] for label in labels]
    assert [found["scores"][label] for label in labels] == pytest.approx(expected, abs=1e-4)
    predicted = row["predicted"]
    assert found["labels"] == (predicted if isinstance(predicted, list) else [predicted])
    program = runtime.InferenceSession(model / "export" / "model.onnx")
    wave = reading.load(clip, sample_rate_hz=rate_hz)
    [alone] = program.run(["scores"], {"waveform": wave[None]})[0]
    assert about["classes"] == labels
    assert alone == pytest.approx(expected, abs=1e-4)
