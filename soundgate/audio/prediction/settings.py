"""What can be chosen about a prediction, and how long files are divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from soundgate.audio.classification.inference import BATCH_SIZE
from soundgate.audio.prediction.choices import Format, Runtime, Seconds
from soundgate.bounds import Bounds, Fraction, check_fields
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to predict."""

    runtime: Runtime = "torch"
    """What computes."""
    format: Format = "csv"
    """Of the tables."""
    segment_s: Seconds = 0.0
    """Length of the segments that a long file is cut into, seconds; 0: the longest clip of a
    classifier, a minute for a tagger."""
    hop_s: Seconds = 0.0
    """From the start of a segment to the next one's, seconds; 0: ``segment_s``."""
    unknown_class_threshold: Fraction = 0.0
    """A clip whose best score is below it is marked unknown; 0: never."""
    batch_size: Annotated[int, Bounds(1)] = BATCH_SIZE
    """Patches or chunks scored at once, at most; changes the scores by rounding only."""
    strict: bool = False
    """Whether a file that cannot be read is an error; otherwise it is listed, and the rest read."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ParameterError: names the setting.
        """
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Lengths:
    """How a segment of a file becomes clips."""

    sample_rate_hz: int
    longest_s: float
    """No segment up to this long is cut."""
    segment_s: float
    hop_s: float
    least_s: float
    """What is left of a file behind its last segment is a clip too, unless it is this short."""

    def spans(self, start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
        """Yield the (start, end) of the clips of a segment of a file, all in seconds."""
        if self.fits(end_s - start_s):
            yield start_s, end_s
            return
        number = 0
        while True:
            start = start_s + number * self.hop_s
            rest_s = end_s - start
            if rest_s < self.least_s and number:
                return
            yield start, min(start + self.segment_s, end_s)
            if rest_s <= self.segment_s:
                return
            number += 1

    def fits(self, duration_s: float) -> bool:
        """Whether so much sound is one clip; rounded to samples, as decoding does."""
        return round(duration_s * self.sample_rate_hz) <= self.longest_s * self.sample_rate_hz


def divided(
    settings: Settings,
    *,
    sample_rate_hz: int,
    whole_s: float,
    longest_s: float,
    least_s: float,
    limit: str,
) -> Lengths:
    """How files are divided for a model.

    Args:
        settings: what the user asks for.
        sample_rate_hz: of the model.
        whole_s: no file up to this long is cut.
        longest_s: of a segment, seconds.
        least_s: shortest sound that is worth scoring, seconds.
        limit: ``longest_s`` in words, for an error.

    Raises:
        ParameterError: segments would be longer or shorter than that.
    """
    segment_s = settings.segment_s or whole_s
    if segment_s > longest_s:
        raise ParameterError(f"segment_s: {segment_s:g} s exceeds {limit}: lower it")
    hop_s = settings.hop_s or segment_s
    for name, value_s in (("segment_s", segment_s), ("hop_s", hop_s)):
        if value_s < least_s:
            raise ParameterError(
                f"{name}: {value_s:g} s is shorter than one frame of {least_s:g} s: raise it"
            )
    return Lengths(
        sample_rate_hz=sample_rate_hz,
        longest_s=whole_s,
        segment_s=segment_s,
        hop_s=hop_s,
        least_s=least_s,
    )
