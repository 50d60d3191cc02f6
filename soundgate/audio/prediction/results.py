"""What is known of a clip once it is scored, and work of a group at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.formats.predictions import Failure
from soundgate.audio.prediction import reading, times
from soundgate.audio.prediction.reading import DecodedClip
from soundgate.audio.signal.log_mel import arrange

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.model import Description
    from soundgate.audio.prediction.runtimes import Runtime
    from soundgate.audio.prediction.settings import Lengths
    from soundgate.audio.signal.waveforms import Arrangement, Samples

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Scored:
    """A clip and what the model makes of it."""

    path: str
    start_s: float
    end_s: float
    patch_scores: Array
    """Float32 (patch, class)."""
    patch_times: Array
    """Float64 (patch, 2): start and end of each patch in the file, seconds."""
    remarks: tuple[str, ...] = ()
    """What is wrong with its sound, each "title: why"."""


@dataclass(frozen=True, slots=True)
class ClipScorer:
    """Decodes clips and has them scored; called from several threads at once."""

    folder: Path
    model: Description
    lengths: Lengths
    runtime: Runtime

    def score(self, group: Sequence[reading.Part]) -> list[Scored | Failure]:
        """Results for the clips of a group, in their order."""
        found: list[DecodedClip | Failure] = []
        clips: list[tuple[Samples, Arrangement]] = []
        for part in group:
            for clip in reading.clips(self.folder, part, self.lengths):
                found.append(clip)
                if isinstance(clip, DecodedClip):
                    options = self.model.feature_extraction
                    arranged = arrange(clip.samples, self.model.preprocessing, options)
                    clips.append((clip.samples, arranged))
        scores = iter(zip(clips, self.runtime.score(clips), strict=True) if clips else ())
        return [
            clip if isinstance(clip, Failure) else self._scored(clip, *next(scores))
            for clip in found
        ]

    def _scored(
        self, clip: DecodedClip, arranged: tuple[Samples, Arrangement], scores: Array
    ) -> Scored:
        samples, arrangement = arranged
        spans = times.patch_times(
            arrangement,
            samples.size,
            len(scores),
            self.model.feature_extraction,
            self.lengths.sample_rate_hz,
        )
        spans = np.minimum(clip.start_s + spans, clip.end_s)
        return Scored(clip.path, clip.start_s, clip.end_s, scores, spans, clip.remarks)
