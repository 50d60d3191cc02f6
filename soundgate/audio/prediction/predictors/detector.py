"""A detector: windows of recordings, each with probabilities of calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from soundgate.audio.detection.scoring.blocks import joined
from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.prediction.runtimes import GROUP_S
from soundgate.audio.prediction.settings import divided
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    import torch

    from soundgate.audio.formats.models.detector import DetectorFile
    from soundgate.audio.networks.detector import Detector
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]

WHOLE_S: Final = 60.0
"""A file up to this long is one clip."""
LONGEST_S: Final = 600.0
"""Of a segment: so much sound is held in memory by each worker."""
HOP_SHARE: Final = 0.125
"""From the start of a window to the next one's, as a share of the window."""


@dataclass(frozen=True)
class CallDecisions:
    """A clip's score of a class is that of its surest window."""

    classes: tuple[str, ...]
    multi_label: bool = True

    def clip_scores(self, part_scores: Array) -> Array:
        """See ``Decisions``."""
        return np.asarray(part_scores.max(0), np.float64)

    def decide(self, scores: Array) -> Array:
        """See ``Decisions``."""
        return np.asarray(scores >= THRESHOLD)


class WindowScorer(Protocol):
    """What scores windows: a network in torch, or a program."""

    def __call__(self, clips: Sequence[Samples], window: int, hop: int) -> list[Array]:
        """Probabilities float32 (window, class without noise) of each clip (sample,)."""


@dataclass(frozen=True)
class DetectorPredictor:
    """See ``Predictor``."""

    description: DetectorFile
    window_scores: WindowScorer
    group_s: float = GROUP_S

    @property
    def decisions(self) -> CallDecisions:
        """See ``Predictor``."""
        return CallDecisions(self.description.classes[1:])

    def lengths(self, settings: Settings) -> Lengths:
        """Clips may be of any length; files are cut where memory wants it, or the user."""
        return divided(
            settings,
            sample_rate_hz=self.description.sample_rate_hz,
            whole_s=settings.segment_s or WHOLE_S,
            longest_s=LONGEST_S,
            least_s=self.description.window_s,
            limit=f"{LONGEST_S:g} s, which are held in memory",
        )

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """See ``Predictor``."""
        rate_hz = self.description.sample_rate_hz
        window = round(self.description.window_s * rate_hz)
        hop = max(1, round(HOP_SHARE * window))
        scores = self.window_scores(clips, window, hop) if clips else []
        return [
            PartScores(own, _times(len(own), clip.size, window, hop) / rate_hz)
            for own, clip in zip(scores, clips, strict=True)
        ]


@dataclass(frozen=True)
class TorchWindows:
    """See ``WindowScorer``."""

    detector: Detector
    device: torch.device

    def __call__(self, clips: Sequence[Samples], window: int, hop: int) -> list[Array]:
        """See ``WindowScorer``."""
        # torch takes seconds to import; a program runs without
        from soundgate.audio.detection.scoring.prediction import usual_batch_size
        from soundgate.audio.detection.scoring.scorer import (
            Scorer,
            Stretch,
            log_odds,
            probabilities,
        )

        stretches = [
            Stretch(owner, *pair)
            for owner, clip in enumerate(clips)
            for pair in joined(iter([clip]), window, hop)
        ]
        found: list[list[Array]] = [[] for _ in clips]
        scorer = Scorer(self.detector, window, usual_batch_size(), self.device)
        for owner, logits in scorer(stretches):
            found[owner].append(probabilities(log_odds(logits)))
        return [np.concatenate(own) for own in found]


def _times(count: int, samples: int, window: int, hop: int) -> Array:
    """First sample and end of each window of a clip, float64 (window, 2)."""
    starts = np.arange(count) * float(hop)
    return np.stack([starts, np.minimum(starts + window, samples)], 1)


def open_detector(model: Path, settings: Settings) -> Predictor:
    """The predictor of a detector's folder.

    Raises:
        DataError: the model is damaged.
        ParameterError: another runtime than torch is asked for.
    """
    if settings.runtime != "torch":
        raise ParameterError(f"runtime: detectors run in torch, not {settings.runtime}; omit it")
    import torch

    from soundgate.audio.detection import network
    from soundgate.audio.detection.scoring.scorer import prepared

    description, detector = network.read_network(model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return DetectorPredictor(description, TorchWindows(prepared(detector, device), device))
