"""How loud what a file holds is, before its channels are mixed and its rate is changed."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL_SCALE: Final = 0.9999
"""Samples from here to 1 are at the end of the range; the largest int16 is 0.99997."""
_RUN: Final = 3
"""So many equal samples at the end of the range are clipped: one may be a peak that just fits."""
_PACKED: Final = struct.Struct("<IIQddddQ")


@dataclass(frozen=True, slots=True)
class Levels:
    """What was measured of the decoded part of a file."""

    rate_hz: int
    """Of the file."""
    channels: int
    frames: int
    """Samples of each channel that were decoded."""
    peak: float
    """Largest absolute sample of any channel; 1 is full scale."""
    weakest_peak: float
    """Largest absolute sample of the channel where it is least."""
    mix_peak: float
    """The same as ``peak``, of the mean of the channels, which is what features see."""
    mix_rms: float
    clipped: int
    """Samples, of all channels, in runs of three and more at full scale."""

    SIZE_BYTES = _PACKED.size

    def pack(self) -> bytes:
        """The figures as :meth:`unpack` reads them."""
        return _PACKED.pack(
            *(self.rate_hz, self.channels, self.frames),
            *(self.peak, self.weakest_peak, self.mix_peak, self.mix_rms, self.clipped),
        )

    @classmethod
    def unpack(cls, packed: bytes | memoryview) -> Self:
        """Figures that :meth:`pack` wrote."""
        return cls(*_PACKED.unpack(packed))


def measure(samples: NDArray[np.float32], mix: NDArray[np.float32], rate_hz: int) -> Levels:
    """Measure decoded samples.

    Args:
        samples: float32 (sample,) or (sample, channel), nominally in -1..1.
        mix: the mean of its channels, float32 (sample,).
        rate_hz: of both.
    """
    tracks = samples[:, np.newaxis] if samples.ndim == 1 else samples
    peaks = [_peak(track) for track in tracks.T]
    peak = max(peaks)
    # Looking for runs costs as much as decoding WAV, and few files come near the end of the range.
    clipped = sum(_clipped(track) for track in tracks.T) if peak >= FULL_SCALE else 0
    energy = float(np.dot(mix, mix)) / max(mix.size, 1)
    return Levels(
        rate_hz=rate_hz,
        channels=tracks.shape[1],
        frames=tracks.shape[0],
        peak=peak,
        weakest_peak=min(peaks),
        mix_peak=_peak(mix),
        mix_rms=energy**0.5,
        clipped=clipped,
    )


def _peak(samples: NDArray[np.float32]) -> float:
    return max(float(samples.max()), -float(samples.min())) if samples.size else 0.0


def _clipped(track: NDArray[np.float32]) -> int:
    """Samples of one channel in runs at either end of the range."""
    count = 0
    for side in (track, -track):
        full = np.concatenate(([False], (side >= FULL_SCALE) & (side <= 1.0), [False]))
        edges = np.flatnonzero(np.diff(full.astype(np.int8)))
        lengths = edges[1::2] - edges[::2]
        count += int(lengths[lengths >= _RUN].sum())
    return count
