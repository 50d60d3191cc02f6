"""A tagger: labels of waveforms, chunk by chunk, each given from a threshold of its own on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.classification.tagging import inference
from soundgate.audio.classification.tagging.chunks import spans
from soundgate.audio.formats.models.tagger import read_tagger
from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.prediction.runtimes import GROUP_S, exported_path
from soundgate.audio.prediction.settings import divided

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.tagging.inference import ChunkScorer
    from soundgate.audio.formats.models.tagger import TaggerFile
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]

WHOLE_S: Final = 60.0
"""A file up to this long is one clip."""
LONGEST_S: Final = 600.0
"""Of a segment: so much sound is held in memory by each worker."""


@dataclass(frozen=True)
class TagDecisions:
    """Scores of chunks joined as the model says, and its own threshold for each label."""

    classes: tuple[str, ...]
    thresholds: Array
    """Float64 (class,)."""
    join: str
    multi_label: bool = True

    def clip_scores(self, part_scores: Array) -> Array:
        """See ``Decisions``."""
        return inference.joined(part_scores, self.join)

    def decide(self, scores: Array) -> Array:
        """See ``Decisions``."""
        return np.asarray(scores >= self.thresholds)


@dataclass(frozen=True)
class TaggerPredictor:
    """See ``Predictor``."""

    description: TaggerFile
    scorer: ChunkScorer
    least_samples: int
    """Of what is left of a file behind its last segment."""
    batch_size: int
    """Chunks scored at once."""
    group_s: float = GROUP_S

    @property
    def decisions(self) -> TagDecisions:
        """See ``Predictor``."""
        labels, chunks = self.description.classes, self.description.chunks
        thresholds = np.array([self.description.thresholds[label] for label in labels])
        return TagDecisions(labels, thresholds, chunks.join)

    def lengths(self, settings: Settings) -> Lengths:
        """Clips may be of any length; files are cut where memory wants it, or the user."""
        rate_hz = self.description.sample_rate_hz
        return divided(
            settings,
            sample_rate_hz=rate_hz,
            whole_s=settings.segment_s or WHOLE_S,
            longest_s=LONGEST_S,
            least_s=self.least_samples / rate_hz,
            limit=f"{LONGEST_S:g} s, which are held in memory",
        )

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """See ``Predictor``."""
        scores = self.scorer.chunk_scores(clips, self.batch_size) if clips else []
        rate_hz, chunks = self.description.sample_rate_hz, self.description.chunks
        return [
            PartScores(own, np.array(spans(clip.size, chunks, rate_hz), np.float64) / rate_hz)
            for clip, own in zip(clips, scores, strict=True)
        ]


def open_tagger(model: Path, settings: Settings) -> Predictor:
    """The predictor of a tagger's folder.

    Raises:
        DataError: the model is damaged, or has no such program.
        MissingExtra: a library that it needs is not installed.
    """
    # chunks are seconds of sound, where the patches of classifiers are fractions of one
    batch_size = min(settings.batch_size, inference.BATCH_SIZE)
    if settings.runtime == "torch":
        description, scorer = inference.load(model)
        least = max(description.front_end.n_fft, scorer.tagger.front_end.least_samples)
        return TaggerPredictor(description, scorer, least, batch_size)
    program = exported_path(settings.runtime, model)
    from soundgate.audio.export.taggers.scorer import exported_tagger

    exported = exported_tagger(program.parent, model, program, threads=1)
    description, scorer = read_tagger(model), exported.feed.scorer
    least = max(description.front_end.n_fft, scorer.tagger.front_end.least_samples)
    return TaggerPredictor(description, exported, least, batch_size)
