"""A small tagger with made-up weights, and clips for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch

from soundgate.audio.classification.tagging.network import record_of
from soundgate.audio.clips.manifest import Clip
from soundgate.audio.files import reading
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.models.tagger import Chunks, TaggerFile
from soundgate.audio.formats.waveforms import Writer, read_waveforms
from soundgate.audio.networks.tagger import TaggerSettings, make_tagger
from soundgate.audio.signal.front_ends import FrontEndSettings

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 8000
LABELS = ("cello", "flute", "voice")
THRESHOLDS = {"cello": 0.3, "flute": 0.5, "voice": 0.7}
LENGTHS_S = {"a.wav": 0.4, "b.wav": 1.0, "c.wav": 2.7, "d.wav": 1.31, "e.wav": 0.02}


def write_clips(folder: Path) -> Path:
    """Tones in noise; the last one is shorter than the network's shortest input."""
    rng = np.random.default_rng(5)
    folder.mkdir(parents=True, exist_ok=True)
    for name, length_s in LENGTHS_S.items():
        time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        tone = np.sin(2 * np.pi * rng.uniform(200, 3000) * time_s) * np.sin(3 * time_s)
        soundfile.write(folder / name, 0.3 * tone + rng.normal(0, 0.03, time_s.size), RATE_HZ)
    return folder


def write_waveforms(folder: Path, clips: Path) -> Path:
    """The clips as ``prepare`` keeps them, all of them to train with and to test."""
    with Writer(folder, sample_rate_hz=RATE_HZ, labels=LABELS) as writer:
        for k, name in enumerate(sorted(LENGTHS_S)):
            samples = reading.load(clips / name, sample_rate_hz=RATE_HZ)
            split = "training" if k % 2 else "test"
            writer.add(samples, Clip(name, (LABELS[k % 3],), split=split, source=name))
    return folder


def write_tagger(
    folder: Path,
    waveforms: Path | None = None,
    *,
    network: str = "PLAIN",
    chunk_s: float | None = 1.0,
    **front_end: object,
) -> Path:
    """A ``model/`` folder with drawn weights, whose scores are spread around the thresholds."""
    torch.manual_seed(3)
    sound = {"n_fft": 256, "hop_length": 128, "n_mels": 32} | front_end
    tagger = make_tagger(
        TaggerSettings(
            network=network,
            head="LINEAR",
            front_end=FrontEndSettings(sample_rate_hz=RATE_HZ, **sound),
        ),
        len(LABELS),
    )
    with torch.no_grad():
        for name, weight in tagger.head.named_parameters():
            weight.mul_(0.0 if name.endswith("bias") else 8.0)
    front, made_of = record_of(tagger)
    description = TaggerFile(
        architecture=network,
        classes=LABELS,
        sample_rate_hz=RATE_HZ,
        front_end=front,
        network=made_of,
        chunks=Chunks(length_s=chunk_s, hop_s=chunk_s),
        thresholds=THRESHOLDS,
        seed=3,
        stages={"all": 1},
        epochs=1,
        best_epoch=1,
        parameters=1,
    )
    rows = read_waveforms(waveforms).rows if waveforms else ()
    split = [(row, row.split) for row in rows]
    model_folder.write(folder, description, tagger.state_dict(), split)
    return folder
