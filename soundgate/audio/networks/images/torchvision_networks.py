"""The image networks of torchvision as backbones, their layers under torchvision's own names."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from soundgate.audio.networks.images.widths import Widths, masked_mean, mind, of_widths
from soundgate.audio.networks.steps import Steps, valid_steps
from soundgate.errors import MissingExtra

FUNCTIONS = {
    "EFFICIENT_NET_V2_S": "efficientnet_v2_s",
    "EFFICIENT_NET_V2_M": "efficientnet_v2_m",
    "EFFICIENT_NET_V2_L": "efficientnet_v2_l",
    "RESNEXT50_32X4D": "resnext50_32x4d",
    "RESNEXT101_32X8D": "resnext101_32x8d",
    "RESNEXT101_64X4D": "resnext101_64x4d",
    "CONVNEXT_TINY": "convnext_tiny",
    "CONVNEXT_SMALL": "convnext_small",
    "CONVNEXT_BASE": "convnext_base",
    "CONVNEXT_LARGE": "convnext_large",
    "MOBILENET_V3_LARGE": "mobilenet_v3_large",
}
"""Names of taggers, and of torchvision's functions."""

_RESNET_LAYERS = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


class Layout(NamedTuple):
    """Where a network of torchvision holds what a backbone treats apart."""

    first: str
    """Its first convolution."""
    last: str
    """Its last linear layer, which is the head's."""


def layout(function: str) -> Layout:
    """Where the network made by torchvision's ``function`` holds its first and last layer."""
    if function.startswith("resnext"):
        return Layout("conv1", "fc")
    last = {"efficientnet": 1, "convnext": 2, "mobilenet": 3}[function.split("_", maxsplit=1)[0]]
    return Layout("features.0.0", f"classifier.{last}")


class ImageBackbone(nn.Module):
    """A network of torchvision without its last linear layer.

    ``size`` is that of its embeddings.
    """

    takes_lengths = True
    """Whether images of several widths may share a batch."""
    least_frames = 32
    """So many are one column of the last maps."""

    def __init__(self, function: str, *, channels: int, pooled: bool) -> None:
        """Build it with fresh weights.

        Args:
            function: the name of torchvision's function.
            channels: of the images.
            pooled: whether it pools over time; otherwise its steps are columns of the last maps.

        Raises:
            MissingExtra: torchvision is not installed.
        """
        super().__init__()
        network = build(function)
        where = layout(function)
        last = network.get_submodule(where.last)
        assert isinstance(last, nn.Linear)
        self.function, self.pooled, self.size = function, pooled, last.in_features
        _replace(network, where.last, nn.Identity())
        _replace(network, where.first, _taking(network.get_submodule(where.first), channels))
        for name, child in network.named_children():
            self.add_module(name, child)
        mind(self)

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Steps:
        """Embed images.

        Args:
            images: float32 (clip, channel, band, frame).
            frames: int64 (clip,), how many frames of each count; None: all.
        """
        widths = None if frames is None else Widths(images.shape[-1], frames)
        with of_widths(widths):
            maps = self._maps(images)
            if self.pooled:
                return Steps(self._neck(masked_mean(maps, widths)).unsqueeze(1))
        steps = maps.mean(2).transpose(1, 2)
        values = self._neck(steps.reshape(-1, steps.shape[2], 1, 1))
        width = maps.shape[-1]
        real = None if widths is None else valid_steps(widths.real(width), width)
        return Steps(values.reshape(*steps.shape[:2], -1), real)

    def _maps(self, images: Tensor) -> Tensor:
        """The last maps (clip, channel, band, frame)."""
        resnet = self.function.startswith("resnext")
        for name in _RESNET_LAYERS if resnet else ("features",):
            images = self.get_submodule(name)(images)
        return images

    def _neck(self, pooled: Tensor) -> Tensor:
        """What stands between pooling and the last layer, (clip, channel, 1, 1) to (clip, size)."""
        # ConvNeXt flattens after its normalisation.
        flat = pooled if self.function.startswith("convnext") else pooled.flatten(1)
        if self.function.startswith("resnext"):
            return flat
        result: Tensor = self.get_submodule("classifier")(flat)
        return result


def build(function: str) -> nn.Module:
    """A network of torchvision with fresh weights; nothing is fetched.

    Raises:
        MissingExtra: torchvision is not installed.
    """
    try:
        from torchvision import models
    except ImportError as error:
        message = f"{error.name} is not installed; pip install 'soundgate[tagging]'"
        raise MissingExtra(message) from error
    make: Any = getattr(models, function)
    network: nn.Module = make(weights=None)
    return network


def taken(weight: Tensor, channels: int) -> Tensor:
    """Weights of a first convolution for images of ``channels`` channels, of those for three.

    One image in all three channels gives the same as the sum of the weights with that image once.
    """
    if weight.shape[1] == 3 and channels == 1:
        return weight.sum(1, keepdim=True)
    return weight


def _taking(layer: nn.Module, channels: int) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    if channels == layer.in_channels:
        return layer
    weight = taken(layer.weight, channels)
    new = nn.Conv2d(
        channels,
        layer.out_channels,
        layer.kernel_size,  # type: ignore[arg-type]
        stride=layer.stride,  # type: ignore[arg-type]
        padding=layer.padding,  # type: ignore[arg-type]
        bias=layer.bias is not None,
        device=layer.weight.device,
    )
    with torch.no_grad():
        new.weight.copy_(weight)
        if layer.bias is not None and new.bias is not None:
            new.bias.copy_(layer.bias)
    return new


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer)
