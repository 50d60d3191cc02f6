"""A clip of the synthetic set: a sound in a room, recorded with noise and perhaps a distractor.

What belongs to the source (timbre, room, microphone, kind of background) is drawn once for each
source, so takes of one source are alike, as clips cut from one recording are; splitting them apart
makes a classifier look better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.random import RandomState

from soundgate.audio.clips.manifest import Event
from soundgate.audio.datasets.synthetic.sounds import SOUNDS
from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    add,
    band_pass,
    fft_length,
    frequencies_hz,
    length,
    log_uniform,
    noise,
    ramps,
    rms,
    uniform,
    wander,
    white,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.datasets.synthetic.sounds import Sound
    from soundgate.audio.datasets.synthetic.synthesis import Spectrum, Wave

CLASSES: Final = tuple(SOUNDS)
_REVERB_S: Final = 0.25
# Two independent streams of random numbers a clip: (seed, stream, number).
_SOURCE_STREAM: Final = 1
_TAKE_STREAM: Final = 2


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What makes the set hard."""

    snr_db: tuple[float, float] = (3.0, 22.0)
    """Level of the sound, where it sounds, over the background: drawn from this range."""
    distractor: float = 0.35
    """Probability of a weak sound of another class, which is not labelled."""


@dataclass(frozen=True, slots=True)
class Microphone:
    """Colours everything that is recorded: tilt, low-pass, one resonance."""

    tilt: float
    low_pass_hz: float
    resonance: float
    resonance_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw a microphone."""
        return cls(
            uniform(random, -0.5, 0.5),
            log_uniform(random, 2500, 8000),
            uniform(random, -0.6, 1.5),
            log_uniform(random, 200, 4000),
        )

    def response(self, frequency_hz: Wave) -> Wave:
        """Amplitude response (bin,)."""
        tilt = (np.maximum(frequency_hz, 60) / 1000) ** self.tilt
        low_pass = (1 + (frequency_hz / self.low_pass_hz) ** 6) ** -0.5
        octaves = np.log(np.maximum(frequency_hz, 20) / self.resonance_hz) / 0.35
        peak = 1 + self.resonance * np.exp(-(octaves**2))
        return (tilt * low_pass * peak).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Source:
    """Where and with what a recording was made, and the sound itself."""

    sound: Sound
    microphone: Microphone
    reverberation_s: float
    """Time in which the room's sound falls by 60 dB."""
    wetness: float
    background: str
    background_hz: float

    @classmethod
    def draw(cls, seed: int, class_number: int, number: int) -> Self:
        """Draw the ``number``-th source of a class; it depends on nothing else."""
        random = RandomState([seed, _SOURCE_STREAM, class_number, number])
        return cls(
            SOUNDS[CLASSES[class_number]].draw(random),
            Microphone.draw(random),
            log_uniform(random, 0.06, 0.7),
            uniform(random, 0, 0.6),
            ("pink", "brown", "white", "band", "hum")[random.randint(5)],
            log_uniform(random, 100, 3000),
        )

    def background_spectrum(self) -> Spectrum:
        """Spectrum of the background noise before the microphone."""
        if self.background == "band":
            return band_pass(0.6 * self.background_hz, 1.7 * self.background_hz, 1)
        slope = {"pink": -0.5, "brown": -1.0, "white": 0.0, "hum": -0.5}[self.background]

        def gain(frequency_hz: Wave) -> Wave:
            amplitude: Wave = np.maximum(frequency_hz, 30) ** np.float32(slope)
            if self.background == "hum":
                # Harmonics of the 50 Hz mains, 3 Hz wide.
                off = np.abs((frequency_hz / 50 + 0.5) % 1 - 0.5)
                amplitude = amplitude * (1 + 20 * ((off < 0.03) & (frequency_hz < 600)))
            return amplitude

        return gain


def render(
    seed: int, number: int, source_number: int, samples: int, difficulty: Difficulty
) -> tuple[NDArray[np.int16], tuple[Event, ...]]:
    """Render clip ``number`` of class ``number % 10``.

    Returns:
        Samples int16 (sample,) at 16 kHz and the events in it.
    """
    class_number = number % len(CLASSES)
    source = Source.draw(seed, class_number, source_number)
    random = RandomState([seed, _TAKE_STREAM, number])
    dry = np.zeros(samples, np.float32)
    events = _place_events(random, source.sound, CLASSES[class_number], dry)
    if random.random_sample() < difficulty.distractor:
        _place_distractor(random, class_number, dry)
    wet, background = _record(random, source, dry)
    active = np.zeros(samples, np.bool_)
    for event in events:
        active[length(event.onset_s) : length(event.offset_s)] = True
    snr_db = uniform(random, *difficulty.snr_db)
    mix = wet / max(rms(wet[active]), 1e-9)
    mix += background * np.float32(10 ** (-snr_db / 20) / max(rms(background), 1e-9))
    peak = 10 ** (uniform(random, -26, -6) / 20)
    mix *= np.float32(32767 * peak / max(float(np.abs(mix).max()), 1e-9))
    return np.round(mix).astype(np.int16), events


def _place_events(random: RandomState, sound: Sound, label: str, dry: Wave) -> tuple[Event, ...]:
    """Add one or two stretches of the sound, which together fill most of the clip."""
    count = 1 if random.random_sample() < (0.75 if sound.continuous else 0.6) else 2
    size = int(dry.size * uniform(random, 0.65, 1) * (1 if count == 1 else 0.47))
    starts: list[int] = []
    earliest = 0
    for left in range(count, 0, -1):
        starts.append(random.randint(earliest, max(earliest, dry.size - left * size) + 1))
        earliest = starts[-1] + size
    # Rendering comes after: what it draws may depend on the last bit of an exponential.
    for start in starts:
        add(dry, _stretch(random, sound, size, 0.2 if sound.continuous else 0.05), start)
    return tuple(
        Event(start / SAMPLE_RATE_HZ, (start + size) / SAMPLE_RATE_HZ, label) for start in starts
    )


def _place_distractor(random: RandomState, class_number: int, dry: Wave) -> None:
    other = (class_number + random.randint(1, len(CLASSES))) % len(CLASSES)
    sound = SOUNDS[CLASSES[other]].draw(random)
    size = int(dry.size * uniform(random, 0.15, 0.4))
    start = random.randint(0, dry.size - size)
    level = 10 ** (uniform(random, -24, -8) / 20)
    add(dry, _stretch(random, sound, size, 0.05), start, level)


def _stretch(random: RandomState, sound: Sound, samples: int, release_s: float) -> Wave:
    """A take of RMS 1 that begins and ends without a click."""
    wave = sound.render(random, samples) * ramps(samples, 0.02, release_s)
    return wave / np.float32(max(rms(wave), 1e-9))


def _record(random: RandomState, source: Source, dry: Wave) -> tuple[Wave, Wave]:
    """The sound in its room and the background, both (sample,), through the microphone."""
    size = fft_length(dry.size + length(_REVERB_S))
    response = source.microphone.response(frequencies_hz(size))
    room = np.zeros(size, np.float32)
    room[0] = 1
    tail = length(min(_REVERB_S, source.reverberation_s))
    fall = np.exp(
        np.arange(tail, dtype=np.float32)
        * np.float32(-6.9 / SAMPLE_RATE_HZ / source.reverberation_s)
    )
    room[1 : tail + 1] = white(random, tail) * fall * np.float32(0.25 * source.wetness)
    spectrum = np.fft.rfft(dry, size) * np.fft.rfft(room) * response
    wet = np.fft.irfft(spectrum, size)[: dry.size].astype(np.float32)
    colour = source.background_spectrum()

    def through_microphone(frequency_hz: Wave) -> Wave:
        return colour(frequency_hz) * source.microphone.response(frequency_hz)

    background = noise(random, dry.size, through_microphone)
    return wet, background * wander(random, dry.size, 0.8, 0.15)
