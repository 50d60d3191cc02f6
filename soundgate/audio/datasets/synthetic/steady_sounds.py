"""Sounds that go on: alarms, fire, engines, rain, sirens, wind. See :mod:`.sounds`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    add,
    band_pass,
    decay,
    length,
    log_uniform,
    noise,
    phase,
    ring,
    rms,
    times_s,
    uniform,
    wander,
    white,
)

if TYPE_CHECKING:
    from numpy.random import RandomState
    from numpy.typing import NDArray

    from soundgate.audio.datasets.synthetic.synthesis import Wave


@dataclass(frozen=True, slots=True)
class AlarmBeep:
    """A tone, keyed on and off, perhaps in groups, perhaps of two pitches."""

    continuous: ClassVar[bool] = False
    period_s: float
    duty: float
    group: int
    frequency_hz: float
    second_ratio: float
    square: bool

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 0.09, 0.9),
            uniform(random, 0.3, 0.7),
            (1, 1, 3, 4)[random.randint(4)],
            log_uniform(random, 700, 4200),
            (1.0, 1.0, 1.25)[random.randint(3)],
            bool(random.randint(2)),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        # It begins with a beep: a short take must not fall into a pause.
        start = np.float32(uniform(random, 0, 0.8 * self.duty))
        beat = times_s(samples) / np.float32(self.period_s) + start
        keyed = beat % 1 < self.duty
        if self.group > 1:
            keyed &= (beat / (self.group * 1.6)) % 1 < 1 / 1.6
        pitch_hz = np.where(beat % 2 < 1, self.frequency_hz, self.frequency_hz * self.second_ratio)
        tone = np.sin(phase(pitch_hz)).astype(np.float32)
        if self.square:
            tone = np.tanh(np.float32(3) * tone)
        # 4 ms ramps: keying without them would click in every band.
        gate = np.cumsum(np.concatenate([np.zeros(64), keyed]))
        wave: Wave = tone * ((gate[64:] - gate[:-64]) / 64).astype(np.float32)
        return wave


@dataclass(frozen=True, slots=True)
class Crackle:
    """Fire: bursts of noise, a few milliseconds long and of any strength, over a dull roar."""

    continuous: ClassVar[bool] = True
    roar_hz: float
    roar: float
    rate_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 250, 2500),
            uniform(random, 0.08, 0.7),
            log_uniform(random, 6, 70),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = noise(random, samples, band_pass(60, self.roar_hz, 1))
        wave *= np.float32(self.roar) * wander(random, samples, 4, 0.35)
        for start in random.randint(
            0, samples, random.poisson(self.rate_hz * samples / SAMPLE_RATE_HZ)
        ):
            size = length(log_uniform(random, 0.002, 0.02))
            burst = white(random, size) * decay(size, 0.25 * size / SAMPLE_RATE_HZ)
            add(wave, burst, int(start), log_uniform(random, 0.15, 2.5))
        return wave


@dataclass(frozen=True, slots=True)
class Engine:
    """A motor: many harmonics of its firing rate, modulated at half of it, and air noise."""

    continuous: ClassVar[bool] = True
    frequency_hz: float
    drift: float
    drift_hz: float
    amplitudes: tuple[float, ...]
    phases: tuple[float, ...]
    modulation: float
    air: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        harmonics = random.randint(8, 30)
        slope = uniform(random, 0.3, 1.2)
        return cls(
            log_uniform(random, 18, 130),
            uniform(random, 0, 0.12),
            uniform(random, 0.1, 0.6),
            tuple((0.3 + random.random_sample(harmonics)) / np.arange(1, harmonics + 1) ** slope),
            tuple(2 * math.pi * random.random_sample(harmonics)),
            uniform(random, 0, 0.6),
            uniform(random, 0.1, 1.2),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        turn = 2 * math.pi * self.drift_hz * times_s(samples) + uniform(random, 0, 2 * math.pi)
        speed = (1 + self.drift * np.sin(turn)) * wander(random, samples, 3, 0.01)
        angle = phase(self.frequency_hz * speed)
        table = self._cycle()
        wave = table[(angle * (table.size / (2 * math.pi))).astype(np.int64) % table.size]
        wave *= (1 + self.modulation * np.sin(angle / 2)).astype(np.float32)
        air = noise(random, samples, band_pass(200, 2500, 1))
        air *= (1 + 0.5 * np.sin(angle)).astype(np.float32)
        return wave / np.float32(rms(wave)) + np.float32(self.air) * air

    def _cycle(self) -> Wave:
        """One turn of the motor, (2048,): a table is far cheaper than thirty sines a sample."""
        at = np.arange(2048) * (2 * math.pi / 2048)
        cycle: NDArray[np.float64] = np.zeros(2048)
        for number, amplitude in enumerate(self.amplitudes):
            cycle += amplitude * np.sin((number + 1) * at + self.phases[number])
        return cycle.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Rain:
    """Wide-band noise with single drops: decaying sines of random pitch."""

    continuous: ClassVar[bool] = True
    low_hz: float
    high_hz: float
    rate_hz: float
    drop: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 150, 1500),
            log_uniform(random, 3500, 7800),
            log_uniform(random, 8, 200),
            uniform(random, 0.3, 1.6),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = noise(random, samples, band_pass(self.low_hz, self.high_hz, 2))
        wave *= np.float32(0.5) * wander(random, samples, 1.5, 0.12)
        drops = random.poisson(self.rate_hz * samples / SAMPLE_RATE_HZ)
        size = length(0.02)
        for start in random.randint(0, samples, drops):
            decay_s = uniform(random, 0.001, 0.004)
            drop = ring(random, uniform(random, 1200, 6500), decay_s, size)
            add(wave, drop, int(start), self.drop * log_uniform(random, 0.2, 1.5))
        return wave


@dataclass(frozen=True, slots=True)
class Siren:
    """A tone with overtones that wails (sine), yelps (saw) or alternates between two pitches."""

    continuous: ClassVar[bool] = False
    sweep: str
    rate_hz: float
    lowest_hz: float
    span: float
    overtone: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            ("wail", "yelp", "two-tone")[random.randint(3)],
            log_uniform(random, 0.15, 1.2),
            log_uniform(random, 350, 1100),
            uniform(random, 1.25, 2.4),
            uniform(random, 0, 0.6),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        start = uniform(random, 0, 1)
        at = times_s(samples) * np.float32(self.rate_hz)
        if self.sweep == "wail":
            height = 0.5 - 0.5 * np.cos(2 * math.pi * (at + start))
        elif self.sweep == "yelp":
            height = (4 * at + start) % 1
        else:
            height = np.round((2 * at + start) % 1)
        angle = phase(self.lowest_hz * self.span**height)
        wave = np.sin(angle) + self.overtone * np.sin(2 * angle)
        wave += self.overtone**2 * np.sin(3 * angle)
        return wave.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Wind:
    """Three bands of noise, each with gusts of its own."""

    continuous: ClassVar[bool] = True
    centre_hz: float
    gust_hz: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(log_uniform(random, 90, 900), log_uniform(random, 0.5, 4))

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        for band in range(3):
            low_hz = 0.5 * self.centre_hz * 1.8**band
            gusts = np.maximum(0, wander(random, samples, self.gust_hz, 0.6))
            hiss = noise(random, samples, band_pass(low_hz, 3.2 * low_hz, 2))
            wave += np.float32(0.6**band) * hiss * gusts
        return wave
