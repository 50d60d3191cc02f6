"""What the models share: a periodic source, resonances of a body, and how a note is played."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    fft_length,
    frequencies_hz,
    log_uniform,
    phase,
    times_s,
    uniform,
)

if TYPE_CHECKING:
    from numpy.random import RandomState
    from numpy.typing import NDArray

    from soundgate.audio.datasets.synthetic.synthesis import Wave

TABLE: Final = 2048
"""Samples of one period; linear interpolation between them is below 16-bit noise."""
HIGHEST_HZ: Final = 7600.0
"""No partial is above it, so that none is folded back."""


def periodic(amplitudes: NDArray[np.floating], frequency_hz: Wave) -> Wave:
    """A sum of harmonics (sample,) of a frequency (sample,) that varies.

    Args:
        amplitudes: of harmonic 1, 2 ..., (harmonic,); those above :data:`HIGHEST_HZ` are dropped.
        frequency_hz: of the fundamental at each sample.
    """
    most = max(1, min(amplitudes.size, int(HIGHEST_HZ / float(frequency_hz.max()))))
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    # Alternating quadratic phases keep the peak low, whatever the spectrum.
    numbers = np.arange(1, most + 1)
    spectrum[1 : most + 1] = amplitudes[:most] * np.exp(-1j * math.pi * numbers**2 / most)
    period = np.fft.irfft(spectrum, TABLE) * (TABLE / 2)
    at = phase(frequency_hz) / (2 * math.pi) % 1 * TABLE
    wave: Wave = np.interp(at, np.arange(TABLE + 1), np.append(period, period[0]))
    return wave.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Body:
    """Resonances that a sound passes through: a violin's box, a bell, a throat."""

    peaks_hz: tuple[float, ...]
    gains: tuple[float, ...]
    """Amplitude that each peak adds to 1."""
    width: float
    """Half width of a peak relative to its frequency."""

    @classmethod
    def draw(cls, random: RandomState, low_hz: float, high_hz: float, peaks: int) -> Self:
        """Draw a body with so many peaks in a range."""
        return cls(
            tuple(log_uniform(random, low_hz, high_hz) for _ in range(peaks)),
            tuple(uniform(random, 0.5, 3) for _ in range(peaks)),
            uniform(random, 0.06, 0.15),
        )

    def filter(self, wave: Wave, floor: float = 1.0) -> Wave:
        """The sound (sample,) through the body; ``floor`` is the gain between the peaks."""
        size = fft_length(wave.size)
        frequency_hz = frequencies_hz(size)
        gain = np.full(frequency_hz.size, floor, np.float32)
        for peak_hz, height in zip(self.peaks_hz, self.gains, strict=True):
            away = (frequency_hz - peak_hz) / (self.width * peak_hz)
            gain += np.float32(height) / (1 + away**2)
        return np.fft.irfft(np.fft.rfft(wave, size) * gain, size)[: wave.size].astype(np.float32)


def vibrato(
    random: RandomState, pitch_hz: float, samples: int, rate_hz: float, depth: float
) -> Wave:
    """A frequency (sample,) around a pitch: it wavers from 0.2 s on, ``depth`` is relative."""
    time_s = times_s(samples)
    onset = np.clip((time_s - np.float32(0.1)) / np.float32(0.2), 0, 1)
    start = uniform(random, 0, 2 * math.pi)
    wave = np.sin(np.float32(2 * math.pi * rate_hz) * time_s + np.float32(start))
    line: Wave = (pitch_hz * (1 + depth * onset * wave)).astype(np.float32)
    return line


def swell(samples: int, attack_s: float, release_s: float) -> Wave:
    """An envelope (sample,) that rises exponentially and falls off at the end."""
    time_s = times_s(samples)
    rise = 1 - np.exp(-time_s * np.float32(3 / attack_s))
    left = np.float32(samples / SAMPLE_RATE_HZ) - time_s
    fall = np.clip(left / np.float32(release_s), 0, 1)
    envelope: Wave = (rise * fall).astype(np.float32)
    return envelope
