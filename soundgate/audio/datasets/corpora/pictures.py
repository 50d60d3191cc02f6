"""Spectrograms of the files of a data set, as PNG.

Short-time Fourier transform of 2048 samples every 512 with a Hann window, 200 to 4000 Hz, 80 dB
below the loudest value; the lowest frequency below, time from the left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

N_FFT: Final = 2048
HOP: Final = 512
LOW_HZ: Final = 200.0
HIGH_HZ: Final = 4000.0
RANGE_DB: Final = 80.0
_FLOOR: Final = 1e-6
# Dark violet over red to pale yellow, even in lightness: the louder, the lighter.
_COLOURS: Final = (
    *((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)),
    *((229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)),
)


def levels(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float64]:
    """Levels from 0 to 1, (band, frame): 1 is the loudest, 0 is ``RANGE_DB`` below.

    Args:
        samples: float32 (sample,).
        rate_hz: their rate.
    """
    window = min(N_FFT, max(len(samples), 2))
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)) / window
    hertz = np.fft.rfftfreq(window, 1 / rate_hz)
    kept = (hertz >= LOW_HZ) & (hertz <= HIGH_HZ)
    decibels = 20 * np.log10(spectrum[:, kept if kept.any() else slice(None)].T + _FLOOR)
    loudest = decibels.max()
    scaled: NDArray[np.float64] = np.clip((decibels - loudest) / RANGE_DB + 1, 0, 1)
    return scaled


def write_picture(path: Path, samples: NDArray[np.float32], rate_hz: int) -> None:
    """Write the spectrogram; equal samples give equal bytes."""
    grey = Image.fromarray(np.round(255 * levels(samples, rate_hz)[::-1]).astype(np.uint8))
    at = np.linspace(0, len(_COLOURS) - 1, 256)
    parts = [np.interp(at, np.arange(len(_COLOURS)), part) for part in zip(*_COLOURS, strict=True)]
    grey.putpalette([int(value) for value in np.round(np.stack(parts, 1)).ravel()])
    grey.save(path, "PNG")
