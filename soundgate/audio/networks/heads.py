"""Heads of taggers: from the embeddings of a backbone to one logit a label."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from soundgate.audio.networks.steps import Steps
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADS = ("DEEP_HEAD", "ATTENTION_HEAD", "LINEAR")


class LinearHead(nn.Module):
    """The mean over time and one linear layer: the head that pretrained networks come with."""

    def __init__(self, size: int, labels: int, *, dropout: float = 0.0) -> None:
        """From embeddings of ``size`` to ``labels`` logits."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(size, labels)

    def forward(self, steps: Steps) -> Tensor:
        """Logits (clip, label)."""
        logits: Tensor = self.linear(self.dropout(steps.mean()))
        return logits


class DeepHead(nn.Module):
    """The mean over time, then layers of normalisation, ReLU and a linear map."""

    def __init__(self, size: int, hidden: Sequence[int], labels: int, *, dropout: float) -> None:
        """From embeddings of ``size`` through ``hidden`` sizes to ``labels`` logits."""
        super().__init__()
        self.layers = _deep(size, hidden, labels, dropout)

    def forward(self, steps: Steps) -> Tensor:
        """Logits (clip, label)."""
        logits: Tensor = self.layers(steps.mean())
        return logits


class AttentionHead(nn.Module):
    """A mean over time weighted by what is heard, then the layers of a deep head.

    The weight of a step is a softmax over time of w2 tanh(W1 x) / sqrt(size) (Bahdanau et al. 2015,
    scaled).
    """

    def __init__(self, size: int, hidden: Sequence[int], labels: int, *, dropout: float) -> None:
        """From embeddings of ``size`` through ``hidden`` sizes to ``labels`` logits."""
        super().__init__()
        self.score = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1))
        self.layers = _deep(size, hidden, labels, dropout)
        self._scale = 1 / math.sqrt(size)

    def forward(self, steps: Steps) -> Tensor:
        """Logits (clip, label)."""
        score = self.score(steps.values).squeeze(2) * self._scale
        if steps.real is not None:
            score = score.masked_fill(~steps.real, -math.inf)
        heard = (score.softmax(1).unsqueeze(2) * steps.values).sum(1)
        logits: Tensor = self.layers(heard)
        return logits


class HeadPerLabel(nn.Module):
    """A head of its own for each label.

    With ``split`` the embedding is that of as many networks, one after another, and each head takes
    its own network's part.
    """

    def __init__(self, heads: Sequence[nn.Module], *, split: bool) -> None:
        """Hold ``heads``, each of which gives one logit."""
        super().__init__()
        self.labels = nn.ModuleList(heads)
        self.split = split

    def forward(self, steps: Steps) -> Tensor:
        """Logits (clip, label)."""
        count = len(self.labels)
        parts = steps.values.chunk(count, 2) if self.split else (steps.values,) * count
        pairs = zip(self.labels, parts, strict=True)
        return torch.cat([head(Steps(part, steps.real)) for head, part in pairs], dim=1)


def make_head(
    name: str, size: int, hidden: Sequence[int], labels: int, *, dropout: float
) -> nn.Module:
    """The head ``name``, one of ``HEADS``.

    Raises:
        ConfigError: LINEAR has no hidden layers; a hidden size is not above 0.
    """
    if any(width < 1 for width in hidden):
        raise ConfigError(f"head_hidden: sizes must be above 0, got {list(hidden)}")
    if name == "LINEAR":
        if hidden:
            raise ConfigError("head_hidden: LINEAR has no hidden layers; set head to DEEP_HEAD")
        return LinearHead(size, labels, dropout=dropout)
    kind = {"DEEP_HEAD": DeepHead, "ATTENTION_HEAD": AttentionHead}[name]
    return kind(size, hidden, labels, dropout=dropout)


def _deep(size: int, hidden: Sequence[int], labels: int, dropout: float) -> nn.Sequential:
    layers = nn.Sequential()
    widths = [size, *hidden, labels]
    for number, (before, after) in enumerate(itertools.pairwise(widths)):
        if number:
            layers.append(nn.Dropout(dropout))
        layers += nn.Sequential(nn.LayerNorm(before), nn.ReLU(), nn.Linear(before, after))
    return layers
