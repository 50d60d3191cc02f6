"""Two calls: a hum with harmonics and vibrato, and a whoop that sweeps upwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.datasets.synthetic.synthesis import (
    length,
    log_uniform,
    phase,
    ramps,
    rms,
    times_s,
    uniform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import RandomState
    from numpy.typing import NDArray

    from soundgate.audio.datasets.synthetic.synthesis import Wave

LOW_HZ: Final = 150.0
HIGH_HZ: Final = 4000.0
"""The band in which calls and background are compared."""


def hum(random: RandomState) -> Wave:
    """A hum of RMS 1, float32 (sample,), 0.35 to 1.1 s."""
    samples = length(uniform(random, 0.35, 1.1))
    at = times_s(samples)
    glide = np.linspace(1, uniform(random, 0.85, 1.15), samples)
    vibrato = 1 + 0.02 * np.sin(2 * math.pi * uniform(random, 5, 8) * at)
    turns = phase(log_uniform(random, 180, 380) * glide * vibrato)
    brightness = uniform(random, 0.7, 1.2)
    wave = np.zeros(samples)
    for number in range(1, 10):
        wave += number**-brightness * np.sin(number * turns + uniform(random, 0, 2 * math.pi))
    return _shaped(wave, 0.06, 0.1)


def whoop(random: RandomState) -> Wave:
    """A whoop of RMS 1, float32 (sample,), 0.25 to 0.6 s."""
    samples = length(uniform(random, 0.25, 0.6))
    low, high = log_uniform(random, 500, 800), log_uniform(random, 1100, 1800)
    turns = phase(low * (high / low) ** (np.linspace(0, 1, samples) ** 1.5))
    return _shaped(np.sin(turns) + 0.4 * np.sin(2 * turns) + 0.15 * np.sin(3 * turns), 0.03, 0.06)


def chirps(random: RandomState) -> Wave:
    """What another animal sings above the calls, of RMS 1, float32 (sample,)."""
    samples, high = length(uniform(random, 0.2, 0.8)), log_uniform(random, 4500, 6500)
    rate = uniform(random, 8, 20)
    turns = phase(high * (1 + 0.15 * np.sin(2 * math.pi * rate * times_s(samples))))
    return _shaped(np.sin(turns), 0.02, 0.05)


def _shaped(wave: NDArray[np.float64], rise_s: float, fall_s: float) -> Wave:
    shaped: Wave = wave.astype(np.float32) * ramps(wave.size, rise_s, fall_s)
    return shaped / np.float32(rms(shaped))


CALLS: Final[dict[str, Callable[[RandomState], Wave]]] = {"hum": hum, "whoop": whoop}
"""By label."""
