"""Residual networks (He et al. 2016), their layers under the names of ANIMAL-SPOT's encoders.

For images of one channel. A stem of stride 2, then four stages of which the last three halve each
axis; a bottleneck has its stride in the 3x3 convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from soundgate.audio.networks.steps import Steps
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTHS: Final[dict[int, tuple[int, int, int, int]]] = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks of each stage, by the number of layers. 10 is none of ANIMAL-SPOT's: for CPUs."""

_BOTTLENECKS_FROM: Final = 50
_EXPANSION: Final = 4
_POOLED, _STRIDED, _WIDE = 1, 0, 2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    expansion = 1

    def __init__(self, before: int, width: int, stride: int) -> None:
        """From ``before`` to ``width`` channels."""
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(before, width, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (image, width, frame, bin)."""
        body = torch.relu(self.bn1(self.conv1(maps)))
        return torch.relu(self.bn2(self.conv2(body)) + _passed(self.shortcut, maps))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    expansion = _EXPANSION

    def __init__(self, before: int, width: int, stride: int) -> None:
        """From ``before`` to four times ``width`` channels."""
        super().__init__()
        after = width * self.expansion
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.shortcut = _shortcut(before, after, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (image, 4 x width, frame, bin)."""
        body = torch.relu(self.bn1(self.conv1(maps)))
        body = torch.relu(self.bn2(self.conv2(body)))
        return torch.relu(self.bn3(self.conv3(body)) + _passed(self.shortcut, maps))


class ResidualEncoder(nn.Module):
    """Images to one embedding each; ``size`` is that of the embeddings."""

    takes_lengths = False
    least_frames = 1
    """Its convolutions are padded: one frame is enough."""

    def __init__(
        self,
        layers: int = 18,
        *,
        width: int = 64,
        kernel: int = 7,
        max_pool: int = _POOLED,
        pooling: str = "avg",
    ) -> None:
        """Build it with fresh weights.

        Args:
            layers: a key of ``DEPTHS``.
            width: channels of the stem and the first stage; the later ones have 2, 4 and 8 times
                as many.
            kernel: size of the stem's convolution, odd.
            max_pool: what follows the stem: 1 a 3x3 maximum of stride 2, 0 a first stage of stride
                2, 2 neither.
            pooling: over the last maps: ``avg`` or ``max``.

        Raises:
            ConfigError: one of them is unknown.
        """
        super().__init__()
        _check(layers, kernel, max_pool, pooling)
        block = Bottleneck if layers >= _BOTTLENECKS_FROM else BasicBlock
        self.conv1 = nn.Conv2d(1, width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if max_pool == _POOLED else nn.Identity()
        before, strides = width, (2 if max_pool == _STRIDED else 1, 2, 2, 2)
        for number, (count, stride) in enumerate(zip(DEPTHS[layers], strides, strict=True)):
            stage = list(_stage(block, before, width << number, count, stride))
            self.add_module(f"layer{number + 1}", nn.Sequential(*stage))
            before = (width << number) * block.expansion
        self.size, self.pooling = before, pooling
        _draw(self)

    def maps(self, images: Tensor) -> Tensor:
        """The last maps (image, size, frame, bin) of images float32 (image, 1, frame, bin)."""
        maps: Tensor = self.pool(torch.relu(self.bn1(self.conv1(images))))
        for number in range(1, 5):
            maps = self.get_submodule(f"layer{number}")(maps)
        return maps

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Steps:
        """Embed images float32 (image, 1, frame, bin), all of whose frames count."""
        del frames
        maps = self.maps(images)
        pooled = maps.mean((2, 3)) if self.pooling == "avg" else maps.amax((2, 3))
        return Steps(pooled.unsqueeze(1))


def _stage(
    block: type[BasicBlock | Bottleneck], before: int, width: int, count: int, stride: int
) -> Iterator[nn.Module]:
    for number in range(count):
        yield block(before, width, 1 if number else stride)
        before = width * block.expansion


def _shortcut(before: int, after: int, stride: int) -> nn.Module | None:
    if stride == 1 and before == after:
        return None
    projection = nn.Conv2d(before, after, 1, stride=stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(after))


def _passed(shortcut: nn.Module | None, maps: Tensor) -> Tensor:
    if shortcut is None:
        return maps
    passed: Tensor = shortcut(maps)
    return passed


def _draw(network: nn.Module) -> None:
    """Fresh convolutions after He et al. 2015, for the ReLUs that follow."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _check(layers: int, kernel: int, max_pool: int, pooling: str) -> None:
    if layers not in DEPTHS:
        known = ", ".join(map(str, DEPTHS))
        raise ConfigError(f"model.name: there is no ResNet of {layers} layers; choose {known}")
    if kernel < 1 or kernel % 2 == 0:
        raise ConfigError(f"model.conv_kernel_size: give an odd number, not {kernel}")
    if max_pool not in (_POOLED, _STRIDED, _WIDE):
        raise ConfigError(f"model.max_pool: give 0, 1 or 2, not {max_pool}")
    if pooling not in ("avg", "max"):
        raise ConfigError(f"model.pooling: give avg or max, not {pooling!r}")
