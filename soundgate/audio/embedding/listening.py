"""Sounds in memory to embeddings, as those of a corpus were made of its segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch

from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings, Windows
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.audio.networks.encoders.matching import encoder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.embedding.windows import Samples
    from soundgate.audio.formats.embeddings.vectors import EncoderUsed
    from soundgate.audio.networks.encoders.interface import Encoder

BATCH_SIZE: Final = 16
"""Windows that are embedded together, at most."""


class Part(NamedTuple):
    """A segment of a sound."""

    record_id: str
    path: str
    """Number of the sound."""
    start_s: float
    duration_s: float


class Heard(NamedTuple):
    """Segments of a sound."""

    vectors: NDArray[np.float32]
    """``(segment, size)``."""
    times: NDArray[np.float64]
    """``(segment, 2)``: begin and end in the sound, seconds."""


@dataclass(frozen=True)
class Listener:
    """An encoder, and how a sound is cut for it."""

    encoder: Encoder
    settings: EmbeddingSettings
    segment_s: float
    """Length of a segment; a shorter last one is filled up."""

    def hear(self, sounds: Sequence[Samples]) -> list[Heard]:
        """Embeddings of the segments of each sound float32 (sample,), at the encoder's rate."""
        parts = [self._parts(str(number), sound) for number, sound in enumerate(sounds)]
        flat = [part for own in parts for part in own]
        vectors = np.array(self._embedded(flat, sounds), np.float32)
        found, first = [], 0
        for own in parts:
            times = np.array([[part.start_s, part.start_s + part.duration_s] for part in own])
            found.append(Heard(vectors[first : first + len(own)], times))
            first += len(own)
        return found

    def _parts(self, name: str, sound: Samples) -> list[Part]:
        rate_hz = self.encoder.sample_rate_hz
        size = round(self.segment_s * rate_hz)
        return [
            Part(f"{name}:{first}", name, first / rate_hz, min(size, sound.size - first) / rate_hz)
            for first in range(0, max(sound.size, 1), size)
        ]

    def _embedded(
        self, parts: Sequence[Part], sounds: Sequence[Samples]
    ) -> list[NDArray[np.float32]]:
        def read(part: Any, rate_hz: int) -> Samples:
            first = round(part.start_s * rate_hz)
            return sounds[int(part.path)][first : first + round(part.duration_s * rate_hz)]

        size = round(self.segment_s * self.encoder.sample_rate_hz)
        whole = Windows(size, size, self.settings.fill)

        def filled(_part: Any, samples: Samples) -> Samples:
            ((samples, _),) = whole.cut(samples)
            return samples

        made = embed_records(parts, Path(), self.encoder, self.settings, read=read, change=filled)
        return [each.vector for each in made]


def listener(
    used: EncoderUsed, segment_s: float, weights: Path | None, batch_size: int = BATCH_SIZE
) -> Listener:
    """What hears sounds as the encoder ``used`` heard those of a corpus.

    Args:
        used: by the embeddings that there are.
        segment_s: length of what one of them stands for.
        weights: of the encoder, a file or a folder; None: an installed package has its own.
        batch_size: windows computed together.

    Raises:
        ParameterError: the encoder's weights are not given.
        DataError: they are not those that made the embeddings.
        ConfigError: there are none at that path.
        MissingExtra: a library that they need is not installed.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = encoder_of(settings_of(used, weights), used.digest, device)
    how = EmbeddingSettings(
        window_s=used.window_s,
        hop_s=used.hop_s,
        pooling=used.pooling,
        fill=used.fill,
        batch_size=batch_size,
    )
    return Listener(encoder, how, segment_s)


def settings_of(
    used: EncoderUsed, weights: Path | None, tokens: Path | None = None
) -> EncoderSettings:
    """What loads the encoder ``used`` again, from where its weights are now."""
    return EncoderSettings(
        name=used.name,
        path=weights,
        text_path=tokens,
        precision=used.precision,
        sample_rate_hz=used.sample_rate_hz if used.name == "onnx" else None,
    )
