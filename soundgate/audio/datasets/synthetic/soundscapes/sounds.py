"""Sounds of homes and streets that the ten environmental sounds lack, and how long each lasts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self

import numpy as np

from soundgate.audio.datasets.synthetic.steady_sounds import AlarmBeep
from soundgate.audio.datasets.synthetic.struck_sounds import DogBark, Footsteps
from soundgate.audio.datasets.synthetic.synthesis import (
    add,
    band_pass,
    length,
    log_uniform,
    noise,
    phase,
    times_s,
    uniform,
    wander,
)

if TYPE_CHECKING:
    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.sounds import Sound
    from soundgate.audio.datasets.synthetic.synthesis import Wave

_HARMONICS: Final = 12


@dataclass(frozen=True, slots=True)
class Talking:
    """A gliding voice in syllables."""

    continuous: ClassVar[bool] = False
    pitch_hz: float
    syllables_per_s: float
    tilt: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 95, 250), uniform(random, 2.5, 5), uniform(random, 0.6, 1.1))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        at = times_s(samples)
        glide = 1 + 0.15 * np.sin(2 * math.pi * (uniform(random, 0.4, 1.5) * at + random.rand()))
        turns = phase(self.pitch_hz * glide)
        wave = np.zeros(samples, np.float32)
        for number in range(1, _HARMONICS):
            wave += (np.sin(number * turns) / number**self.tilt).astype(np.float32)
        beat = np.sin(math.pi * (self.syllables_per_s * at + random.rand()))
        voice: Wave = wave * (0.25 + np.abs(beat)).astype(np.float32)
        return voice


@dataclass(frozen=True, slots=True)
class Vacuum:
    """Rushing air over the tone of a motor."""

    continuous: ClassVar[bool] = True
    motor_hz: float
    high_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 180, 330), log_uniform(random, 3000, 6000))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        tone = np.sin(2 * math.pi * self.motor_hz * times_s(samples))
        air = noise(random, samples, band_pass(150, self.high_hz, 2))
        wave: Wave = air + np.float32(0.7) * tone.astype(np.float32)
        return wave


@dataclass(frozen=True, slots=True)
class Water:
    """Water that runs unevenly."""

    continuous: ClassVar[bool] = True
    low_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 1800, 3200))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        splash = np.abs(wander(random, samples, 30, 0.5))
        wave: Wave = noise(random, samples, band_pass(self.low_hz, 7500, 3)) * splash
        return wave


@dataclass(frozen=True, slots=True)
class PassingCar:
    """A low rush that comes and goes."""

    continuous: ClassVar[bool] = True
    high_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 200, 450))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        swell = np.sin(math.pi * np.linspace(0, 1, samples)) ** 0.7
        rush = noise(random, samples, band_pass(35, self.high_hz, 3))
        wave: Wave = rush * swell.astype(np.float32)
        return wave


@dataclass(frozen=True, slots=True)
class Birds:
    """Short chirps, one after another."""

    continuous: ClassVar[bool] = False
    low_hz: float
    high_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 3200, 4800), log_uniform(random, 4500, 7000))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        start = 0
        while start < samples:
            size = length(uniform(random, 0.06, 0.14))
            pitch_hz = np.linspace(self.low_hz, self.high_hz, size) * uniform(random, 0.9, 1.1)
            add(wave, (np.sin(phase(pitch_hz)) * np.hanning(size)).astype(np.float32), start)
            start += size + length(uniform(random, 0.05, 0.3))
        return wave


class Heard(NamedTuple):
    """A class: what sounds, and for how many seconds."""

    sound: type[Sound]
    seconds: tuple[float, float]


HOME: Final[dict[str, Heard]] = {
    "Alarm_bell_ringing": Heard(AlarmBeep, (0.8, 5)),
    "Dog": Heard(DogBark, (0.3, 1.2)),
    "Speech": Heard(Talking, (0.7, 4)),
    "Vacuum_cleaner": Heard(Vacuum, (4, 10)),
    "Running_water": Heard(Water, (2, 8)),
}
"""Classes of DESED that are rendered."""
STREET: Final[dict[str, Heard]] = {
    "people talking": Heard(Talking, (0.7, 4)),
    "car": Heard(PassingCar, (3, 9)),
    "footsteps": Heard(Footsteps, (2, 7)),
    "birds_singing": Heard(Birds, (1, 6)),
}
"""Classes of MAESTRO that are rendered."""
