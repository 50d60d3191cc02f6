"""One whole network a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from soundgate.audio.networks.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.networks.images.torchvision_networks import ImageBackbone


class BackbonePerLabel(nn.Module):
    """Backbones side by side, one a label; their embeddings stand one after another."""

    takes_lengths = True

    def __init__(self, backbones: Sequence[ImageBackbone]) -> None:
        """Hold ``backbones`` of one size; ``size`` is that of one."""
        super().__init__()
        self.size, self.least_frames = backbones[0].size, backbones[0].least_frames
        self.labels = nn.ModuleList(backbones)

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Steps:
        """Embed images float32 (clip, channel, band, frame): sizes add up."""
        every = [backbone(images, frames) for backbone in self.labels]
        return Steps(torch.cat([one.values for one in every], dim=2), every[0].real)
