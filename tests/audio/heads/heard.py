"""Short sounds of three classes, and their embeddings by a tiny CLAP with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings, windows_of
from soundgate.audio.formats.embeddings import segments
from soundgate.audio.formats.embeddings.segments import Segment
from soundgate.audio.formats.embeddings.vectors import EncoderUsed, write_embeddings
from soundgate.audio.networks.encoders.catalogue import load_encoder
from soundgate.audio.networks.encoders.interface import EncoderSettings
from tests.audio.encoders.clap_files import write_clap

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 44_100
"""The encoder's: resampled in parts and whole, sound differs at edges."""
CLASSES = ("hiss", "hum", "whistle")
SPLITS = ("train", "train", "es", "valid", "test")
"""Of the tracks of a class."""
CUT_S = 1.0
LENGTH_S = 1.5
"""Of a clip: its last segment is shorter than the others."""


@dataclass(frozen=True)
class Heard:
    """Where everything lies."""

    clips: Path
    weights: Path
    text: Path
    embeddings: Path


def sound(name: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    time = np.arange(int(LENGTH_S * RATE_HZ)) / RATE_HZ
    noise = 0.01 * random.standard_normal(time.size)
    if name == "hiss":
        return 20 * noise
    frequency = {"hum": 120, "whistle": 2500}[name] * (1 + 0.1 * random.random())
    return 0.4 * np.sin(2 * np.pi * frequency * time) + noise


def write(folder: Path) -> Heard:
    """Write clips, weights and embeddings."""
    rows = []
    for number, name in enumerate(CLASSES):
        for track, split in enumerate(SPLITS):
            path = f"{name}/{track}.wav"
            (folder / "clips" / name).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "clips" / path, sound(name, 10 * number + track), RATE_HZ)
            rows += [_segment(path, name, split, track, bucket) for bucket in range(2)]
    heard = Heard(folder / "clips", folder / "clap.pth", folder / "text", folder / "embeddings")
    write_clap(heard.weights, text=heard.text)
    encoder = load_encoder(EncoderSettings(name="clap-2023", path=heard.weights))
    how = EmbeddingSettings(fill="zeros")
    windows = windows_of(how, encoder)
    assert windows.size is not None
    used = EncoderUsed(
        name=encoder.name,
        digest=encoder.digest,
        sample_rate_hz=encoder.sample_rate_hz,
        embedding_size=encoder.embedding_size,
        window_s=windows.size / encoder.sample_rate_hz,
        hop_s=windows.hop / encoder.sample_rate_hz,
        segment_s=CUT_S,
    )
    made = embed_records(rows, heard.clips, encoder, how, change=_filled)
    write_embeddings(
        heard.embeddings, used, CLASSES, rows, np.stack([each.vector for each in made])
    )
    return heard


def _filled(segment: object, samples: np.ndarray) -> np.ndarray:
    size = round(CUT_S * 44_100)
    return np.pad(samples, (0, size))[:size]


def _segment(path: str, name: str, split: str, track: int, bucket: int) -> Segment:
    return Segment(
        record_id=segments.record_id(path, bucket, 1),
        track_id=path,
        class_name=name,
        subclass="",
        path=path,
        split=split,
        start_s=bucket * CUT_S,
        duration_s=min(CUT_S, LENGTH_S - bucket * CUT_S),
        round=1,
        noise=False,
        track=track,
        bucket=bucket,
        number=2 * track + bucket,
    )
