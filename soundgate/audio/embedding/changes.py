"""What happens to the sound of a segment before it is embedded or measured: length, and noise.

The noise of a segment is keyed by the seed and the segment's id, and comes from a generator that
counts (Philox: Salmon et al. 2011), so that it is the same in any batch, process or attempt.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from soundgate.audio.embedding.windows import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]


class Noisy(Protocol):
    """A segment, as far as its sound depends on it."""

    @property
    def record_id(self) -> str:
        """What names it."""

    @property
    def noise(self) -> bool:
        """Whether noise is added."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How the sound of segments is changed."""

    window_s: float
    """What every segment is filled up to, seconds."""
    sample_rate_hz: int
    noise_perc: float
    """Share of noise, 0 to 1."""
    seed: int
    fill: str = "zeros"
    """How a segment that is shorter is filled up: as ``EmbeddingSettings.fill`` says."""

    def __call__(self, segment: Noisy, samples: Samples) -> Samples:
        """The sound of a segment: ``(1 - p) x + p u mean|x|`` with u uniform in -1..1.

        Args:
            segment: whose sound it is.
            samples: float32 (sample,).

        Returns:
            float32 (window,).
        """
        filled = self._filled(samples)
        if not segment.noise or not self.noise_perc:
            return filled
        share = np.float32(self.noise_perc)
        level = np.float32(np.abs(filled).mean(dtype=np.float64))
        drawn = uniform(self.seed, segment.record_id, filled.size)
        return filled * (np.float32(1) - share) + drawn * (share * level)

    def _filled(self, samples: Samples) -> Samples:
        size = round(self.window_s * self.sample_rate_hz)
        ((filled, _),) = Windows(size, size, self.fill).cut(samples[:size])
        return filled


def uniform(seed: int, record_id: str, count: int) -> Samples:
    """Uniform numbers from -1 up to 1 that belong to a segment, float32 (count,)."""
    digest = hashlib.blake2b(f"{seed}\nnoise\n{record_id}".encode(), digest_size=16).digest()
    generator = np.random.Philox(key=np.frombuffer(digest, "<u8"))
    # 24 bits: float32 has each of them exactly
    bits = np.asarray(generator.random_raw(count), np.uint64) >> np.uint64(40)
    return bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)
