"""Segments and embeddings that tests make up."""

import numpy as np

from soundgate.audio.formats.embeddings import segments
from soundgate.audio.formats.embeddings.segments import SPLITS, Segment
from soundgate.audio.formats.embeddings.vectors import EncoderUsed

ENCODER = EncoderUsed(
    name="toy", digest="ab" * 32, sample_rate_hz=8000, embedding_size=4, window_s=1.0
)
CLASSES = ("rain", "dog")


def segment(number: int, **changed) -> Segment:
    track = number // 2
    path = f"{CLASSES[track % 2]}/street/{track}.wav"
    start = 8000 * (number % 2)
    values = {
        "record_id": segments.record_id(path, start, 1),
        "track_id": path,
        "class_name": CLASSES[track % 2],
        "subclass": "street",
        "path": path,
        "split": SPLITS[track % 4],
        "start_s": start / 8000,
        "duration_s": 1.0,
        "round": 1,
        "noise": True,
        "track": track // 2,
        "bucket": number % 2,
        "number": number,
    }
    return Segment(**{**values, **changed})


def rows(count: int) -> tuple[list[Segment], np.ndarray]:
    vectors = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    return [segment(number) for number in range(count)], vectors
