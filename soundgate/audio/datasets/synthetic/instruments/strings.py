"""Strings, plucked and bowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from soundgate.audio.datasets.synthetic.instruments.oscillation import (
    HIGHEST_HZ,
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
)

if TYPE_CHECKING:
    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.synthesis import Wave


@dataclass(frozen=True, slots=True)
class Plucked:
    """A stiff string that is released from a triangle: partials that die the faster the higher.

    Fletcher and Rossing, The Physics of Musical Instruments, 2.7 (amplitudes) and 2.18 (stiffness).
    """

    range_hz: ClassVar[tuple[float, float]] = (82, 660)
    chords: ClassVar[int] = 3
    position: float
    """Where it is plucked, share of its length."""
    stiffness: float
    decay_s: float
    """Time constant of the fundamental at 220 Hz."""
    damping: float
    """How much faster high partials die."""
    body: Body

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw an instrument."""
        return cls(
            uniform(random, 0.08, 0.45),
            log_uniform(random, 1e-5, 4e-4),
            log_uniform(random, 0.25, 1.2),
            log_uniform(random, 0.02, 0.2),
            Body.draw(random, 90, 1500, 4),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,)."""
        time_s, wave = times_s(samples), np.zeros(samples, np.float32)
        position = self.position * uniform(random, 0.9, 1.1)  # no finger comes back to one place
        for number in range(1, 31):
            partial_hz = number * pitch_hz * math.sqrt(1 + self.stiffness * number**2)
            if partial_hz > HIGHEST_HZ:
                break
            height = math.sin(math.pi * number * position) / number**1.5
            life_s = self.decay_s * (220 / pitch_hz) ** 0.5 / (1 + self.damping * number**1.5)
            turns = np.float32(2 * math.pi * partial_hz)
            wave += (
                np.float32(height)
                * np.exp(time_s * np.float32(-1 / life_s))
                * np.sin(turns * time_s)
            )
        return self.body.filter(wave) * ramps(samples, 0.002, 0.03)


@dataclass(frozen=True, slots=True)
class Bowed:
    """A string in Helmholtz motion: a sawtooth, through a box, with the noise of the bow."""

    range_hz: ClassVar[tuple[float, float]] = (130, 1050)
    chords: ClassVar[int] = 1
    slope: float
    """Exponent of the harmonics; 1 is a sawtooth."""
    position: float
    """Where it is bowed: harmonics with a node there are missing."""
    attack_s: float
    vibrato_hz: float
    vibrato_depth: float
    bow: float
    body: Body

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw an instrument."""
        return cls(
            uniform(random, 0.9, 1.3),
            uniform(random, 0.07, 0.16),
            uniform(random, 0.06, 0.25),
            uniform(random, 4.5, 6.5),
            uniform(random, 0.002, 0.008),
            log_uniform(random, 0.01, 0.06),
            Body.draw(random, 250, 3500, 6),
        )

    def play(self, random: RandomState, pitch_hz: float, samples: int) -> Wave:
        """A note, float32 (sample,)."""
        numbers = np.arange(1, 60)
        heights = np.abs(np.sin(math.pi * numbers * self.position)) ** 0.3 / numbers**self.slope
        line = vibrato(random, pitch_hz, samples, self.vibrato_hz, self.vibrato_depth)
        wave = periodic(heights, line)
        wave += np.float32(self.bow) * noise(random, samples, band_pass(800, 6000, 1))
        return self.body.filter(wave) * swell(samples, self.attack_s, 0.08)
