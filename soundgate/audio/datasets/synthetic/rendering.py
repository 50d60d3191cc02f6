"""Renders the clips of the synthetic set.

Clip i depends on (seed, i) and the options only: a larger set contains the smaller one, and any
subset comes out the same in any order. The labels are the same everywhere; a sample may differ by
one step of 16 bits between machines, as their sine and exponential may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.clips.manifest import Clip, Event
from soundgate.audio.datasets.synthetic import scene
from soundgate.audio.datasets.synthetic.dataset import FOLDS, TAKES_PER_SOURCE, Options
from soundgate.audio.datasets.synthetic.scene import CLASSES, Difficulty
from soundgate.audio.datasets.synthetic.synthesis import SAMPLE_RATE_HZ, length
from soundgate.audio.files import reading
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


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


def render_clip(number: int, options: Options) -> tuple[NDArray[np.int16], tuple[Event, ...]]:
    """Samples int16 (sample,) at 16 kHz, and events, of clip ``number``."""
    source = number // len(CLASSES) // TAKES_PER_SOURCE
    difficulty = Difficulty(options.snr_db, options.distractor)
    return scene.render(options.seed, number, source, length(options.duration_s), difficulty)


def render(out: Path, options: Options) -> Iterator[Clip]:
    """Write every clip under ``out/audio`` as 16-bit WAV, and yield it.

    Raises:
        DataError: a clip cannot be written.
    """
    try:
        (out / "audio").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    total = options.clips_per_class * len(CLASSES)
    for number in track(range(total), total=total, label="render clips"):
        clip = describe(number)
        samples, events = render_clip(number, options)
        reading.write(out / clip.path, samples, SAMPLE_RATE_HZ)
        yield Clip(clip.path, clip.labels, clip.fold, source=clip.source, events=events)
