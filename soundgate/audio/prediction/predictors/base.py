"""What prediction asks of a model, whatever system it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.prediction.settings import Lengths, Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]


class PartScores(NamedTuple):
    """Scores of the parts that a clip was cut into: patches, or chunks."""

    scores: Array
    """Float32 (part, class)."""
    times: Array
    """Float64 (part, 2): start and end of each part, seconds from the beginning of the clip."""


class Decisions(Protocol):
    """How scores of parts become what is said of a clip."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores."""

    @property
    def multi_label(self) -> bool:
        """Whether a clip may have several classes, or none."""

    def clip_scores(self, part_scores: Array) -> Array:
        """Scores float64 (class,) of a clip, of those of its parts (part, class)."""

    def decide(self, scores: Array) -> Array:
        """Which classes are given: bool (clip, class), for scores (clip, class)."""


class Predictor(Protocol):
    """Turns clips, decoded at the model's rate, into scores; called from several threads."""

    @property
    def decisions(self) -> Decisions:
        """How they are read."""

    @property
    def group_s(self) -> float:
        """Seconds of sound that are best handed over at once."""

    def lengths(self, settings: Settings) -> Lengths:
        """How this model wants files to be divided.

        Raises:
            ParameterError: the settings ask for segments that are too long or too short.
        """

    def score(self, clips: Sequence[Samples]) -> list[PartScores]:
        """Scores of each of the clips float32 (sample,), in their order."""
