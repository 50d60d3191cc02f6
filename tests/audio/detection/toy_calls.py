"""A small world of calls: rising tones in noise, as a data set of clips and as recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from soundgate.audio.config.spot import parse_spot
from soundgate.audio.files.reading import write

RATE = 16_000
CONFIG = """
general: {batch_size: 16}
audio:
  sample_rate_hz: 16000
  sequence_len_ms: 400
  n_fft: 512
  hop_length: 400
  n_freq_bins: 32
  fmin_hz: 200
  fmax_hz: 4000
model: {name: RESNET10, width: 8, max_pool: 0}
augmentation: {pitch: [0.9, 1.1], stretch: [0.8, 1.25], snr_db: [3, 12]}
training: {epochs: 6, batch_size: 16, learning_rate: 0.003, schedule: one_cycle}
"""


def toy_config(text=""):
    return parse_spot(CONFIG + text, "toy.yaml")


def noise(seconds, seed):
    rng = np.random.default_rng([7, seed])
    return (0.02 * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def call(seconds, seed, kind="target"):
    rng = np.random.default_rng([8, seed])
    t = np.arange(round(seconds * RATE)) / RATE
    first = rng.uniform(800, 1000)
    slope = {"target": 2000, "cry": -700}[kind]
    wave = np.sin(2 * np.pi * (first * t + slope / 2 * t**2)) * np.hanning(t.size) ** 0.25
    return (rng.uniform(0.1, 0.3) * wave).astype(np.float32)


def write_dataset(folder, kinds=("target",), each=(24, 8), tables=True):
    """Clips of calls and noise in the naming of ANIMAL-SPOT; returns the folder."""
    folder.mkdir(parents=True)
    names = {"train": [], "val": []}
    number = 0
    for side, count in zip(names, each, strict=True):
        for kind in ("noise", *kinds):
            for _ in range(count):
                number += 1
                seconds = 0.6 if kind == "noise" else 0.3 + 0.01 * (number % 20)
                sound = noise(seconds, number)
                if kind != "noise":
                    sound = sound + call(seconds, number, kind)
                end = round(1000 * (number + seconds))
                name = (
                    f"{kind}-Q1_{number:06d}_2025_{side}tape{number % 2}_{1000 * number}_{end}.wav"
                )
                write(folder / name, sound, RATE)
                names[side].append(name)
    if tables:
        names["test"] = []
        for side, own in names.items():
            (folder / f"{side}.csv").write_text("".join(f"{name}\n" for name in own), "utf-8")
    return folder


def write_recordings(folder, lengths):
    """Recordings with a call of half a second every two; returns the times of the calls."""
    times = {}
    for number, (name, seconds) in enumerate(lengths.items()):
        sound = noise(seconds, 1000 + number)
        times[name] = []
        for start in np.arange(1.0, seconds - 1.0, 2.0):
            wave = call(0.5, 2000 + number + int(start))
            first = round(start * RATE)
            sound[first : first + wave.size] += wave
            times[name].append((float(start), float(start) + 0.5))
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, sound, RATE)
    return times
