"""A clips/ folder of short made-up sounds that a network learns in seconds, and its model."""

from __future__ import annotations

import json

import numpy as np
import soundfile

from soundgate.audio.classification.fit import fit
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.config import UserConfig
from soundgate.audio.extraction.log_mel import extract

RATE_HZ = 16000
CLASSES = ("buzz", "hiss", "tone")


def sound(label, seed):
    """Float64 (sample,) of 1.1 to 2.6 s, a third of it silence in every other clip."""
    rng = np.random.default_rng([CLASSES.index(label), seed])
    time_s = np.arange(int(rng.uniform(1.1, 2.6) * RATE_HZ)) / RATE_HZ
    pitch_hz = rng.uniform(300, 900)
    made = {
        "buzz": np.sign(np.sin(2 * np.pi * pitch_hz / 4 * time_s)),
        "hiss": rng.normal(0, 0.5, time_s.size),
        "tone": np.sin(2 * np.pi * pitch_hz * time_s),
    }[label]
    if seed % 2:
        made[time_s.size // 3 : 2 * time_s.size // 3] = 0.0
    return made * rng.uniform(0.1, 0.6) + rng.normal(0, 0.01, time_s.size)


def write_clips(folder, *, per_class=15, multi_label=False):
    """Five folds of 16-bit WAV files; multi-label, every third clip holds the next class too."""
    (folder / "audio").mkdir(parents=True)
    clips = []
    for seed in range(per_class):
        for k, label in enumerate(CLASSES):
            samples, labels = sound(label, seed), [label]
            if multi_label and seed % 3 == 0:
                other = CLASSES[(k + 1) % len(CLASSES)]
                samples = samples + np.resize(sound(other, seed + 100), samples.size)
                labels.append(other)
            path = f"audio/{label}-{seed:02d}.wav"
            samples = 0.5 * samples / np.abs(samples).max()
            soundfile.write(folder / path, samples, RATE_HZ, subtype="PCM_16")
            clips.append(
                Clip(path, tuple(sorted(labels)), fold=seed % 5 + 1, source=f"{label}-{seed}")
            )
    write_manifest(folder / "manifest.jsonl", sorted(clips, key=lambda clip: clip.path))
    return folder


def config(**sections):
    """A user config of a network of a few thousand weights."""
    learning = {"precision": "float32", "epochs": 4, "batch_size": 16, "learning_rate": 0.01}
    network = {"model": {"name": "plain", "width": 0.5}}
    augmentation = {"data_augmentation": {"gain": {}}}
    sections["training"] = learning | network | sections.get("training", {})
    return UserConfig.model_validate(augmentation | sections)


def prepare(folder, settings):
    """``clips``, ``features`` and ``model`` below ``folder``, trained as ``settings`` say."""
    clips = write_clips(folder / "clips", multi_label=settings.dataset.multi_label)
    extract(clips, folder / "features", settings)
    fit(folder / "features", folder / "model", folder / "metrics", settings)
    return folder


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]
