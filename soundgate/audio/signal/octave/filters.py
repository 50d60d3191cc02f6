"""A filter for each band: Butterworth band-passes whose edges are the band's, 3 dB down.

Of order 4 they are of class 1 by IEC 61260-1:2014, table 1, for all usual fractions
(``tests/audio/signal/octave``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.signal.octave.bands import Band

ORDER: Final = 4
"""Of the low-pass that the band-pass is made of: as many sections."""
EXTRA: Final = "pip install 'soundgate[sec]'"


def sections(bands: Sequence[Band], sample_rate_hz: float) -> NDArray[np.float64]:
    """Second-order sections of each band's filter.

    Args:
        bands: below half the sample rate.
        sample_rate_hz: of the waveforms.

    Returns:
        Float64 (band, section, 6), the rows ``b0 b1 b2 1 a1 a2`` as scipy has them.

    Raises:
        MissingExtra: scipy is not installed.
    """
    try:
        from scipy import signal
    except ImportError as error:
        raise MissingExtra(f"octave bands need scipy: {EXTRA}") from error
    designed = [
        signal.butter(
            ORDER, (b.lower_hz, b.upper_hz), btype="bandpass", output="sos", fs=sample_rate_hz
        )
        for b in bands
    ]
    return np.stack(designed).astype(np.float64)


def response(sos: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.complex128]:
    """Complex response of each filter.

    Args:
        sos: (band, section, 6).
        angles: radians a sample, (angle,).

    Returns:
        Complex128 (band, angle).
    """
    delay = np.exp(-1j * angles)
    powers = np.stack((np.ones_like(delay), delay, delay * delay))
    above, below = sos[..., :3] @ powers, sos[..., 3:] @ powers
    made: NDArray[np.complex128] = (above / below).prod(axis=1)
    return made


def ring_down_s(bands: Sequence[Band], decades: float = 8.0) -> float:
    """Seconds after which the narrowest filter has fallen by so many decades of amplitude.

    The slowest pole of a Butterworth band-pass of order 4 decays with
    sin(pi/8) * pi * bandwidth nepers a second.
    """
    narrowest = min(b.upper_hz - b.lower_hz for b in bands)
    decay = float(np.sin(np.pi / (2 * ORDER)) * np.pi * narrowest)
    return float(decades * np.log(10) / decay)
