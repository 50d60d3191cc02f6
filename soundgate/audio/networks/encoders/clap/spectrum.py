"""The log-mel spectrogram of PANNs and HTS-AT, with the filters that a file of weights holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from soundgate.audio.signal.front_ends.base import decibels
from soundgate.audio.signal.front_ends.spectra import PowerSpectrum
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Their filters are float32 sines of float64 angles times a window: equal to about 1e-7.
_SAME = 1e-5
_REAL, _IMAGINARY, _BANK = (
    "spectrogram_extractor.stft.conv_real.weight",
    "spectrogram_extractor.stft.conv_imag.weight",
    "logmel_extractor.melW",
)


class LogMel(nn.Module):
    """Levels of mel bands, dB, each normalised by what training found; (clip, frame, band)."""

    bank: Tensor

    def __init__(self, bands: int, n_fft: int, hop_length: int) -> None:
        """Make a transform, and room for a bank that ``take`` fills."""
        super().__init__()
        self.spectrum = PowerSpectrum(n_fft, hop_length, pad="reflect")
        self.register_buffer("bank", torch.zeros(n_fft // 2 + 1, bands), persistent=False)
        self.bn0 = nn.BatchNorm2d(bands)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Spectrograms float32 (clip, frame, band) of waveforms float32 (clip, sample)."""
        # Rounded to 16 bits, spectra would lose what is quiet beside what is loud.
        with torch.autocast(waveforms.device.type, enabled=False):
            level = decibels(self.spectrum(waveforms).transpose(1, 2) @ self.bank)
            found: Tensor = self.bn0(level.transpose(1, 2).unsqueeze(2))
            return found.squeeze(2).transpose(1, 2)

    def take(self, path: Path, given: Mapping[str, Tensor]) -> None:
        """Take the mel bands of a file, whose Fourier transform has to be the one computed here.

        Raises:
            DataError: it is another: its window, length or phase differ.
        """
        waves = torch.cat([given[_REAL], -given[_IMAGINARY]])
        if waves.shape != self.spectrum.waves.shape or not torch.allclose(
            waves, self.spectrum.waves, atol=_SAME
        ):
            raise DataError(
                f"{path}: its STFT filters are not those of a Hann window of "
                f"{self.spectrum.n_fft} samples; give weights of the published shape"
            )
        self.bank.copy_(given[_BANK])

    def named_filters(self) -> dict[str, Tensor]:
        """What ``take`` needs of a file, by the names there, with the right shapes."""
        real, imaginary = self.spectrum.waves.chunk(2)
        return {_REAL: real, _IMAGINARY: -imaginary, _BANK: self.bank}
