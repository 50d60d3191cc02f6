"""Six families of instruments, rendered: one to three of them in a clip, labels exact.

Labels: bowed brass organ plucked reed voice. Every ensemble has one instrument of each family, with
a timbre of its own; its clips are one recording, and folds 1 to 5 are by ensemble. So the
instruments that a model is tested on are none of those that it learnt from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.base import Dataset, option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

CLIPS_PER_ENSEMBLE: Final = 6
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Options:
    """The embedded data set of synthetic instruments."""

    clips: int = option(720, low=12, high=1_000_000)
    """Number of clips; six make an ensemble."""
    duration_s: float = option(3.0, low=1, high=60)
    """Length of a clip, seconds."""
    seed: int = option(0, low=0, high=2**32 - 1)
    """Seed of everything about the sounds."""
    snr_db: tuple[float, float] = option((15.0, 40.0), low=-100, high=100)
    """Range from which a clip's signal-to-noise ratio is drawn, dB."""


def folds(options: Options) -> int:
    """Number of folds that hold clips."""
    return min(FOLDS, -(-options.clips // CLIPS_PER_ENSEMBLE))


def render(out: Path, options: Options) -> Iterator[Clip]:
    """Write every clip under ``out/audio`` as 16-bit WAV, and yield it.

    Raises:
        DataError: a clip cannot be written.
    """
    from soundgate.audio.datasets.synthetic.instruments import rendering

    return rendering.render(out, options)


DATASET: Final = Dataset(
    name="synthetic-instruments",
    title="Six families of synthetic instruments, up to three at once",
    licence="CC0 1.0",
    citation="",
    homepage="",
    size="720 clips, 0.6 h, rendered",
    labels="The instruments that were rendered into the clip; its events say when they play.",
    render=render,
    options=Options,
    section="synthetic_instruments",
    folds=folds,
)
