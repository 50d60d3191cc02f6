"""The energy detector on tones in noise, and on hummingbirds' calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scored_tapes import Call, Tape, write_corpus

from soundgate.audio.detection.energy import EnergySettings, score
from soundgate.audio.detection.evaluation.evaluation import Asked, Folders, evaluate
from soundgate.audio.detection.evaluation.leakage import Used
from soundgate.audio.detection.evaluation.scored import read_scored
from soundgate.audio.files.reading import write as write_audio
from soundgate.audio.formats.detections.scores import read_scores
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 8000
CALLS = (Call(2, 3), Call(8, 9.5), Call(20, 20.6))


def write_tones(folder: Path, tapes: dict[str, Tape], hertz: float = 900.0) -> None:
    """A corpus with a tone in every call, 20 dB above white noise in its band."""
    write_corpus(folder, tapes)
    for seed, (path, tape) in enumerate(tapes.items()):
        time_s = np.arange(int(tape.duration_s * RATE_HZ)) / RATE_HZ
        wave = 0.01 * np.random.default_rng(seed).standard_normal(len(time_s))
        for call in (*tape.calls, *tape.heard_nothing):
            inside = (time_s >= call.start_s) & (time_s < call.end_s)
            wave += 0.1 * inside * np.sin(2 * np.pi * hertz * time_s)
        write_audio(folder / path, wave.astype("float32"), RATE_HZ)


def test_tones_are_found_where_they_are(tmp_path):
    world = Folders(*(tmp_path / name for name in ("scores", "bench", "valscores", "corpus")))
    write_tones(world.benchmark, {"a.wav": Tape(CALLS, tape="a"), "q.wav": Tape(tape="q")})
    write_tones(world.corpus, {"v.wav": Tape(CALLS[:2], tape="v")})
    settings = EnergySettings(window_s=0.1, hop_s=0.05, low_hz=500, high_hz=1500)
    score(world.benchmark, world.scores, settings)
    score(world.corpus, world.validation, settings, {"v.wav": (1.0, 15.0)})
    assert read_scored(world.validation, world.corpus, complete=False).hours == 14 / 3600
    used = Used(frozenset({"v"}))
    made = evaluate(world, used, Asked(variant="energy"), tmp_path / "report")
    assert made.metrics["event_f1"].value == 1.0
    assert made.metrics["start_error_ms"].value <= 50
    assert made.metrics["end_error_ms"].value <= 50
    assert made.metrics["collar_f1"].value == 1.0


def test_sound_outside_of_the_band_counts_for_nothing(tmp_path):
    write_tones(tmp_path / "bench", {"a.wav": Tape(CALLS)}, hertz=3000)
    score(tmp_path / "bench", tmp_path / "scores", EnergySettings(0.1, 0.05, 500, 1500))
    [(_, windows)] = read_scores(tmp_path / "scores")
    assert windows.scores.max() < 0.5
    assert windows.logits.shape == windows.scores.shape == (len(windows.starts_s), 1)


def test_blocks_leave_no_seams(tmp_path):
    """A recording longer than a block of frames has the scores of its parts."""
    write_tones(tmp_path / "bench", {"a.wav": Tape(CALLS, duration_s=130.0)})
    score(tmp_path / "bench", tmp_path / "whole", EnergySettings(0.1, 0.05, 500, 1500))
    [(row, whole)] = read_scores(tmp_path / "whole")
    # 20 Hz of windows: 2000 frames are a block
    assert row.windows == 2599
    assert np.flatnonzero(whole.scores[:, 0] > 0.9).tolist()[-1] < 20.7 * 20
    assert np.ptp(whole.logits[1900:2100]) < 5


def test_impossible_settings_are_refused(tmp_path):
    with pytest.raises(DataError, match="low_hz 900 is not below high_hz 500"):
        EnergySettings(low_hz=900, high_hz=500)
    with pytest.raises(DataError, match="hop_s must be above 0 and at most window_s"):
        EnergySettings(window_s=0.1, hop_s=0.2)
    write_tones(tmp_path / "bench", {"a.wav": Tape(CALLS)})
    with pytest.raises(DataError, match="sampled at 8000 Hz, has no sound above 4000 Hz"):
        score(tmp_path / "bench", tmp_path / "s", EnergySettings(low_hz=5000, high_hz=9000))
