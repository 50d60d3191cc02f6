"""What is blown: reeds, brass, organ pipes, and the voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

import numpy as np

from soundgate.audio.datasets.synthetic.instruments.oscillation import (
    Body,
    periodic,
    swell,
    vibrato,
)
from soundgate.audio.datasets.synthetic.synthesis import (
    band_pass,
    log_uniform,
    noise,
    ramps,
    times_s,
    uniform,
    wander,
)

if TYPE_CHECKING:
    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.synthesis import Wave

VOWELS: Final = (
    (730, 1090, 2440, 3400),
    (530, 1840, 2480, 3500),
    (270, 2290, 3010, 3700),
    (570, 840, 2410, 3300),
    (300, 870, 2240, 3200),
)
"""Formants of five vowels, Hz: Peterson and Barney 1952, men; the fourth is usual."""


@dataclass(frozen=True, slots=True)
class Reed:
    """A reed on a tube that is closed at its end: odd harmonics, up to the holes' cutoff."""

    range_hz: ClassVar[tuple[float, float]] = (147, 880)
    chords: ClassVar[int] = 1
    even: float
    """Strength of even harmonics relative to odd ones."""
    slope: float
    cutoff_hz: float
    attack_s: float
    breath: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw an instrument."""
        return cls(
            log_uniform(random, 0.02, 0.3),
            uniform(random, 0.6, 1.1),
            uniform(random, 1200, 2600),
            uniform(random, 0.02, 0.08),
            log_uniform(random, 0.005, 0.04),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,)."""
        numbers = np.arange(1, 40)
        heights = np.where(numbers % 2 == 1, 1.0, self.even) / numbers**self.slope
        heights = heights / (1 + (numbers * pitch_hz / self.cutoff_hz) ** 4) ** 0.5
        line = np.full(samples, pitch_hz, np.float32) * wander(random, samples, 3, 0.001)
        wave = periodic(heights, line)
        wave += np.float32(self.breath) * noise(random, samples, band_pass(500, 4000, 1))
        return wave * swell(samples, self.attack_s, 0.06)


@dataclass(frozen=True, slots=True)
class Brass:
    """Lips on a flaring tube: the louder, the brighter, so that an attack opens the sound."""

    range_hz: ClassVar[tuple[float, float]] = (110, 880)
    chords: ClassVar[int] = 1
    dark: float
    """Exponent of the harmonics when soft."""
    bright: float
    """When loud."""
    attack_s: float
    scoop: float
    """How far below its pitch a note begins, relative."""
    bell: Body

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw an instrument."""
        return cls(
            uniform(random, 2.2, 3.0),
            uniform(random, 0.4, 0.9),
            uniform(random, 0.06, 0.18),
            uniform(random, 0.005, 0.03),
            Body.draw(random, 500, 1400, 2),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,)."""
        numbers, time_s = np.arange(1, 60), times_s(samples)
        scoop = 1 - np.float32(self.scoop) * np.exp(time_s * np.float32(-3 / self.attack_s))
        line = (pitch_hz * scoop * wander(random, samples, 4, 0.001)).astype(np.float32)
        level = swell(samples, self.attack_s, 0.1)
        opened = level**2 * np.float32(uniform(random, 0.6, 1))
        soft, loud = (periodic(numbers**-slope, line) for slope in (self.dark, self.bright))
        return self.bell.filter(soft * (1 - opened) + loud * opened) * level


@dataclass(frozen=True, slots=True)
class Organ:
    """Ranks of pipes that sound together, at once and evenly."""

    range_hz: ClassVar[tuple[float, float]] = (65, 700)
    chords: ClassVar[int] = 4
    ranks: tuple[float, ...]
    """Strength of the ranks at 1, 2, 3, 4, 6 and 8 times the pitch."""
    slope: float
    chiff: float
    """Noise while a pipe begins to speak."""
    tremulant: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw an instrument."""
        ranks = (1.0, *(uniform(random, 0, 1) ** 2 for _ in range(5)))
        return cls(
            ranks,
            uniform(random, 1.6, 3.0),
            log_uniform(random, 0.02, 0.2),
            uniform(random, 0, 0.15) * (random.random_sample() < 0.4),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,)."""
        heights = np.zeros(64)
        for times, strength in zip((1, 2, 3, 4, 6, 8), self.ranks, strict=True):
            for number in range(1, 9):
                heights[times * number - 1] += strength / number**self.slope
        wave = periodic(heights, np.full(samples, pitch_hz, np.float32))
        shake = 1 + np.float32(self.tremulant) * np.sin(np.float32(38) * times_s(samples))
        speech = noise(random, samples, band_pass(pitch_hz, 4 * pitch_hz, 1))
        speech *= np.exp(times_s(samples) * np.float32(-40)) * np.float32(self.chiff)
        note: Wave = (wave * shake + speech) * ramps(samples, 0.015, 0.04)
        return note


@dataclass(frozen=True, slots=True)
class Voice:
    """A glottal pulse through a throat: formants stay where they are, the pitch wavers."""

    range_hz: ClassVar[tuple[float, float]] = (110, 620)
    chords: ClassVar[int] = 1
    tilt: float
    """Exponent of the glottal harmonics; 2 is 12 dB an octave."""
    tract: float
    """Formants relative to a man's."""
    vibrato_hz: float
    vibrato_depth: float
    breath: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw a singer."""
        return cls(
            uniform(random, 1.0, 1.6),
            uniform(random, 0.95, 1.25),
            uniform(random, 4.8, 6.5),
            uniform(random, 0.008, 0.025),
            log_uniform(random, 0.01, 0.06),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note on a vowel, float32 (sample,)."""
        vowel = VOWELS[random.randint(len(VOWELS))]
        throat = Body(
            tuple(formant_hz * self.tract for formant_hz in vowel), (6.0, 4.0, 2.5, 1.5), 0.08
        )
        line = vibrato(random, pitch_hz, samples, self.vibrato_hz, self.vibrato_depth)
        line = (line * wander(random, samples, 12, 0.002)).astype(np.float32)
        wave = periodic(np.arange(1, 60) ** -self.tilt, line) * wander(random, samples, 8, 0.04)
        wave += np.float32(self.breath) * noise(random, samples, band_pass(1000, 5000, 1))
        return throat.filter(wave.astype(np.float32), 0.15) * swell(samples, 0.1, 0.1)
