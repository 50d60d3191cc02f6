"""Ten environmental sounds, rendered: needs no download, and tests a whole pipeline in seconds.

Classes: alarm_beep bell clock_tick crackle dog_bark engine footsteps rain siren wind. Every clip
has strong labels (onset, offset); two takes are made of each source; folds 1 to 5 are by source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.base import Dataset, option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

TAKES_PER_SOURCE: Final = 2
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """The embedded data set of procedural sounds."""

    clips_per_class: int = option(40, low=2, high=100_000)
    """Clips made for each class."""
    duration_s: float = option(5.0, low=1, high=60)
    """Length of a clip, seconds."""
    seed: int = option(0, low=0, high=2**32 - 1)
    """Seed of everything about the sounds."""
    snr_db: tuple[float, float] = option((3.0, 22.0), low=-100, high=100)
    """Range from which a clip's signal-to-noise ratio is drawn, dB."""
    distractor: float = option(0.35, low=0, high=1)
    """Share of the clips with a weak, unlabelled sound of another class."""


def folds(options: Options) -> int:
    """Number of folds that hold clips: takes of one source share a fold."""
    sources = -(-options.clips_per_class // TAKES_PER_SOURCE)
    return min(FOLDS, sources)


def render(out: Path, options: Options) -> Iterator[Clip]:
    """Write every clip under ``out/audio`` as 16-bit WAV, and yield it.

    Raises:
        DataError: a clip cannot be written.
    """
    from soundgate.audio.datasets.synthetic import rendering

    return rendering.render(out, options)


DATASET: Final = Dataset(
    name="synthetic",
    title="Ten procedural environmental sounds",
    licence="CC0 1.0",
    citation="",
    homepage="",
    size="400 clips, 0.6 h, rendered",
    labels="The one sound that was rendered into the clip; its events say when it sounds.",
    render=render,
    options=Options,
    section="synthetic",
    folds=folds,
)
