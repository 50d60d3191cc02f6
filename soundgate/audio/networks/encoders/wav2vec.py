"""wav2vec 2.0 as a backbone: whole, and its convolutions alone."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from soundgate.audio.networks.steps import Steps, valid_steps


class Wav2VecBackbone(nn.Module):
    """``Wav2Vec2ForSequenceClassification`` without its last layer, under the library's names.

    Waveforms of several lengths may share a batch where the first convolution normalises each step
    (``feat_extract_norm: layer``, the large networks). The base networks normalise over the whole
    batch's length: a filled-up waveform would not get the answer that it gets alone.
    """

    least_frames = 400

    def __init__(self, model: Any) -> None:
        """Take the parts of ``model``, a ``transformers.Wav2Vec2ForSequenceClassification``."""
        super().__init__()
        self.size: int = model.config.classifier_proj_size
        self.takes_lengths: bool = model.config.feat_extract_norm == "layer"
        self.config = model.config
        self.wav2vec2, self.projector = model.wav2vec2, model.projector
        if model.config.use_weighted_layer_sum:
            self.layer_weights = model.layer_weights

    def forward(self, waveforms: Tensor, samples: Tensor | None = None) -> Steps:
        """Embed normalised waveforms float32 (clip, sample), of which ``samples`` count."""
        mask = None if samples is None else valid_steps(samples, waveforms.shape[1])
        weighted = self.config.use_weighted_layer_sum
        found = self.wav2vec2(waveforms, attention_mask=mask, output_hidden_states=weighted)
        hidden = found.last_hidden_state
        if weighted:
            weights = self.layer_weights.softmax(0)
            layers = zip(weights, found.hidden_states, strict=True)
            hidden = sum(weight * layer for weight, layer in layers)
        values = self.projector(hidden)
        return Steps(values, _real(self.config, samples, values.shape[1]))


class Wav2VecConvolutions(nn.Module):
    """The convolutions of a wav2vec 2.0 without its transformer."""

    least_frames = 400

    def __init__(self, model: Any) -> None:
        """Take the convolutions of ``model``, a ``transformers.Wav2Vec2Model``."""
        super().__init__()
        self.size: int = model.config.conv_dim[-1]
        self.takes_lengths: bool = model.config.feat_extract_norm == "layer"
        self.config = model.config
        self.feature_extractor = model.feature_extractor

    def forward(self, waveforms: Tensor, samples: Tensor | None = None) -> Steps:
        """Embed normalised waveforms float32 (clip, sample), of which ``samples`` count."""
        values = self.feature_extractor(waveforms).transpose(1, 2)
        return Steps(values, _real(self.config, samples, values.shape[1]))


def _real(config: Any, samples: Tensor | None, size: int) -> Tensor | None:
    """Which steps lie within a waveform's own samples, bool (clip, step)."""
    if samples is None:
        return None
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel).div(stride, rounding_mode="floor") + 1
    return valid_steps(samples, size)
