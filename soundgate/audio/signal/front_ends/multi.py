"""Mel spectrogram, chroma and spectral centroid as the three channels of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.signal.front_ends.base import decibels
from soundgate.audio.signal.front_ends.spectra import MelSpectrogram

if TYPE_CHECKING:
    from soundgate.audio.signal.front_ends.settings import FrontEndSettings

CHROMAS = 12
_OCTAVE = 5.0
_OCTAVES = 2.0
_A0_HZ = 27.5


class MultiSpectrogram(MelSpectrogram):
    """Three channels of ``n_mels`` rows.

    1. The mel spectrogram, dB, as MEL_SPECTROGRAM.
    2. Chroma (C first), each of the twelve repeated over neighbouring rows; the strongest of a
       frame is 1, as in ``librosa.feature.chroma_stft`` without tuning; 0 in silence.
    3. The spectral centroid as a share of half the rate, the same in each row, as
       ``torchaudio.transforms.SpectralCentroid``; 0 in silence.
    """

    channels = 3
    pitches: Tensor
    rows: Tensor
    shares: Tensor

    def __init__(self, settings: FrontEndSettings) -> None:
        """Make the transform and the weights of the three channels."""
        super().__init__(settings)
        weights = chroma_weights(settings.n_fft, settings.sample_rate_hz)
        self.register_buffer("pitches", weights, persistent=False)
        rows = torch.arange(settings.n_mels) * CHROMAS // settings.n_mels
        self.register_buffer("rows", rows, persistent=False)
        shares = torch.linspace(0, 1, settings.n_fft // 2 + 1)
        self.register_buffer("shares", shares.unsqueeze(1), persistent=False)

    def _own_constants(self) -> None:
        self._constants((-25.0, 0.4, 0.2), (22.0, 0.3, 0.15))

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        del samples
        power = self.spectrum(waveforms)
        level = decibels(self.mel(power))
        chroma = self.chroma(power).index_select(1, self.rows)
        centroid = self.centroid(power).unsqueeze(1).expand_as(level)
        return torch.stack([level, chroma, centroid], dim=1)

    def chroma(self, power: Tensor) -> Tensor:
        """Chroma (clip, 12, frame) of power spectra (clip, bin, frame)."""
        raw = self.pitches @ power
        strongest = raw.amax(1, keepdim=True)
        return raw / strongest.clamp(min=torch.finfo(raw.dtype).tiny)

    def centroid(self, power: Tensor) -> Tensor:
        """Spectral centroid (clip, frame), as a share of half the rate."""
        # A gradient of the square root of 0 would not be a number.
        magnitude = power.clamp(min=1e-20).sqrt()
        total = magnitude.sum(1)
        silent = power.sum(1) <= 0
        return torch.where(silent, 0.0, (magnitude * self.shares).sum(1) / total)


def chroma_weights(n_fft: int, sample_rate_hz: int) -> Tensor:
    """Weights of the twelve chromas, float32 (chroma, bin), as ``librosa.filters.chroma``.

    Each bin of the whole transform is spread over the chromas by a Gaussian as wide as the bin is
    at its pitch, scaled to length 1; octaves far from the fifth count less.
    """
    frequency_hz = np.arange(1, n_fft) * sample_rate_hz / n_fft
    pitch = CHROMAS * np.log2(frequency_hz / _A0_HZ)
    pitch = np.concatenate([[pitch[0] - 1.5 * CHROMAS], pitch])
    width = np.concatenate([np.maximum(np.diff(pitch), 1.0), [1.0]])
    half = CHROMAS // 2
    distance = pitch - np.arange(CHROMAS)[:, None]
    distance = np.remainder(distance + half, CHROMAS) - half
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((pitch / CHROMAS - _OCTAVE) / _OCTAVES) ** 2)
    # From A first to C first.
    weights = np.roll(weights, -3, axis=0)[:, : n_fft // 2 + 1]
    return torch.from_numpy(weights.astype(np.float32))
