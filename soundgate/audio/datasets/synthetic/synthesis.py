"""Building blocks of procedural sounds: random numbers, noise of a given spectrum, envelopes.

Random numbers come from ``numpy.random.RandomState``, whose stream numpy promises never to change;
that of ``default_rng`` may change with a release.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import RandomState

Wave: TypeAlias = NDArray[np.float32]
Spectrum: TypeAlias = Callable[[Wave], Wave]
"""Amplitude gain (bin,) at frequencies (bin,) in Hz."""

SAMPLE_RATE_HZ: Final = 16_000
# Lengths of 2^5 5^3 k keep the FFT fast for every small k.
_FFT_STEP: Final = 4000


def uniform(random: RandomState, low: float, high: float) -> float:
    """Draw from low..high."""
    return low + (high - low) * float(random.random_sample())


def log_uniform(random: RandomState, low: float, high: float) -> float:
    """Draw from low..high, each octave as likely as another."""
    return math.exp(uniform(random, math.log(low), math.log(high)))


def length(seconds: float) -> int:
    """Number of samples."""
    return int(seconds * SAMPLE_RATE_HZ)


def times_s(samples: int) -> Wave:
    """Time of each sample (sample,) in seconds."""
    return np.arange(samples, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)


def fft_length(samples: int) -> int:
    """The next length that the FFT is fast for."""
    return -(-samples // _FFT_STEP) * _FFT_STEP


@functools.lru_cache(maxsize=64)
def frequencies_hz(samples: int) -> Wave:
    """Frequency (bin,) of each bin of a real FFT."""
    return np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ).astype(np.float32)


def ramps(samples: int, attack_s: float, release_s: float) -> Wave:
    """An envelope (sample,) that rises and falls linearly, each over at most half the length."""
    envelope = np.ones(samples, np.float32)
    attack = max(1, min(length(attack_s), samples // 2))
    release = max(1, min(length(release_s), samples // 2))
    envelope[:attack] = np.linspace(0, 1, attack, dtype=np.float32)
    envelope[-release:] *= np.linspace(1, 0, release, dtype=np.float32)
    return envelope


def decay(samples: int, time_constant_s: float) -> Wave:
    """An envelope (sample,) that falls to 1/e within ``time_constant_s``."""
    envelope: Wave = np.exp(times_s(samples) * np.float32(-1 / time_constant_s))
    return envelope


def ring(random: RandomState, frequency_hz: float, time_constant_s: float, samples: int) -> Wave:
    """A decaying sine (sample,) of random phase, as struck things give it."""
    phase = np.float32(uniform(random, 0, 2 * math.pi))
    turns = np.float32(2 * math.pi * frequency_hz)
    wave: Wave = decay(samples, time_constant_s) * np.sin(turns * times_s(samples) + phase)
    return wave


def phase(frequency_hz: NDArray[np.floating]) -> NDArray[np.float64]:
    """Phase (sample,) in radians of an oscillator whose frequency (sample,) varies."""
    return np.cumsum(frequency_hz, dtype=np.float64) * (2 * math.pi / SAMPLE_RATE_HZ)


def white(random: RandomState, samples: int) -> Wave:
    """Gaussian noise (sample,) of RMS 1."""
    return random.standard_normal(samples).astype(np.float32)


def noise(random: RandomState, samples: int, spectrum: Spectrum) -> Wave:
    """Noise (sample,) of RMS 1 with the given spectrum.

    The bins are drawn uniformly, which is cheaper than Gaussian; thousands of them add up to
    Gaussian samples all the same.
    """
    size = fft_length(samples)
    bins = (random.random_sample(size + 2).astype(np.float32) - np.float32(0.5)).view(np.complex64)
    wave = np.fft.irfft(bins * spectrum(frequencies_hz(size)), size)[:samples].astype(np.float32)
    return wave / np.float32(max(rms(wave), 1e-9))


def band_pass(low_hz: float, high_hz: float, order: int) -> Spectrum:
    """The amplitude response of a Butterworth high-pass and low-pass in a row."""

    def gain(frequency_hz: Wave) -> Wave:
        below = (low_hz / np.maximum(frequency_hz, 1)) ** (2 * order)
        above = (frequency_hz / high_hz) ** (2 * order)
        response: Wave = ((1 + below) * (1 + above)).astype(np.float32) ** np.float32(-0.5)
        return response

    return gain


def wander(random: RandomState, samples: int, rate_hz: float, depth: float) -> Wave:
    """A gain (sample,) around 1 that changes slowly and at random."""
    points = max(4, int(samples / SAMPLE_RATE_HZ * rate_hz) + 3)
    values = 1 + depth * random.standard_normal(points)
    at = np.linspace(0, points - 1, samples)
    return np.interp(at, np.arange(points), values).astype(np.float32)


def rms(wave: Wave) -> float:
    """Root mean square."""
    return math.sqrt(float(np.dot(wave, wave)) / max(wave.size, 1))


def add(wave: Wave, sound: Wave, start: int, gain: float = 1.0) -> None:
    """Add ``sound`` to ``wave`` from sample ``start`` on; what lies beyond the end is cut off."""
    end = min(start + sound.size, wave.size)
    if end > start:
        wave[start:end] += np.float32(gain) * sound[: end - start]
