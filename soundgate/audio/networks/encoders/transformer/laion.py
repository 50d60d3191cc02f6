"""CLAP of LAION (Wu et al. 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.audio.networks.encoders.transformer.folder import expect, model_in, preparation
from soundgate.audio.signal.front_ends.base import decibels
from soundgate.audio.signal.front_ends.settings import FrontEndSettings
from soundgate.audio.signal.front_ends.spectra import PowerSpectrum, mel_bank

if TYPE_CHECKING:
    from pathlib import Path

# ClapFeatureExtractor's defaults.
_DEFAULTS = {
    "sampling_rate": 48_000,
    "fft_window_size": 1024,
    "hop_length": 480,
    "feature_size": 64,
    "frequency_min": 0.0,
    "frequency_max": 14_000.0,
    "max_length_s": 10,
}


class LaionClap(EncoderModule):
    """Windows of 10 s to embeddings of length 1."""

    bank: Tensor

    def __init__(self, model: Any, said: dict[str, Any]) -> None:
        """Take a ``transformers.ClapModel`` and what its ``preprocessor_config.json`` says."""
        super().__init__()
        facts = _DEFAULTS | said
        self.sample_rate_hz = int(facts["sampling_rate"])
        self.window_samples = int(facts["max_length_s"] * self.sample_rate_hz)
        self.embedding_size = int(model.config.projection_dim)
        self.audio_model, self.audio_projection = model.audio_model, model.audio_projection
        self.fusion = bool(model.config.audio_config.enable_fusion)
        self.spectrum = PowerSpectrum(facts["fft_window_size"], facts["hop_length"], pad="reflect")
        self.register_buffer("bank", _bank(facts, fusion=self.fusion), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """See ``EncoderModule``."""
        pooled = self._heard(waveforms).pooler_output
        return functional.normalize(self.audio_projection(pooled).float(), dim=-1)

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of length 1 of parts of the window, 0.31 s each."""
        # The network gives channels, then frequency, then time.
        steps = self._heard(waveforms).last_hidden_state.mean(2).transpose(1, 2)
        found = functional.normalize(self.audio_projection(steps).float(), dim=-1)
        count = found.shape[1]
        length_ms = waveforms.shape[-1] / self.sample_rate_hz * 1000
        return found, (torch.arange(count) + 0.5) * (length_ms / count)

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """What ``ClapFeatureExtractor`` computes, dB, float32 (clip, frame, band)."""
        with torch.autocast(waveforms.device.type, enabled=False):
            return decibels(self.spectrum(waveforms).transpose(1, 2) @ self.bank)

    def _heard(self, waveforms: Tensor) -> Any:
        images = self.log_mel(waveforms).unsqueeze(1)
        # Networks with fusion see a window that nothing was cut off four times. Their extractor
        # calls one window of every batch longer at random; here none is.
        longer = None
        if self.fusion:
            images = images.expand(-1, 4, -1, -1)
            longer = torch.zeros(len(images), 1, dtype=torch.bool, device=images.device)
        return self.audio_model(input_features=images, is_longer=longer)


class LaionText(nn.Module):
    """Tokens to embeddings of length 1 in the space of ``LaionClap``."""

    longest = 512

    def __init__(self, model: Any) -> None:
        """Take a ``transformers.ClapModel``."""
        super().__init__()
        self.embedding_size = int(model.config.projection_dim)
        self.vocabulary = int(model.config.text_config.vocab_size)
        self.text_model, self.text_projection = model.text_model, model.text_projection
        self.scale = float(model.logit_scale_a.detach().exp())

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings float32 (sentence, size) of ids int64 (sentence, token)."""
        pooled = self.text_model(input_ids=ids, attention_mask=mask).pooler_output
        return functional.normalize(self.text_projection(pooled), dim=-1)


def load(folder: Path) -> LaionClap:
    """Load the half that hears.

    Raises:
        ConfigError: the folder holds another model, or none.
    """
    said = preparation(folder)
    expect(folder, said, top_db=None, padding_value=0.0)
    return LaionClap(model_in("laion-clap", folder), said)


def load_text(folder: Path) -> LaionText:
    """Load the half that reads.

    Raises:
        ConfigError: the folder holds another model, or none.
    """
    return LaionText(model_in("laion-clap", folder))


def _bank(facts: dict[str, Any], *, fusion: bool) -> Tensor:
    """Mel bands float32 (bin, band): Slaney's, of networks with fusion those of HTK."""
    if fusion:
        import torchaudio

        bank: Tensor = torchaudio.functional.melscale_fbanks(
            facts["fft_window_size"] // 2 + 1,
            float(facts["frequency_min"]),
            float(facts["frequency_max"]),
            facts["feature_size"],
            facts["sampling_rate"],
        )
        return bank
    settings = FrontEndSettings(
        sample_rate_hz=facts["sampling_rate"],
        n_fft=facts["fft_window_size"],
        n_mels=facts["feature_size"],
        fmin_hz=float(facts["frequency_min"]),
        fmax_hz=float(facts["frequency_max"]),
    )
    return mel_bank(settings).T
