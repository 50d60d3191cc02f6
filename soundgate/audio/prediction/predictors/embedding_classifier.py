"""A head on the embeddings of an encoder, whose weights are given by path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.embedding.listening import BATCH_SIZE, listener
from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.prediction.predictors.classifier import ClassDecisions
from soundgate.audio.prediction.runtimes import GPU_GROUP_S, GROUP_S
from soundgate.audio.prediction.settings import divided
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.classification.heads.head import Head
    from soundgate.audio.embedding.listening import Listener
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

WHOLE_S: Final = 60.0
"""A file up to this long is one clip."""
LONGEST_S: Final = 600.0
"""Of a segment: so much sound is held in memory by each worker."""
LEAST_S: Final = 0.1


@dataclass(frozen=True)
class EmbeddingPredictor:
    """See ``Predictor``."""

    head: Head
    listener: Listener

    @property
    def decisions(self) -> ClassDecisions:
        """See ``Predictor``."""
        return ClassDecisions(self.head.about.classes, multi_label=False)

    @property
    def group_s(self) -> float:
        """See ``Predictor``."""
        return GROUP_S if self.listener.encoder.device == "cpu" else GPU_GROUP_S

    def lengths(self, settings: Settings) -> Lengths:
        """Clips may be of any length; files are cut where memory wants it, or the user."""
        return divided(
            settings,
            sample_rate_hz=self.listener.encoder.sample_rate_hz,
            whole_s=settings.segment_s or WHOLE_S,
            longest_s=LONGEST_S,
            least_s=LEAST_S,
            limit=f"{LONGEST_S:g} s, which are held in memory",
        )

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """See ``Predictor``; a clip is cut as the segments were that the head learnt from."""
        return [
            PartScores(self.head.scores(heard.vectors).astype(np.float32), heard.times)
            for heard in self.listener.hear(clips)
        ]


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
    size = min(settings.batch_size, BATCH_SIZE)
    ears = listener(head.about.encoder, head.about.segment_s, encoder, size)
    return EmbeddingPredictor(head, ears)
