"""A small tagging data set: tones that are there or not, in noise, one recording a clip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from soundgate.audio.extraction.waveforms import Settings, extract_waveforms

if TYPE_CHECKING:
    from pathlib import Path

TONES_HZ = {"low": 300.0, "middle": 900.0, "high": 2700.0}
RATE_HZ = 8000

CONFIG = """
general: {global_seed: 7}
audio_transform: {n_fft: 256, hop_length: 80, n_mels: 32, fmin_hz: 50}
model: {name: PLAIN, head: LINEAR, dropout: 0.0}
training:
  epochs: 4
  batch_size: 8
  chunk_s: 0.5
  finetune_head_epochs: 1
  lr: 3.0e-3
  lr_warmup: 3.0e-3
  lr_onecycle_max: 1.0e-2
  precision: float32
"""


def write_clips(folder: Path, count: int = 60, seconds: float = 0.6, seed: int = 1) -> Path:
    """``clips/`` with a manifest: three fifths to train on, a fifth each to validate and test."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True)
    rows = []
    for number in range(count):
        there = rng.random(len(TONES_HZ)) < 0.5
        time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        sound = 0.02 * rng.standard_normal(time_s.size)
        for tone_hz in np.array(list(TONES_HZ.values()))[there]:
            sound += 0.2 * np.sin(2 * np.pi * (tone_hz * time_s + rng.random()))
        path = f"audio/{number:03d}.wav"
        soundfile.write(folder / path, sound, RATE_HZ, subtype="FLOAT")
        side = ("training", "training", "training", "validation", "test")[number % 5]
        labels = [name for name, given in zip(TONES_HZ, there, strict=True) if given]
        rows.append({"path": path, "labels": labels, "split": side, "source": str(number)})
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "manifest.jsonl").write_text(lines, "utf-8")
    return folder


def write_waveforms(clips: Path, folder: Path) -> Path:
    """``waveforms/`` of such clips."""
    extract_waveforms(clips, folder, Settings(sample_rate_hz=RATE_HZ, labels=tuple(TONES_HZ)))
    return folder
