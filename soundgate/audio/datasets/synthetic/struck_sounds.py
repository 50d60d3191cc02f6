"""Sounds that come in strokes: bells, clocks, barking, footsteps. See :mod:`.sounds`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

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
    ramps,
    ring,
    uniform,
    white,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.synthesis import Wave


_HIGHEST_HZ: Final = 7500.0


def _strokes(
    random: RandomState, samples: int, gap_s: float, low: float, high: float
) -> Iterator[int]:
    """Start samples of strokes about ``gap_s`` apart, each gap times low..high."""
    start_s = uniform(random, 0, min(0.3, gap_s, 0.2 * samples / SAMPLE_RATE_HZ))
    while length(start_s) < samples - 800:
        yield length(start_s)
        start_s += gap_s * uniform(random, low, high)


@dataclass(frozen=True, slots=True)
class Bell:
    """Strokes on metal: six inharmonic partials, the higher ones dying sooner."""

    continuous: ClassVar[bool] = False
    frequency_hz: float
    decay_s: float
    gap_s: float
    ratios: tuple[float, ...]
    amplitudes: tuple[float, ...]

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 250, 2200),
            log_uniform(random, 0.15, 1.6),
            log_uniform(random, 0.25, 2.0),
            (1.0, uniform(random, 1.9, 2.1), *np.sort(2.4 + 3.5 * random.random_sample(4))),
            (1.0, *(0.2 + 0.8 * random.random_sample(5))),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        stroke = np.zeros(min(samples, length(4 * self.decay_s)), np.float32)
        for number, (ratio, amplitude) in enumerate(zip(self.ratios, self.amplitudes, strict=True)):
            if self.frequency_hz * ratio < _HIGHEST_HZ:
                decay_s = self.decay_s / (1 + 0.35 * number)
                size = min(stroke.size, length(5 * decay_s))
                partial = ring(random, self.frequency_hz * ratio, decay_s, size)
                add(stroke, partial, 0, amplitude)
        for start in _strokes(random, samples, self.gap_s, 0.8, 1.25):
            add(wave, stroke, start, uniform(random, 0.5, 1))
        return wave


@dataclass(frozen=True, slots=True)
class ClockTick:
    """Short double clicks at an even pace, tick and tock."""

    continuous: ClassVar[bool] = False
    period_s: float
    frequency_hz: float
    tock_ratio: float
    decay_s: float
    jitter: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 0.22, 1.05),
            log_uniform(random, 900, 5200),
            uniform(random, 0.75, 1),
            log_uniform(random, 0.002, 0.012),
            uniform(random, 0, 0.02),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        size = length(0.05)
        strokes = _strokes(random, samples, self.period_s, 1 - self.jitter, 1 + self.jitter)
        for number, start in enumerate(strokes):
            pitch_hz = self.frequency_hz * (self.tock_ratio if number % 2 else 1)
            click = ring(random, pitch_hz, self.decay_s, size)
            click += 0.6 * ring(random, min(2.3 * pitch_hz, _HIGHEST_HZ), 0.6 * self.decay_s, size)
            click += 0.4 * white(random, size) * decay(size, 0.5 * self.decay_s)
            add(wave, click, start, uniform(random, 0.7, 1))
        return wave


@dataclass(frozen=True, slots=True)
class DogBark:
    """Barks: a harmonic glide through one formant, with breath."""

    continuous: ClassVar[bool] = False
    duration_s: float
    frequency_hz: float
    rise: float
    formant_hz: float
    bandwidth_hz: float
    breath: float
    gap_s: float

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 0.07, 0.3),
            log_uniform(random, 220, 900),
            uniform(random, 0, 0.5),
            log_uniform(random, 700, 2200),
            uniform(random, 250, 900),
            uniform(random, 0.05, 0.5),
            log_uniform(random, 0.12, 0.9),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        for start in _strokes(random, samples, self.duration_s + self.gap_s, 0.75, 1.5):
            add(wave, self._bark(random), start, uniform(random, 0.6, 1))
        return wave

    def _bark(self, random: RandomState) -> Wave:
        size = length(self.duration_s * uniform(random, 0.8, 1.25))
        at = np.linspace(0, 1, size)
        glide = (1 + self.rise * np.sin(math.pi * np.minimum(1, 1.6 * at))) * (1 - 0.3 * at)
        angle = phase(self.frequency_hz * uniform(random, 0.93, 1.07) * glide)
        bark = self.breath * white(random, size)
        for harmonic in range(1, 9):
            pitch_hz = harmonic * self.frequency_hz
            if pitch_hz < _HIGHEST_HZ:
                off = (pitch_hz - self.formant_hz) / self.bandwidth_hz
                gain = 1 / (1 + off**2) + 0.15 / harmonic
                bark += (gain * np.sin(harmonic * angle)).astype(np.float32)
        return bark * ramps(size, 0.012, 0.6 * self.duration_s)


@dataclass(frozen=True, slots=True)
class Footsteps:
    """Thuds at walking pace with the scrape of the ground, perhaps heel and toe."""

    continuous: ClassVar[bool] = False
    period_s: float
    thud_hz: float
    decay_s: float
    scrape: float
    scrape_low_hz: float
    scrape_high_hz: float
    toe: bool

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""
        return cls(
            log_uniform(random, 0.28, 0.85),
            log_uniform(random, 60, 260),
            log_uniform(random, 0.012, 0.05),
            uniform(random, 0.3, 1.8),
            log_uniform(random, 200, 1500),
            log_uniform(random, 1800, 7000),
            bool(random.randint(2)),
        )

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,)."""
        wave = np.zeros(samples, np.float32)
        size = length(0.18)
        scrape_spectrum = band_pass(self.scrape_low_hz, self.scrape_high_hz, 2)
        envelope = np.float32(self.scrape) * ramps(size, 0.01, 0.14) * decay(size, 0.04)
        for start in _strokes(random, samples, self.period_s, 0.85, 1.15):
            step = ring(random, self.thud_hz * uniform(random, 0.9, 1.1), self.decay_s, size)
            step += noise(random, size, scrape_spectrum) * envelope
            if self.toe:
                add(step, white(random, 400) * decay(400, 0.0056), length(0.06), 0.5 * self.scrape)
            add(wave, step, start, uniform(random, 0.6, 1))
        return wave
