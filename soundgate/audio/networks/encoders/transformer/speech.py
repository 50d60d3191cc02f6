"""wav2vec 2.0, HuBERT and WavLM: the mean of what the last layer says of each 20 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.audio.networks.encoders.transformer.folder import expect, model_in, preparation
from soundgate.audio.signal.front_ends.settings import FrontEndSettings
from soundgate.audio.signal.front_ends.speech import RATE_HZ, Wav2Vec

if TYPE_CHECKING:
    from pathlib import Path


class Speech(EncoderModule):
    """Waveforms of any length, 25 ms or more, to the mean over time of the last layer."""

    sample_rate_hz = RATE_HZ

    def __init__(self, model: Any, *, normalised: bool) -> None:
        """Take a model of ``transformers``.

        Args:
            model: a ``Wav2Vec2Model``, ``HubertModel`` or ``WavLMModel``.
            normalised: whether each waveform is brought to mean 0 and variance 1.
        """
        super().__init__()
        self.model = model
        self.prepared = Wav2Vec(FrontEndSettings(name="WAV2VEC")) if normalised else None
        self.embedding_size = int(model.config.hidden_size)
        self.stride, self.least_samples = 1, 1
        for kernel, stride in zip(model.config.conv_kernel, model.config.conv_stride, strict=True):
            self.least_samples += (kernel - 1) * self.stride
            self.stride *= stride

    def forward(self, waveforms: Tensor) -> Tensor:
        """See ``EncoderModule``."""
        return self._steps(waveforms).float().mean(1)

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """See ``EncoderModule``."""
        found = self._steps(waveforms)
        begins = torch.arange(found.shape[1]) * self.stride
        return found, (begins + self.least_samples / 2) * (1000 / RATE_HZ)

    def _steps(self, waveforms: Tensor) -> Tensor:
        if self.prepared is not None:
            waveforms = self.prepared(waveforms)
        found: Tensor = self.model(waveforms).last_hidden_state
        return found


def load(name: str, folder: Path) -> Speech:
    """Load ``wav2vec2``, ``hubert`` or ``wavlm``.

    Raises:
        ConfigError: the folder holds another model, or none.
    """
    said = preparation(folder)
    expect(folder, said, sampling_rate=RATE_HZ, feature_size=1)
    return Speech(model_in(name, folder), normalised=bool(said.get("do_normalize", True)))
