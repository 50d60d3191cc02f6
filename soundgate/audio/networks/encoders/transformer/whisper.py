"""The encoder of Whisper (Radford et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.audio.networks.encoders.transformer.folder import expect, model_in, preparation
from soundgate.audio.signal.front_ends.settings import FrontEndSettings
from soundgate.audio.signal.front_ends.spectra import PowerSpectrum, mel_bank

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 16_000
_N_FFT, _HOP = 400, 160
_TOP_HZ = 8000.0


class Whisper(EncoderModule):
    """Windows of 30 s to the mean over time of the last layer."""

    sample_rate_hz = RATE_HZ
    bank: Tensor

    def __init__(self, encoder: Any) -> None:
        """Take the encoder of a ``transformers.WhisperModel``."""
        super().__init__()
        self.encoder, config = encoder, encoder.config
        self.embedding_size = int(config.d_model)
        # The second convolution halves the number of frames.
        self.window_samples = 2 * config.max_source_positions * _HOP
        self.spectrum = PowerSpectrum(_N_FFT, _HOP, pad="reflect")
        bank = mel_bank(
            FrontEndSettings(
                sample_rate_hz=RATE_HZ, n_fft=_N_FFT, n_mels=config.num_mel_bins, fmax_hz=_TOP_HZ
            )
        )
        self.register_buffer("bank", bank, persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """See ``EncoderModule``."""
        return self._steps(waveforms).float().mean(1)

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """See ``EncoderModule``."""
        found = self._steps(waveforms)
        begins = torch.arange(found.shape[1]) * 2
        return found, (begins + 0.5) * (1000 * _HOP / RATE_HZ)

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """What ``WhisperFeatureExtractor`` computes, float32 (clip, band, frame)."""
        with torch.autocast(waveforms.device.type, enabled=False):
            power = self.spectrum(waveforms)[..., :-1]
            level = (self.bank @ power).clamp(min=1e-10).log10()
            level = torch.maximum(level, level.amax((1, 2), keepdim=True) - 8)
            return (level + 4) / 4

    def _steps(self, waveforms: Tensor) -> Tensor:
        found: Tensor = self.encoder(self.log_mel(waveforms)).last_hidden_state
        return found


def load(folder: Path) -> Whisper:
    """Load the encoder of a folder of Whisper.

    Raises:
        ConfigError: the folder holds another model, or none, or one whose spectrogram differs.
    """
    said = preparation(folder)
    expect(folder, said, sampling_rate=RATE_HZ, n_fft=_N_FFT, hop_length=_HOP, dither=0.0)
    return Whisper(model_in("whisper", folder, may_lack=("decoder.",)).encoder)
