"""A classifier of log-mel patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.audio.classification import inference
from soundgate.audio.formats.model import read_description
from soundgate.audio.prediction import runtimes, times
from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.prediction.settings import divided
from soundgate.audio.signal.patches import arrange_patches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.model import Description
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.runtimes import Runtime
    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ClassDecisions:
    """The mean over patches; the best class, or every one from 0.5 where there may be several."""

    classes: tuple[str, ...]
    multi_label: bool

    def clip_scores(self, part_scores: Array) -> Array:
        """See ``Decisions``."""
        return inference.clip_scores(part_scores)

    def decide(self, scores: Array) -> Array:
        """See ``Decisions``."""
        return inference.decide(scores, multi_label=self.multi_label)


@dataclass(frozen=True)
class ClassifierPredictor:
    """See ``Predictor``."""

    description: Description
    runtime: Runtime

    @property
    def decisions(self) -> ClassDecisions:
        """See ``Predictor``."""
        return ClassDecisions(self.description.classes, self.description.multi_label)

    @property
    def group_s(self) -> float:
        """See ``Predictor``."""
        return self.runtime.group_s

    def lengths(self, settings: Settings) -> Lengths:
        """No segment is longer than the longest clip that the model knows."""
        preprocessing = self.description.preprocessing
        longest_s, rate_hz = preprocessing.max_length, preprocessing.target_rate
        return divided(
            settings,
            sample_rate_hz=rate_hz,
            whole_s=longest_s,
            longest_s=longest_s,
            least_s=self.description.feature_extraction.n_fft / rate_hz,
            limit=f"the model's preprocessing.max_length of {longest_s:g} s",
        )

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """See ``Predictor``."""
        sound, options = self.description.preprocessing, self.description.feature_extraction
        arranged = [(clip, arrange_patches(clip, sound, options)) for clip in clips]
        scores = self.runtime.score(arranged) if arranged else []
        found = []
        for (clip, arrangement), own in zip(arranged, scores, strict=True):
            spans = times.patch_times(arrangement, clip.size, len(own), options, sound.target_rate)
            found.append(PartScores(own, spans))
        return found


def open_classifier(model: Path, settings: Settings) -> Predictor:
    """The predictor of a classifier's folder.

    Raises:
        DataError: the model is damaged, or has no such program.
        MissingExtra: the program's library is not installed.
    """
    description = read_description(model)
    runtime = runtimes.load(settings.runtime, model, description, settings.batch_size)
    return ClassifierPredictor(description, runtime)
