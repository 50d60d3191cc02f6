"""The classifiers: one function and one line of ``MODELS`` each.

Every model takes float32 ``(batch, 1, mel, frame)``, standardised log-mel patches, and returns
logits ``(batch, class)``. All pool over time, so any number of frames from ``MIN_FRAMES`` up is
accepted, in training and afterwards alike.
"""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MIN_FRAMES = 16
"""The deepest plain stack of poolings halves an axis four times."""

MIN_MELS = 16

# Kernel stride and output channels of YAMNet's depthwise-separable layers 2 to 14
# (github.com/tensorflow/models, research/audioset/yamnet).
YAMNET_LAYERS = (
    (1, 64),
    (2, 128),
    (1, 128),
    (2, 256),
    (1, 256),
    (2, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (1, 512),
    (2, 1024),
    (1, 1024),
)
# An embedding of this size ends after so many of the layers above.
YAMNET_DEPTH = {256: 5, 512: 11, 1024: 13}
YAMNET_BATCH_NORM_EPSILON = 1e-4
MINIRESNET_BATCH_NORM_EPSILON = 1.001e-5
"""Of ``keras.applications.resnet``."""


def plain(
    n_classes: int, *, width: float = 1.0, pooling: str = "mean_max", dropout: float = 0.2
) -> nn.Module:
    """A small network in the manner of VGG (Simonyan and Zisserman 2015): 99 thousand weights.

    A 5x5 stem of stride 2 and three times 3x3 convolution, batch normalisation, ReLU and 2x2
    maximum pooling; the embedding is the mean over bands, then mean plus maximum over time (PANNs,
    Kong et al. 2020).

    Args:
        n_classes: how many logits.
        width: multiplies the channels 16, 32, 64, 128.
        pooling: from maps to the embedding: "mean_max", "avg" or "max".
        dropout: share of the embedding's values set to zero in training.
    """
    channels = [_scaled(count, width) for count in (16, 32, 64, 128)]
    layers: list[nn.Module] = [_convolution(1, channels[0], kernel=5, stride=2)]
    for before, after in itertools.pairwise(channels):
        layers += [_convolution(before, after), nn.MaxPool2d(2)]
    return _Classifier(nn.Sequential(*layers), _pool(pooling), channels[-1], n_classes, dropout)


def yamnet(
    n_classes: int,
    *,
    embedding_size: int = 256,
    width: float = 1.0,
    pooling: str = "avg",
    dropout: float = 0.2,
) -> nn.Module:
    """YAMNet's depthwise-separable stack (MobileNet v1, Howard et al. 2017), from scratch.

    Padding, strides, and the normalisation's epsilon are those of Google's YAMNet, so that weights
    converted from it fit layer by layer.

    Args:
        n_classes: how many logits.
        embedding_size: 256 ends after YAMNet's layer 6, 512 after layer 12, 1024 after layer 14.
        width: multiplies every layer's channels.
        pooling: from maps to the embedding: "avg", "max" or "mean_max".
        dropout: share of the embedding's values set to zero in training.

    Raises:
        ConfigError: no YAMNet has such an embedding.
    """
    if embedding_size not in YAMNET_DEPTH:
        sizes = ", ".join(map(str, YAMNET_DEPTH))
        raise ConfigError(
            f"training.model.embedding_size: yamnet has {sizes}, not {embedding_size}"
        )
    channels = _scaled(32, width)
    layers: list[nn.Module] = [_same_convolution(1, channels, stride=2)]
    for stride, count in YAMNET_LAYERS[: YAMNET_DEPTH[embedding_size]]:
        after = _scaled(count, width)
        layers.append(_same_convolution(channels, channels, stride=stride, groups=channels))
        layers.append(_same_convolution(channels, after, kernel=1))
        channels = after
    return _Classifier(nn.Sequential(*layers), _pool(pooling), channels, n_classes, dropout)


def miniresnet(  # noqa: PLR0913 - keyword arguments, a line of a config each
    n_classes: int,
    *,
    n_stacks: int = 1,
    version: str = "v1",
    width: float = 1.0,
    pooling: str = "avg",
    dropout: float = 0.2,
    n_mels: int = 64,
    patch_frames: int = 50,
) -> nn.Module:
    """The small residual networks of ST's model zoo, after He et al. 2016.

    A 7x7 stem of stride 2, 3x3 maximum pooling of stride 2, then stacks of two blocks (1x1 and 3x3
    convolution) with 64, 128, 256 channels. Padding, the normalisation's epsilon and the place of
    each activation are those of the model zoo's Keras files.

    Args:
        n_classes: how many logits.
        n_stacks: 1, 2 or 3.
        version: "v1" halves each axis in a stack's first block and normalises after a convolution;
            "v2" normalises before it and halves in a stack's last block.
        width: multiplies every layer's channels.
        pooling: from maps to the embedding: "avg", "max", "mean_max", or "flatten", which keeps
            every value, as the model zoo's networks without pooling do.
        dropout: share of the embedding's values set to zero in training.
        n_mels: bands of a patch; "flatten" alone needs it.
        patch_frames: frames of a patch, fixed by "flatten" alone.

    Raises:
        ConfigError: another number of stacks, another version.
    """
    if n_stacks not in (1, 2, 3):
        raise ConfigError(f"training.model.n_stacks: miniresnet has 1, 2 or 3, not {n_stacks}")
    if version not in ("v1", "v2"):
        raise ConfigError(f"training.model.version: miniresnet has v1 and v2, not {version!r}")
    block = _ResidualBlock if version == "v1" else _PreActivationBlock
    channels = _scaled(64, width)
    stem = nn.Conv2d(1, channels, 7, stride=2, padding=3, bias=version == "v2")
    layers: list[nn.Module] = [stem]
    if version == "v1":
        layers += [_normalisation(channels), nn.ReLU(inplace=True)]
    # Zeros, not minus infinity: what v2 pools may be negative.
    layers.append(nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, stride=2)))
    for stack in range(n_stacks):
        after = _scaled(64 * 2**stack, width)
        strides = (2, 1) if version == "v1" else (1, 2)
        layers.append(block(channels, after, stride=strides[0], project=True))
        layers.append(block(after, after, stride=strides[1], project=False))
        channels = after
    if version == "v2":
        layers += [_normalisation(channels), nn.ReLU(inplace=True)]
    if pooling == "flatten":
        halvings = 2 + n_stacks
        size = channels * _halved(n_mels, halvings) * _halved(patch_frames, halvings)
        return _Classifier(nn.Sequential(*layers), _Pool(_flatten), size, n_classes, dropout)
    return _Classifier(nn.Sequential(*layers), _pool(pooling), channels, n_classes, dropout)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "plain": plain,
    "yamnet": yamnet,
    "miniresnet": miniresnet,
}


def size_of(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``options`` that the model ``name`` knows: its keyword arguments, None left out.

    Raises:
        ConfigError: there is no such model.
    """
    if name not in MODELS:
        raise ConfigError(f"training.model.name: no model {name!r}{nearest(name, MODELS)}")
    known = list(inspect.signature(MODELS[name]).parameters)[1:]
    return {key: options[key] for key in known if options.get(key) is not None}


def build(name: str, n_classes: int, size: Mapping[str, Any]) -> nn.Module:
    """The model ``name`` with fresh weights, drawn from torch's global generator.

    Args:
        name: a key of ``MODELS``.
        n_classes: how many logits.
        size: keyword arguments of the model's function; ``size_of`` picks them from a config.

    Raises:
        ConfigError: there is no such model, or not in that size.
    """
    known = size_of(name, size)
    return MODELS[name](n_classes, **known)


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """``model`` on ``device``, its weights laid out channels last, the faster way on CPUs too."""
    # Torch's type stubs leave the argument out.
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def parameter_count(model: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in model.parameters())


class _Classifier(nn.Module):
    """Features, pooled to one embedding, and a linear layer."""

    def __init__(
        self, features: nn.Module, pool: nn.Module, size: int, n_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.features = features
        self.pool = pool
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(size, n_classes)

    def forward(self, patches: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.pool(self.features(patches))))
        return logits


class _Pool(nn.Module):
    """Maps ``(batch, channel, mel, frame)`` to embeddings ``(batch, channel)``."""

    def __init__(self, pool: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._pool = pool

    def forward(self, maps: Tensor) -> Tensor:
        return self._pool(maps)


def _mean(maps: Tensor) -> Tensor:
    return maps.mean((2, 3))


def _max(maps: Tensor) -> Tensor:
    return maps.amax((2, 3))


def _mean_max(maps: Tensor) -> Tensor:
    over_time = maps.mean(2)
    return over_time.mean(2) + over_time.amax(2)


def _flatten(maps: Tensor) -> Tensor:
    """Keras's order: bands, frames, channels."""
    return maps.permute(0, 2, 3, 1).flatten(1)


_POOLS = {"avg": _mean, "max": _max, "mean_max": _mean_max}


def _pool(name: str) -> nn.Module:
    if name == "flatten":
        raise ConfigError("training.model.pooling: flatten is miniresnet's alone; set avg or max")
    if name not in _POOLS:
        raise ConfigError(f"training.model.pooling: no pooling {name!r}{nearest(name, _POOLS)}")
    return _Pool(_POOLS[name])


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


class _ResidualBlock(nn.Module):
    """1x1 and 3x3 convolution beside a shortcut; normalisation after each convolution."""

    def __init__(self, before: int, after: int, *, stride: int, project: bool) -> None:
        super().__init__()
        epsilon = MINIRESNET_BATCH_NORM_EPSILON
        self.body = nn.Sequential(
            _convolution(before, after, kernel=1, stride=stride, epsilon=epsilon),
            _convolution(after, after, epsilon=epsilon),
        )
        self.shortcut = (
            nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), _normalisation(after)
            )
            if project
            else nn.Identity()
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.body(maps) + self.shortcut(maps))


class _PreActivationBlock(nn.Module):
    """The same two convolutions, each after normalisation and ReLU (He et al. 2016b)."""

    def __init__(self, before: int, after: int, *, stride: int, project: bool) -> None:
        super().__init__()
        self.activation = nn.Sequential(_normalisation(before), nn.ReLU())
        self.body = nn.Sequential(
            _convolution(before, after, kernel=1, epsilon=MINIRESNET_BATCH_NORM_EPSILON),
            nn.Conv2d(after, after, 3, stride=stride, padding=1),
        )
        self.project = nn.Conv2d(before, after, 1, stride=stride) if project else None
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        active = self.activation(maps)
        if self.project is not None:
            shortcut = self.project(active)
        else:
            shortcut = maps[:, :, :: self.stride, :: self.stride]
        total: Tensor = self.body(active) + shortcut
        return total


def _convolution(
    before: int, after: int, *, kernel: int = 3, stride: int = 1, epsilon: float = 1e-5
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after, eps=epsilon),
        nn.ReLU(inplace=True),
    )


def _same_convolution(
    before: int, after: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    pad = [_SamePad(kernel, stride)] if kernel > 1 else []
    return nn.Sequential(
        *pad,
        nn.Conv2d(before, after, kernel, stride=stride, groups=groups, bias=False),
        nn.BatchNorm2d(after, eps=YAMNET_BATCH_NORM_EPSILON),
        nn.ReLU(inplace=True),
    )


def _normalisation(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=MINIRESNET_BATCH_NORM_EPSILON)


def _halved(size: int, times: int) -> int:
    """What is left of an axis after so many layers of stride 2, each of which rounds up."""
    return -(-size // (1 << times))


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
