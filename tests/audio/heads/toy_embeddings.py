"""Embeddings of made-up tracks: a cloud of points for each class."""

from __future__ import annotations

import numpy as np

from soundgate.audio.formats.embeddings import segments
from soundgate.audio.formats.embeddings.segments import Segment
from soundgate.audio.formats.embeddings.vectors import EncoderUsed, write_embeddings

CLASSES = ("dog", "rain", "chain_saw")
SIZE = 6
ENCODER = EncoderUsed(
    name="toy", digest="ab" * 32, sample_rate_hz=8000, embedding_size=SIZE, window_s=1.0
)
TRACKS = {"train": 8, "es": 4, "valid": 4, "test": 6}
"""Of each class; every track has two segments."""


def rows(seed=0, spread=0.8, tracks=TRACKS):
    """Segments of all classes and splits, and their embeddings float32 (segment, size)."""
    random = np.random.default_rng(seed)
    centres = 2 * np.eye(len(CLASSES), SIZE) + 5  # far from the origin, as real embeddings are
    found, vectors = [], []
    for class_number, name in enumerate(CLASSES):
        splits = [split for split, count in tracks.items() for _ in range(count)]
        for track, split in enumerate(splits):
            path = f"{name}/{split}/{track}.wav"
            for bucket in range(2):
                found.append(
                    Segment(
                        record_id=segments.record_id(path, 8000 * bucket, 1),
                        track_id=f"{name}-{track}",
                        class_name=name,
                        subclass=split,
                        path=path,
                        split=split,
                        start_s=float(bucket),
                        duration_s=1.0,
                        round=1,
                        noise=False,
                        track=track,
                        bucket=bucket,
                        number=2 * track + bucket,
                    )
                )
                vectors.append(centres[class_number] + spread * random.standard_normal(SIZE))
    return found, np.array(vectors, np.float32)


def write(folder, encoder=ENCODER, classes=CLASSES, **how):
    """An ``embeddings/`` folder."""
    found, vectors = rows(**how)
    write_embeddings(folder, encoder, classes, found, vectors)
    return folder
