"""A detector in ``predict``: rows of windows, a clip's score is that of its surest window."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from test_detector_scoring import write_model
from toy_calls import write_recordings

from soundgate.audio.detection.scoring.prediction import Asked
from soundgate.audio.detection.scoring.prediction import predict as score
from soundgate.audio.detection.scoring.recordings import recordings
from soundgate.audio.formats.detections.scores import read_scores
from soundgate.errors import ParameterError
from steps.predict import predict


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_the_windows_of_a_detector_and_clips_their_surest(tmp_path):
    torch.set_num_threads(1)
    model = write_model(tmp_path / "model", ("noise", "cry", "hum"))
    write_recordings(tmp_path / "audio", {"a.wav": 5.0, "b/c.wav": 2.0})
    score(model, tmp_path / "audio", tmp_path / "scores", recordings(tmp_path / "audio"), Asked())
    predict(model, tmp_path / "audio", tmp_path / "out")
    patches = rows(tmp_path / "out" / "patches.csv")
    clips = rows(tmp_path / "out" / "clips.csv")
    for row, windows in read_scores(tmp_path / "scores"):
        own = [patch for patch in patches if patch["path"] == row.path]
        starts = [float(patch["start_s"]) for patch in own]
        assert starts == pytest.approx(windows.starts_s)
        found = np.array([[float(patch[name]) for name in ("cry", "hum")] for patch in own])
        assert np.allclose(found, windows.scores, atol=1e-4)
        [clip] = [clip for clip in clips if clip["path"] == row.path]
        assert float(clip["hum"]) == pytest.approx(windows.scores[:, 1].max(), abs=1e-4)
        given = [n for n, s in zip(("cry", "hum"), windows.scores.max(0), strict=True) if s >= 0.5]
        assert clip["predicted"].split(";") == (given or [""])


def test_other_runtimes_are_refused(tmp_path):
    model = write_model(tmp_path / "model")
    write_recordings(tmp_path / "audio", {"a.wav": 3.0})
    with pytest.raises(ParameterError, match="detectors run in torch, not onnx"):
        predict(model, tmp_path / "audio", tmp_path / "out", runtime="onnx")
