"""Renders the clips of the synthetic instruments.

Clip i depends on (seed, i) and the options only: a larger set contains the smaller one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np
from numpy.random import RandomState

from soundgate.audio.clips.manifest import Clip, Event
from soundgate.audio.datasets.synthetic.instruments.dataset import (
    CLIPS_PER_ENSEMBLE,
    FOLDS,
    Options,
)
from soundgate.audio.datasets.synthetic.instruments.strings import Bowed, Plucked
from soundgate.audio.datasets.synthetic.instruments.winds import Brass, Organ, Reed, Voice
from soundgate.audio.datasets.synthetic.scene import Microphone
from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    add,
    fft_length,
    frequencies_hz,
    length,
    noise,
    rms,
    uniform,
)
from soundgate.audio.files import reading
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import ClassVar

    from numpy.typing import NDArray

    from soundgate.audio.datasets.synthetic.synthesis import Wave


class Instrument(Protocol):
    """One instrument of a family."""

    range_hz: ClassVar[tuple[float, float]]
    """Lowest and highest pitch."""
    chords: ClassVar[int]
    """Most notes at once."""

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of an instrument."""

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,), of any level."""


# The order is that of the numbers that random streams are made of.
FAMILIES: Final[dict[str, type[Instrument]]] = {
    "bowed": Bowed,
    "brass": Brass,
    "organ": Organ,
    "plucked": Plucked,
    "reed": Reed,
    "voice": Voice,
}
COUNTS: Final = (1, 1, 2, 2, 3)
"""How many instruments a clip has, each as likely as another."""
SEMITONE: Final = 2 ** (1 / 12)
# Independent streams of random numbers: (seed, stream, number).
_INSTRUMENT_STREAM: Final = 11
_CLIP_STREAM: Final = 12


def describe(number: int, seed: int) -> Clip:
    """Path, labels, fold and source of clip ``number``, without its events."""
    ensemble, take = divmod(number, CLIPS_PER_ENSEMBLE)
    random = RandomState([seed, _CLIP_STREAM, number])
    names = list(FAMILIES)
    # Each family leads one clip of an ensemble, so that all are equally common.
    chosen = {names[take % len(names)]}
    count = COUNTS[random.randint(len(COUNTS))]
    while len(chosen) < count:
        chosen.add(names[random.randint(len(names))])
    return Clip(
        path=f"audio/ensemble-{ensemble:05d}-{take}.wav",
        labels=tuple(sorted(chosen)),
        fold=ensemble % FOLDS + 1,
        source=f"ensemble-{ensemble:05d}",
    )


def render_clip(number: int, options: Options) -> tuple[NDArray[np.int16], tuple[Event, ...]]:
    """Samples int16 (sample,) at 16 kHz, and events, of clip ``number``."""
    clip, ensemble = describe(number, options.seed), number // CLIPS_PER_ENSEMBLE
    samples = length(options.duration_s)
    mix, events = np.zeros(samples, np.float32), []
    for label in clip.labels:
        family = list(FAMILIES).index(label)
        instrument = FAMILIES[label].draw(
            RandomState([options.seed, _INSTRUMENT_STREAM, family, ensemble])
        )
        random = RandomState([options.seed, _CLIP_STREAM, number, family])
        part, event = _perform(random, instrument, label, samples)
        level = 10 ** (uniform(random, -6, 0) / 20)
        mix += part * np.float32(level / max(rms(part), 1e-9))
        events.append(event)
    random = RandomState([options.seed, _CLIP_STREAM, number, len(FAMILIES)])
    microphone = Microphone.draw(
        RandomState([options.seed, _INSTRUMENT_STREAM, len(FAMILIES), ensemble])
    )
    return _record(random, mix, microphone, options.snr_db), tuple(
        sorted(events, key=lambda event: (event.onset_s, event.label))
    )


def _perform(
    random: RandomState, instrument: Instrument, label: str, samples: int
) -> tuple[Wave, Event]:
    """A phrase of notes that fills most of the clip, float32 (sample,), and when it plays."""
    part = np.zeros(samples, np.float32)
    low, high = (math.log(end, SEMITONE) for end in instrument.range_hz)
    start = int(samples * uniform(random, 0, 0.2))
    end = int(samples * uniform(random, 0.8, 1))
    step = length(uniform(random, 0.25, 0.9))
    centre = uniform(random, low, high)
    at = start
    while at + length(0.15) < end:
        size = min(int(step * uniform(random, 0.8, 1.3)), end - at)
        centre = min(max(centre + random.randint(-5, 6), low), high)
        voices = 1 + random.randint(instrument.chords)
        for semitones in (0, 4, 7, 12)[:voices]:
            pitch_hz = SEMITONE ** (centre + semitones)
            add(part, instrument.play(random, pitch_hz, size), at, uniform(random, 0.6, 1))
        at += size
    return part, Event(start / SAMPLE_RATE_HZ, at / SAMPLE_RATE_HZ, label)


def _record(
    random: RandomState, mix: Wave, microphone: Microphone, snr_db: tuple[float, float]
) -> NDArray[np.int16]:
    """The mixture through a microphone with noise, int16 (sample,)."""
    size = fft_length(mix.size)
    heard = np.fft.rfft(mix, size) * microphone.response(frequencies_hz(size))
    wave = np.fft.irfft(heard, size)[: mix.size].astype(np.float32)
    background = noise(random, mix.size, microphone.response)
    quiet = 10 ** (-uniform(random, *snr_db) / 20)
    wave += background * np.float32(quiet * rms(wave))
    peak = 10 ** (uniform(random, -20, -3) / 20)
    wave *= np.float32(32767 * peak / max(float(np.abs(wave).max()), 1e-9))
    return np.round(wave).astype(np.int16)


def render(out: Path, options: Options) -> Iterator[Clip]:
    """Write every clip under ``out/audio`` as 16-bit WAV, and yield it.

    Raises:
        DataError: a clip cannot be written.
    """
    try:
        (out / "audio").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error.strerror}") from error
    for number in track(range(options.clips), total=options.clips, label="render clips"):
        clip = describe(number, options.seed)
        samples, events = render_clip(number, options)
        reading.write(out / clip.path, samples, SAMPLE_RATE_HZ)
        yield Clip(clip.path, clip.labels, clip.fold, source=clip.source, events=events)
