"""A record's windows: at fixed places, so that an embedding depends on the record alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.networks.encoders.interface import Encoder

Samples: TypeAlias = "NDArray[np.float32]"


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings:
    """How records become embeddings."""

    window_s: float | None = None
    """Length of a window, seconds; None: the encoder's own, or the whole record where an encoder
    takes any length."""
    hop_s: float | None = None
    """Distance between windows, seconds; None: ``window_s``, so that they touch one another."""
    pooling: Literal["mean", "max"] = "mean"
    """What becomes of a record's windows: their mean, weighted by how much of the record each
    holds, or the largest value of each number."""
    fill: Literal["repeat", "repeatpad", "zeros"] = "repeat"
    """How a last window that the record ends in is filled up: with its sound again (CLAP of
    Microsoft), with its sound as often as it fits and then zeros (CLAP of LAION), or with zeros."""
    batch_size: int = 16
    """Windows that are computed together, of as many records as it takes."""
    workers: int = 1
    """Threads: each decodes, and on the CPU each computes a batch of its own on one core."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of so many samples, beginning so many samples apart."""

    size: int | None
    """None: one window, as long as the record."""
    hop: int
    fill: str

    def cut(self, samples: Samples) -> list[tuple[Samples, int]]:
        """The windows of a record, each with the number of its samples that are the record's own.

        The first begins with the record, the last is the first that reaches its end.

        Args:
            samples: float32 (sample,), at least one.
        """
        if self.size is None:
            return [(samples, samples.size)]
        beyond = max(samples.size - self.size, 0)
        starts = range(0, -(-beyond // self.hop) * self.hop + 1, self.hop)
        parts = (samples[start : start + self.size] for start in starts)
        return [(self._filled(part, self.size), part.size) for part in parts]

    def _filled(self, part: Samples, size: int) -> Samples:
        if part.size == size:
            return part
        if self.fill == "repeat":
            return np.resize(part, size)
        if self.fill == "repeatpad":
            part = np.tile(part, size // part.size)
        return np.concatenate([part, np.zeros(size - part.size, np.float32)])


def windows_of(settings: EmbeddingSettings, encoder: Encoder) -> Windows:
    """The windows that ``settings`` and an encoder agree on.

    Raises:
        ConfigError: a window of another length than the encoder's, or a hop of less than a sample.
    """
    rate_hz, own = encoder.sample_rate_hz, encoder.window_samples
    asked = None if settings.window_s is None else round(settings.window_s * rate_hz)
    if None not in (asked, own) and asked != own:
        raise ConfigError(
            f"embedding.window_s: {encoder.name} takes windows of {(own or 0) / rate_hz:g} s, not "
            f"{settings.window_s:g} s; leave window_s out"
        )
    size = own if asked is None else asked
    hop = size if settings.hop_s is None else round(settings.hop_s * rate_hz)
    for field, value in (("window_s", size), ("hop_s", hop)):
        if value is not None and value < 1:
            raise ConfigError(f"embedding.{field}: must be at least one sample, got {value}")
    return Windows(size, hop or 1, settings.fill)


class Pool:
    """The embedding of one record, gathered from those of its windows."""

    def __init__(self, pooling: str, windows: int) -> None:
        """Expect so many windows."""
        self._pooling, self._left = pooling, windows
        self._total: Any = None
        self._weight = 0

    def add(self, vector: NDArray[np.float32], weight: int) -> NDArray[np.float32] | None:
        """Take a window's embedding float32 (size,); the record's, once all windows are there."""
        self._left -= 1
        if self._pooling == "max":
            self._total = vector if self._total is None else np.maximum(self._total, vector)
        else:
            # The order of the windows is fixed, and float64 leaves the sum's rounding no say.
            term = vector.astype(np.float64) * weight
            self._total = term if self._total is None else self._total + term
            self._weight += weight
        if self._left:
            return None
        total = self._total if self._pooling == "max" else self._total / self._weight
        found: NDArray[np.float32] = total.astype(np.float32)
        return found
