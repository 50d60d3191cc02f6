"""A head on the embeddings of an encoder, whose weights are given by path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import torch

from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings, Windows
from soundgate.audio.networks.encoders.catalogue import load_encoder
from soundgate.audio.networks.encoders.interface import HEAR, EncoderSettings
from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.prediction.predictors.classifier import ClassDecisions
from soundgate.audio.prediction.runtimes import GPU_GROUP_S, GROUP_S
from soundgate.audio.prediction.settings import divided
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.classification.heads.head import Head
    from soundgate.audio.formats.embeddings.vectors import EncoderUsed
    from soundgate.audio.networks.encoders.interface import Encoder
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]

WHOLE_S: Final = 60.0
"""A file up to this long is one clip."""
LONGEST_S: Final = 600.0
"""Of a segment: so much sound is held in memory by each worker."""
LEAST_S: Final = 0.1
BATCH_SIZE: Final = 16
"""Windows that are embedded together, at most."""


class Part(NamedTuple):
    """A segment of a clip."""

    record_id: str
    path: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class EmbeddingPredictor:
    """See ``Predictor``."""

    head: Head
    encoder: Encoder
    settings: EmbeddingSettings

    @property
    def decisions(self) -> ClassDecisions:
        """See ``Predictor``."""
        return ClassDecisions(self.head.about.classes, multi_label=False)

    @property
    def group_s(self) -> float:
        """See ``Predictor``."""
        return GROUP_S if self.encoder.device == "cpu" else GPU_GROUP_S

    def lengths(self, settings: Settings) -> Lengths:
        """Clips may be of any length; files are cut where memory wants it, or the user."""
        return divided(
            settings,
            sample_rate_hz=self.encoder.sample_rate_hz,
            whole_s=settings.segment_s or WHOLE_S,
            longest_s=LONGEST_S,
            least_s=LEAST_S,
            limit=f"{LONGEST_S:g} s, which are held in memory",
        )

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """See ``Predictor``; a clip is cut as the segments were that the head learnt from."""
        parts = [self._parts(str(number), clip) for number, clip in enumerate(clips)]
        flat = [part for own in parts for part in own]
        vectors = [each.vector for each in self._embedded(flat, clips)]
        scores = self.head.scores(np.array(vectors, np.float32)).astype(np.float32)
        found, first = [], 0
        for own in parts:
            times = np.array([[part.start_s, part.start_s + part.duration_s] for part in own])
            found.append(PartScores(scores[first : first + len(own)], times))
            first += len(own)
        return found

    def _parts(self, name: str, clip: Samples) -> list[Part]:
        length_s = self.head.about.segment_s
        rate_hz = self.encoder.sample_rate_hz
        size = round(length_s * rate_hz)
        return [
            Part(f"{name}:{first}", name, first / rate_hz, min(size, clip.size - first) / rate_hz)
            for first in range(0, max(clip.size, 1), size)
        ]

    def _embedded(self, parts: Sequence[Part], clips: Sequence[Samples]) -> Any:
        def read(part: Any, rate_hz: int) -> Samples:
            first = round(part.start_s * rate_hz)
            return clips[int(part.path)][first : first + round(part.duration_s * rate_hz)]

        size = round(self.head.about.segment_s * self.encoder.sample_rate_hz)
        whole = Windows(size, size, self.settings.fill)

        def filled(_part: Any, samples: Samples) -> Samples:
            ((samples, _),) = whole.cut(samples)
            return samples

        return embed_records(parts, Path(), self.encoder, self.settings, read=read, change=filled)


def open_embedding_classifier(model: Path, settings: Settings, encoder: Path | None) -> Predictor:
    """The predictor of a head's folder.

    Args:
        model: the folder.
        settings: how to predict.
        encoder: weights of the encoder, a file or a folder; None: an installed package has its own.

    Raises:
        DataError: the head is damaged, or learnt from embeddings of other weights.
        ParameterError: the encoder's weights are not given, or another runtime than torch is asked
            for.
        ConfigError: there are no such weights.
        MissingExtra: a library that they need is not installed.
    """
    if settings.runtime != "torch":
        raise ParameterError(
            f"runtime: classifiers of embeddings run in torch, not {settings.runtime}; omit it"
        )
    head = read_head(model)
    used = head.about.encoder
    if encoder is None and not used.name.startswith(HEAR):
        raise ParameterError(
            f"encoder: the model listens through {used.name}, whose weights it does not hold; give "
            "their path"
        )
    loaded = load_encoder(_settings_of(used, encoder), _device())
    if loaded.digest != used.digest:
        raise DataError(
            f"encoder: {encoder or used.name} is {used.name} {loaded.digest[:12]}, but the model "
            f"learnt from {used.digest[:12]}; give the same weights"
        )
    how = EmbeddingSettings(
        window_s=used.window_s,
        hop_s=used.hop_s,
        pooling=used.pooling,
        fill=used.fill,
        batch_size=min(settings.batch_size, BATCH_SIZE),
    )
    return EmbeddingPredictor(head, loaded, how)


def _settings_of(used: EncoderUsed, path: Path | None) -> EncoderSettings:
    rate_hz = used.sample_rate_hz if used.name == "onnx" else None
    return EncoderSettings(
        name=used.name, path=path, precision=used.precision, sample_rate_hz=rate_hz
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
