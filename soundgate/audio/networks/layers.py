"""What the networks of ``models`` are built of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

YAMNET_BATCH_NORM_EPSILON = 1e-4
MINIRESNET_BATCH_NORM_EPSILON = 1.001e-5
"""Of ``keras.applications.resnet``."""


class Pool(nn.Module):
    """Maps ``(batch, channel, mel, frame)`` to embeddings ``(batch, channel)``."""

    def __init__(self, pool: Callable[[Tensor], Tensor]) -> None:
        """Pool with a function that has no weights."""
        super().__init__()
        self._pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        """Embeddings of ``maps``."""
        return self._pool(maps)


def _mean(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


def _max(maps: Tensor) -> Tensor:
    return maps.amax((2, 3))


def _mean_max(maps: Tensor) -> Tensor:
    over_time = maps.mean(2)
    return over_time.mean(2) + over_time.amax(2)


def flatten(maps: Tensor) -> Tensor:
    """Keras's order: bands, frames, channels."""
    return maps.permute(0, 2, 3, 1).flatten(1)


_POOLS = {"avg": _mean, "max": _max, "mean_max": _mean_max}


def pool_of(name: str) -> nn.Module:
    """The pooling of that name, for any size of the maps.

    Raises:
        ConfigError: there is none.
    """
    if name == "flatten":
        raise ConfigError(
            "training.model.pooling: only miniresnet supports flatten; set avg or max"
        )
    if name not in _POOLS:
        raise ConfigError(
            f"training.model.pooling: unknown pooling {name!r}{nearest(name, _POOLS)}"
        )
    return Pool(_POOLS[name])


class _SamePad(nn.Module):
    """Zeros as TensorFlow's SAME lays them: where the total is odd, the last row has one more."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: Tensor) -> Tensor:
        padding: list[int] = []
        for size in (maps.shape[3], maps.shape[2]):
            total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
            padding += [total // 2, total - total // 2]
        return functional.pad(maps, padding)


class ResidualBlock(nn.Module):
    """1x1 and 3x3 convolution beside a shortcut; normalisation after each convolution."""

    def __init__(self, before: int, after: int, *, stride: int, project: bool) -> None:
        """From ``before`` to ``after`` channels; ``project``: the shortcut is a convolution too."""
        super().__init__()
        epsilon = MINIRESNET_BATCH_NORM_EPSILON
        self.body = nn.Sequential(
            convolution(before, after, kernel=1, stride=stride, epsilon=epsilon),
            convolution(after, after, epsilon=epsilon),
        )
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), normalisation(after)
            )
            if project
            else nn.Identity()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(batch, after, mel, frame)``."""
        return torch.relu(self.body(maps) + self.shortcut(maps))


class PreActivationBlock(nn.Module):
    """The same two convolutions, each after normalisation and ReLU (He et al. 2016b)."""

    def __init__(self, before: int, after: int, *, stride: int, project: bool) -> None:
        """From ``before`` to ``after`` channels; ``project``: the shortcut is a convolution too."""
        super().__init__()
        self.activation = nn.Sequential(normalisation(before), nn.ReLU())
        self.body = nn.Sequential(
            convolution(before, after, kernel=1, epsilon=MINIRESNET_BATCH_NORM_EPSILON),
            nn.Conv2d(after, after, 3, stride=stride, padding=1),
        )
        self.project = nn.Conv2d(before, after, 1, stride=stride) if project else None
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """Maps ``(batch, after, mel, frame)``."""
        active = self.activation(maps)
        if self.project is not None:
            shortcut = self.project(active)
        else:
            shortcut = maps[:, :, :: self.stride, :: self.stride]
        total: Tensor = self.body(active) + shortcut
        return total


def convolution(
    before: int, after: int, *, kernel: int = 3, stride: int = 1, epsilon: float = 1e-5
) -> nn.Sequential:
    """Convolution, normalisation, ReLU; zeros all around."""
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after, eps=epsilon),
        nn.ReLU(inplace=True),
    )


def same_convolution(
    before: int, after: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, normalisation, ReLU; padded as TensorFlow's SAME."""
    pad = [_SamePad(kernel, stride)] if kernel > 1 else []
    return nn.Sequential(
        *pad,
        nn.Conv2d(before, after, kernel, stride=stride, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=YAMNET_BATCH_NORM_EPSILON),
        nn.ReLU(inplace=True),
    )


def normalisation(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation of the residual networks."""
    return nn.BatchNorm2d(channels, eps=MINIRESNET_BATCH_NORM_EPSILON)
