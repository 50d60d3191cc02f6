"""The bands of IEC 61260-1:2014: exact base-ten centres, for odd and for even fractions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from soundgate.errors import ConfigError

OCTAVE_RATIO: Final = 10**0.3
"""G of the standard (5.2): what an octave is in base ten."""
REFERENCE_HZ: Final = 1000.0
LOWEST_HZ: Final = 20.0
MOST_BANDS: Final = 96
"""An octave; narrower bands ring for minutes at low frequencies."""


@dataclass(frozen=True, slots=True)
class Band:
    """A band; frequencies in Hz."""

    index: int
    """k of the standard: 0 is the band at, or for even fractions just above, 1 kHz."""
    mid_hz: float
    lower_hz: float
    upper_hz: float


def band(index: int, bands_per_octave: int) -> Band:
    """One band, by equations 2, 3, 4 and 5 of the standard."""
    exponent = index / bands_per_octave
    if bands_per_octave % 2 == 0:
        exponent += 0.5 / bands_per_octave
    mid_hz = REFERENCE_HZ * OCTAVE_RATIO**exponent
    half = OCTAVE_RATIO ** (0.5 / bands_per_octave)
    return Band(index, mid_hz, mid_hz / half, mid_hz * half)


def bands(
    bands_per_octave: int, sample_rate_hz: float, *, lowest_hz: float = LOWEST_HZ
) -> tuple[Band, ...]:
    """Every band from that of ``lowest_hz`` on that lies below half the sample rate.

    Args:
        bands_per_octave: 1, 3 and 24 say; any whole number up to 96.
        sample_rate_hz: of the waveforms.
        lowest_hz: bands whose centre is more than a quarter of a band below are left out. Centres
            are nominal: that of "20 Hz" is 19.95 Hz.

    Raises:
        ConfigError: a number is impossible, or no band is left.
    """
    if not 1 <= bands_per_octave <= MOST_BANDS:
        raise ConfigError(
            f"bands per octave must be between 1 and {MOST_BANDS}, got {bands_per_octave}"
        )
    if not (lowest_hz > 0 and math.isfinite(lowest_hz)):
        raise ConfigError(f"lowest_hz must be above 0, got {lowest_hz:g}")
    steps = bands_per_octave / math.log10(OCTAVE_RATIO)
    first = math.floor(steps * math.log10(lowest_hz / REFERENCE_HZ)) - 1
    last = math.ceil(steps * math.log10(sample_rate_hz / 2 / REFERENCE_HZ))
    least_hz = lowest_hz * OCTAVE_RATIO ** (-0.25 / bands_per_octave)
    every = (band(index, bands_per_octave) for index in range(first, last + 1))
    found = tuple(b for b in every if b.mid_hz >= least_hz and b.upper_hz < sample_rate_hz / 2)
    if not found:
        raise ConfigError(
            f"no band of 1/{bands_per_octave} octave lies between {lowest_hz:g} Hz and half the "
            f"sample rate, {sample_rate_hz / 2:g} Hz"
        )
    return found
