"""The classifiers: one function and one line of ``MODELS`` each.

Every model takes float32 ``(batch, 1, mel, frame)``, standardised log-mel patches, and returns
logits ``(batch, class)``. All pool over time, so any number of frames from ``MIN_FRAMES`` up is
accepted, in training and afterwards alike.
"""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from soundgate.audio.networks.layers import (
    Pool,
    PreActivationBlock,
    ResidualBlock,
    convolution,
    flatten,
    normalisation,
    pool_of,
    same_convolution,
)
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Network = TypeVar("Network", bound=nn.Module)

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
    layers: list[nn.Module] = [convolution(1, channels[0], kernel=5, stride=2)]
    for before, after in itertools.pairwise(channels):
        layers += [convolution(before, after), nn.MaxPool2d(2)]
    return _Classifier(nn.Sequential(*layers), pool_of(pooling), channels[-1], n_classes, dropout)


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
    layers: list[nn.Module] = [same_convolution(1, channels, stride=2)]
    for stride, count in YAMNET_LAYERS[: YAMNET_DEPTH[embedding_size]]:
        after = _scaled(count, width)
        layers.append(same_convolution(channels, channels, stride=stride, groups=channels))
        layers.append(same_convolution(channels, after, kernel=1))
        channels = after
    return _Classifier(nn.Sequential(*layers), pool_of(pooling), channels, n_classes, dropout)


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
    block = ResidualBlock if version == "v1" else PreActivationBlock
    channels = _scaled(64, width)
    stem = nn.Conv2d(1, channels, 7, stride=2, padding=3, bias=version == "v2")
    layers: list[nn.Module] = [stem]
    if version == "v1":
        layers += [normalisation(channels), nn.ReLU(inplace=True)]
    # Zeros, not minus infinity: what v2 pools may be negative.
    layers.append(nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, stride=2)))
    for stack in range(n_stacks):
        after = _scaled(64 * 2**stack, width)
        strides = (2, 1) if version == "v1" else (1, 2)
        layers.append(block(channels, after, stride=strides[0], project=True))
        layers.append(block(after, after, stride=strides[1], project=False))
        channels = after
    if version == "v2":
        layers += [normalisation(channels), nn.ReLU(inplace=True)]
    if pooling == "flatten":
        halvings = 2 + n_stacks
        size = channels * _halved(n_mels, halvings) * _halved(patch_frames, halvings)
        return _Classifier(nn.Sequential(*layers), Pool(flatten), size, n_classes, dropout)
    return _Classifier(nn.Sequential(*layers), pool_of(pooling), channels, n_classes, dropout)


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
        raise ConfigError(f"training.model.name: unknown model {name!r}{nearest(name, MODELS)}")
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


def to_device(model: Network, device: torch.device) -> Network:
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


def _halved(size: int, times: int) -> int:
    """What is left of an axis after so many layers of stride 2, each of which rounds up."""
    return -(-size // (1 << times))


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
