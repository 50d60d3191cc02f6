"""The Audio Spectrogram Transformer (Gong et al. 2021) as an encoder of scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.audio.networks.encoders.transformer.folder import expect, model_in, preparation
from soundgate.audio.signal.front_ends.settings import FrontEndSettings
from soundgate.audio.signal.front_ends.speech import RATE_HZ, AstFilterBank

if TYPE_CHECKING:
    from pathlib import Path

_HOP = 160
_MEAN, _DEVIATION = -4.2677393, 4.5689974
# The class and the distillation token stand before those of the patches.
_TOKENS = 2


class Ast(EncoderModule):
    """Windows of as many frames of 10 ms as the network has, 10.24 s of the published ones."""

    sample_rate_hz = RATE_HZ

    def __init__(self, model: Any, mean: float, deviation: float) -> None:
        """Take a ``transformers.ASTModel``, and the normalisation of its filter banks."""
        super().__init__()
        self.model, config = model, model.config
        self.embedding_size = int(config.hidden_size)
        self.window_samples = config.max_length * _HOP
        self.front_end = AstFilterBank(
            FrontEndSettings(
                name="AST",
                n_mels=config.num_mel_bins,
                frames=config.max_length,
                mean=(mean,),
                standard_deviation=(2 * deviation,),
            )
        )
        self.stride, self.patch = int(config.time_stride), int(config.patch_size)
        self.rows = (config.num_mel_bins - self.patch) // config.frequency_stride + 1

    def forward(self, waveforms: Tensor) -> Tensor:
        """The mean of the class and the distillation token."""
        found: Tensor = self.model(self._images(waveforms)).pooler_output
        return found

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """The mean over frequency of the tokens of patches."""
        tokens = self.model(self._images(waveforms)).last_hidden_state[:, _TOKENS:]
        found = tokens.view(len(tokens), self.rows, -1, self.embedding_size).mean(1)
        begins = torch.arange(found.shape[1]) * self.stride
        return found, (begins + self.patch / 2) * (1000 * _HOP / RATE_HZ)

    def _images(self, waveforms: Tensor) -> Tensor:
        images: Tensor = self.front_end(waveforms)
        return images.squeeze(1).transpose(1, 2)


def load(folder: Path) -> Ast:
    """Load a folder of AST.

    Raises:
        ConfigError: the folder holds another model, or none, or one whose filter banks differ.
    """
    said = preparation(folder)
    expect(folder, said, sampling_rate=RATE_HZ, do_normalize=True)
    return Ast(model_in("ast", folder), said.get("mean", _MEAN), said.get("std", _DEVIATION))
