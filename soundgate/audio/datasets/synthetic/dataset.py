"""Ten environmental sounds, rendered: needs no download, and tests a whole pipeline in seconds.

Classes: alarm_beep bell clock_tick crackle dog_bark engine footsteps rain siren wind. Every clip
has strong labels (onset, offset); two takes are made of each source; folds 1 to 5 are by source.

Clip i depends on (seed, i) and the options below only: a larger set contains the smaller one, and
any subset comes out the same in any order. The labels are the same everywhere; a sample may differ
by one step of 16 bits between machines, as their sine and exponential may.

Options:
    clips_per_class  number, at least 2 (default 40)
    duration_s       length of a clip in seconds, 1 to 60 (default 5.0)
    seed             number from 0 (default 0)
    snr_db           [lowest, highest] level over the background (default [3, 22])
    distractor       probability of a weak unlabelled sound of another class (default 0.35)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip, Event
from soundgate.audio.datasets.base import Dataset, Options
from soundgate.audio.datasets.synthetic import scene
from soundgate.audio.datasets.synthetic.scene import CLASSES, Difficulty
from soundgate.audio.datasets.synthetic.synthesis import SAMPLE_RATE_HZ, length
from soundgate.audio.files import reading as io
from soundgate.errors import DataError, ParameterError
from soundgate.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

TAKES_PER_SOURCE: Final = 2
FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options, checked."""

    clips_per_class: int = 40
    duration_s: float = 5.0
    seed: int = 0
    difficulty: Difficulty = field(default_factory=Difficulty)

    @classmethod
    def from_options(cls, options: Options) -> Recipe:
        """Check the options and fill in what is not given.

        Raises:
            ParameterError: an option has the wrong type or is out of range.
        """
        default = cls()
        low_db, high_db = _pair(options.get("snr_db", default.difficulty.snr_db))
        return cls(
            _whole(options, "clips_per_class", default.clips_per_class, 2, 100_000),
            _number(options, "duration_s", default.duration_s, 1, 60),
            _whole(options, "seed", default.seed, 0, 2**32 - 1),
            Difficulty(
                (low_db, high_db),
                _number(options, "distractor", default.difficulty.distractor, 0, 1),
            ),
        )


def describe(number: int) -> Clip:
    """Path, class, fold and source of clip ``number``, without its events."""
    label = CLASSES[number % len(CLASSES)]
    take = number // len(CLASSES)
    source = take // TAKES_PER_SOURCE
    return Clip(
        path=f"audio/{label}-{take:05d}.wav",
        labels=(label,),
        fold=source % FOLDS + 1,
        source=f"{label}-{source:05d}",
    )


def render_clip(number: int, recipe: Recipe) -> tuple[NDArray[np.int16], tuple[Event, ...]]:
    """Samples int16 (sample,) at 16 kHz, and events, of clip ``number``."""
    source = number // len(CLASSES) // TAKES_PER_SOURCE
    samples = length(recipe.duration_s)
    return scene.render(recipe.seed, number, source, samples, recipe.difficulty)


def render(out: Path, options: Options) -> Iterator[Clip]:
    """Write every clip under ``out/audio`` as 16-bit WAV, and yield it.

    Raises:
        DataError: a clip cannot be written.
        ParameterError: an option is wrong.
    """
    recipe = Recipe.from_options(options)
    try:
        (out / "audio").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    total = recipe.clips_per_class * len(CLASSES)
    for number in track(range(total), total=total, label="render clips"):
        clip = describe(number)
        samples, events = render_clip(number, recipe)
        io.write(out / clip.path, samples, SAMPLE_RATE_HZ)
        yield Clip(clip.path, clip.labels, clip.fold, source=clip.source, events=events)


def _number(options: Options, name: str, default: float, low: float, high: float) -> float:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ParameterError(f"{name}: {value!r} is not a number from {low:g} to {high:g}")
    return float(value)


def _whole(options: Options, name: str, default: int, low: int, high: int) -> int:
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParameterError(f"{name}: {value!r} is not a whole number from {low} to {high}")
    return value


def _pair(value: object) -> tuple[float, float]:
    if isinstance(value, Sequence) and len(value) == 2:
        low, high = value
        if all(type(end) in (int, float) and abs(end) <= 100 for end in value) and low <= high:
            return float(low), float(high)
    raise ParameterError(f"snr_db: {value!r} is not [lowest, highest] in dB, each -100 to 100")


DATASET: Final = Dataset(
    name="synthetic",
    title="Ten procedural environmental sounds",
    licence="CC0 1.0",
    citation="",
    homepage="",
    labels="The one sound that was rendered into the clip; its events say when it sounds.",
    render=render,
    options=("clips_per_class", "duration_s", "seed", "snr_db", "distractor"),
)
