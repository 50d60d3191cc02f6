"""Continuous wavelet transform with Morlet wavelets, sampled once a frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from soundgate.audio.signal.front_ends.base import FrontEnd, decibels, paired_power
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.signal.front_ends.settings import FrontEndSettings

C1_HZ = 32.703
CYCLES = 6.0
"""Morlet's omega_0: angular frequency times standard deviation of the Gaussian."""
_REACH = 5.0
_GROUP = 16


class Wavelet(FrontEnd):
    """Levels of ``n_mels`` Morlet wavelets, dB; frame t is the transform at sample t * hop.

    Frequencies stand in equal ratios from ``fmin_hz`` (at least C1) to ``fmax_hz``, or else 0.45
    of the rate. A sine of amplitude 1 at a wavelet's frequency has the level 0 dB. Wavelets are cut
    at five standard deviations. Because only one sample a hop is wanted, each is computed by a
    product with the wavelet: less work than Fourier transforms of the whole clip, and exportable.
    """

    def __init__(self, settings: FrontEndSettings) -> None:
        """Make the wavelets, in groups of like length.

        Raises:
            ConfigError: the frequencies are not in order, or exceed half the rate.
        """
        super().__init__(settings)
        self.bands = settings.n_mels
        self.least_samples = 1
        self.sizes: list[int] = []
        filters = morlet(frequencies_hz(settings), settings.sample_rate_hz)
        for number, first in enumerate(range(0, len(filters), _GROUP)):
            group = filters[first : first + _GROUP]
            waves = _stacked(group)
            self.sizes.append(waves.shape[-1])
            self.register_buffer(f"waves_{number}", waves, persistent=False)
        self._constants((-60.0,), (18.0,))

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        del samples
        parts = []
        for number, size in enumerate(self.sizes):
            waves = self.get_buffer(f"waves_{number}")
            padded = functional.pad(waveforms, (size // 2, size // 2 + 1))
            hop = self.settings.hop_length
            if torch.compiler.is_exporting():
                pair = functional.conv1d(padded.unsqueeze(1), waves.unsqueeze(1), stride=hop)
            else:
                pair = waves @ padded.unfold(-1, size, hop).transpose(1, 2)
            parts.append(paired_power(pair))
        return decibels(torch.cat(parts, dim=1)).unsqueeze(1)


def frequencies_hz(settings: FrontEndSettings) -> np.ndarray:
    """Centre frequencies float64 (band,), in equal ratios.

    Raises:
        ConfigError: they are not in order, or exceed half the rate.
    """
    lowest = max(settings.fmin_hz, C1_HZ)
    highest = 0.45 * settings.sample_rate_hz if settings.fmax_hz is None else settings.fmax_hz
    if not lowest < highest <= settings.sample_rate_hz / 2:
        raise ConfigError(
            f"front_end.fmax_hz: {lowest:g} to {highest:g} Hz is no range up to half the rate, "
            f"{settings.sample_rate_hz / 2:g} Hz; set fmin_hz and fmax_hz within it"
        )
    return np.geomspace(lowest, highest, settings.n_mels)


def morlet(frequencies_hz: np.ndarray, sample_rate_hz: int) -> list[np.ndarray]:
    """Wavelets complex128 (2 k + 1,), each scaled so that a sine of amplitude 1 gives 1."""
    filters = []
    for frequency_hz in frequencies_hz:
        deviation_s = CYCLES / (2 * math.pi * frequency_hz)
        reach = math.ceil(_REACH * deviation_s * sample_rate_hz)
        time_s = np.arange(-reach, reach + 1) / sample_rate_hz
        envelope = np.exp(-0.5 * (time_s / deviation_s) ** 2)
        filters.append(2 / envelope.sum() * envelope * np.exp(2j * math.pi * frequency_hz * time_s))
    return filters


def _stacked(filters: list[np.ndarray]) -> Tensor:
    """Real parts, then imaginary, float32 (2 band, sample), each centred in the longest."""
    size = max(map(len, filters))
    rows = []
    for wavelet in filters:
        side = (size - len(wavelet)) // 2
        rows.append(np.pad(wavelet, (side, side)))
    both = np.concatenate([np.real(rows), np.imag(rows)])
    return torch.from_numpy(both.astype(np.float32))
