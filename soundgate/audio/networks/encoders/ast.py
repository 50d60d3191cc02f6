"""The Audio Spectrogram Transformer as a backbone."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from soundgate.audio.networks.steps import Steps


class AstBackbone(nn.Module):
    """``ASTForAudioClassification`` without its last layer, under the library's own names.

    Its position embeddings fix the width of images; a clip's own length is unknown to it, as it is
    to the library's.
    """

    takes_lengths = False

    def __init__(self, model: Any, *, pooled: bool) -> None:
        """Take the parts of ``model``.

        Args:
            model: a ``transformers.ASTForAudioClassification``.
            pooled: whether the embedding is that of the class and distillation tokens; otherwise
                its steps are the patches.
        """
        super().__init__()
        self.size: int = model.config.hidden_size
        self.bands: int = model.config.num_mel_bins
        self.least_frames: int = model.config.max_length
        self.pooled = pooled
        self.audio_spectrogram_transformer = model.audio_spectrogram_transformer
        self.classifier = model.classifier
        self.classifier.dense = nn.Identity()

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Steps:
        """Embed images float32 (clip, 1, band, frame) of the config's size."""
        del frames
        found = self.audio_spectrogram_transformer(images.squeeze(1).transpose(1, 2))
        if self.pooled:
            return Steps(self.classifier(found.pooler_output).unsqueeze(1))
        return Steps(self.classifier(found.last_hidden_state[:, 2:]))
