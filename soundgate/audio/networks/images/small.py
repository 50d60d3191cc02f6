"""The project's own small classifiers as backbones: they train on a CPU within minutes."""

from __future__ import annotations

from torch import Tensor, nn

from soundgate.audio.networks import models
from soundgate.audio.networks.steps import Steps
from soundgate.errors import ConfigError

SMALL = {"PLAIN": "plain", "YAMNET": "yamnet", "MINIRESNET": "miniresnet"}
"""Names of taggers, and of classifiers in ``networks.models``."""


class SmallBackbone(nn.Module):
    """A classifier of ``networks.models`` without its last layer, for images of one channel."""

    takes_lengths = False
    """Their padding depends on the width of the batch."""
    least_frames = models.MIN_FRAMES

    def __init__(self, name: str, *, channels: int, pooled: bool) -> None:
        """Build it with fresh weights.

        Args:
            name: a key of ``models.MODELS``.
            channels: of the images.
            pooled: whether it pools over time; otherwise its steps are columns of the last maps.

        Raises:
            ConfigError: images of more than one channel.
        """
        super().__init__()
        if channels != 1:
            raise ConfigError(
                f"network: {name.upper()} takes images of one channel, not of {channels}; choose "
                "PLAIN's front end among those of one channel, or a network of torchvision"
            )
        network = models.build(name, 1, {})
        head = network.get_submodule("head")
        assert isinstance(head, nn.Linear)
        self.size, self.pooled = head.in_features, pooled
        self.features, self.pool = network.get_submodule("features"), network.get_submodule("pool")

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Steps:
        """Embed images float32 (clip, 1, band, frame), all of whose frames count."""
        del frames
        maps = self.features(images)
        if self.pooled:
            return Steps(self.pool(maps).unsqueeze(1))
        return Steps(maps.mean(2).transpose(1, 2))
