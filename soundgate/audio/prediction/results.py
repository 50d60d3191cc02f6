"""What is known of a clip once it is scored, and work of a group at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.formats.predictions import Failure
from soundgate.audio.prediction import reading
from soundgate.audio.prediction.reading import DecodedClip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.prediction.predictors.base import PartScores, Predictor
    from soundgate.audio.prediction.settings import Lengths

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Scored:
    """A clip and what the model makes of it."""

    path: str
    start_s: float
    end_s: float
    patch_scores: Array
    """Float32 (patch, class); of a tagger, chunks."""
    patch_times: Array
    """Float64 (patch, 2): start and end of each patch in the file, seconds."""
    remarks: tuple[str, ...] = ()
    """What is wrong with its sound, each "title: why"."""


@dataclass(frozen=True, slots=True)
class ClipScorer:
    """Decodes clips and has them scored; called from several threads at once."""

    folder: Path
    predictor: Predictor
    lengths: Lengths

    def score(self, group: Sequence[reading.Part]) -> list[Scored | Failure]:
        """Results for the clips of a group, in their order."""
        found: list[DecodedClip | Failure] = []
        for part in group:
            found += reading.clips(self.folder, part, self.lengths)
        waveforms = [clip.samples for clip in found if isinstance(clip, DecodedClip)]
        scores = iter(self.predictor.score(waveforms))
        return [
            clip if isinstance(clip, Failure) else _scored(clip, next(scores)) for clip in found
        ]


def _scored(clip: DecodedClip, parts: PartScores) -> Scored:
    spans = np.minimum(clip.start_s + parts.times, clip.end_s)
    return Scored(clip.path, clip.start_s, clip.end_s, parts.scores, spans, clip.remarks)
