"""The Keras layers of each architecture, as the files of the STM32 model zoo have them.

A layout says of every layer what kind it is, its settings, and what it takes. A file that agrees
with one computes what the network of ``models`` computes with the same numbers.

Sources: YAMNet of github.com/tensorflow/models (research/audioset/yamnet); MiniResNet and
MiniResNetV2 of the STM32 model zoo, built on ``keras.applications.resnet``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.networks.layers import MINIRESNET_BATCH_NORM_EPSILON, YAMNET_BATCH_NORM_EPSILON
from soundgate.audio.networks.models import YAMNET_DEPTH, YAMNET_LAYERS

if TYPE_CHECKING:
    from collections.abc import Mapping

INPUT: Final = ""
"""What a layer takes that takes the patch itself."""

RELU: Final = "relu"
_SAME, _VALID = "same", "valid"


@dataclass(frozen=True)
class Expected:
    """A layer that a file must have."""

    kind: str
    settings: dict[str, Any]
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """All layers of a backbone, up to the maps that are pooled or flattened."""

    layers: Mapping[str, Expected]
    convolutions: tuple[str, ...]
    """In the order of the network's own convolutions."""
    normalisations: tuple[str, ...]
    """In the order of the network's own normalisations."""
    last: str
    """The layer that gives the maps."""
    frames_first: bool
    """Whether the file sees patches ``(frame, mel)``; the networks see ``(mel, frame)``."""


class _Builder:
    def __init__(self) -> None:
        self.layers: dict[str, Expected] = {}
        self.last = INPUT

    def add(self, name: str, kind: str, *inputs: str, **settings: Any) -> str:
        self.layers[name] = Expected(kind, settings, inputs or (self.last,))
        self.last = name
        return name

    def convolution(
        self,
        name: str,
        filters: int,
        *inputs: str,
        kernel: int,
        stride: int = 1,
        padding: str = _VALID,
        bias: bool,
    ) -> str:
        settings: dict[str, Any] = {
            "filters": filters,
            "kernel_size": (kernel, kernel),
            "strides": (stride, stride),
            "padding": padding,
            "use_bias": bias,
        }
        return self.add(name, "Conv2D", *inputs, **settings)

    def layout(self, *, frames_first: bool, order: list[str]) -> Layout:
        kinds = {name: self.layers[name].kind for name in order}
        return Layout(
            self.layers,
            tuple(name for name in order if kinds[name].endswith("Conv2D")),
            tuple(name for name in order if kinds[name] == "BatchNormalization"),
            self.last,
            frames_first,
        )


def yamnet(embedding_size: int) -> Layout:
    """YAMNet's first layers, to an embedding of 256, 512 or 1024."""
    net = _Builder()

    def finish(name: str) -> None:
        net.add(f"{name}/bn", "BatchNormalization", epsilon=YAMNET_BATCH_NORM_EPSILON, axis=3)
        # The first layer's activation alone is named without its convolution.
        net.add(f"{name.removesuffix('/conv')}/relu", RELU)

    net.convolution("layer1/conv", 32, kernel=3, stride=2, padding=_SAME, bias=False)
    finish("layer1/conv")
    for number, (stride, count) in enumerate(YAMNET_LAYERS[: YAMNET_DEPTH[embedding_size]], 2):
        name = f"layer{number}/depthwise_conv"
        settings = {"kernel_size": (3, 3), "strides": (stride, stride), "depth_multiplier": 1}
        net.add(name, "DepthwiseConv2D", padding=_SAME, use_bias=False, **settings)
        finish(name)
        name = f"layer{number}/pointwise_conv"
        net.convolution(name, count, kernel=1, padding=_SAME, bias=False)
        finish(name)
    return net.layout(frames_first=True, order=list(net.layers))


def miniresnet(n_stacks: int, version: str) -> Layout:
    """The model zoo's residual networks."""
    net = _Builder()
    net.add("conv1_pad", "ZeroPadding2D", padding=((3, 3), (3, 3)))
    net.convolution("conv1_conv", 64, kernel=7, stride=2, bias=True)
    order = ["conv1_conv"]
    if version == "v1":
        order.append(_normalisation(net, "conv1_bn"))
        net.add("conv1_relu", RELU)
    net.add("pool1_pad", "ZeroPadding2D", padding=((1, 1), (1, 1)))
    net.add("pool1_pool", "MaxPooling2D", pool_size=(3, 3), strides=(2, 2), padding=_VALID)
    for stack in range(n_stacks):
        name, count = f"conv{stack + 2}_block", 64 * 2**stack
        if version == "v1":
            order += _block_v1(net, f"{name}1", count, stride=2, project=True)
            order += _block_v1(net, f"{name}2", count, stride=1, project=False)
        else:
            order += _block_v2(net, f"{name}1", count, stride=1, project=True)
            order += _block_v2(net, f"{name}2", count, stride=2, project=False)
    if version == "v2":
        order.append(_normalisation(net, "post_bn"))
        net.add("post_relu", RELU)
    return net.layout(frames_first=False, order=order)


def _normalisation(net: _Builder, name: str, *inputs: str) -> str:
    epsilon = MINIRESNET_BATCH_NORM_EPSILON
    return net.add(name, "BatchNormalization", *inputs, epsilon=epsilon, axis=3)


def _block_v1(net: _Builder, name: str, count: int, *, stride: int, project: bool) -> list[str]:
    shortcut = net.last
    net.convolution(f"{name}_1_conv", count, kernel=1, stride=stride, bias=True)
    _normalisation(net, f"{name}_1_bn")
    net.add(f"{name}_1_relu", RELU)
    net.convolution(f"{name}_2_conv", count, kernel=3, padding=_SAME, bias=True)
    _normalisation(net, f"{name}_2_bn")
    body = net.add(f"{name}_2_relu", RELU)
    order = [f"{name}_{part}_{kind}" for part in (1, 2) for kind in ("conv", "bn")]
    if project:
        net.convolution(f"{name}_0_conv", count, shortcut, kernel=1, stride=stride, bias=True)
        shortcut = _normalisation(net, f"{name}_0_bn")
        order += [f"{name}_0_conv", shortcut]
    net.add(f"{name}_add", "Add", shortcut, body)
    net.add(f"{name}_out", RELU)
    return order


def _block_v2(net: _Builder, name: str, count: int, *, stride: int, project: bool) -> list[str]:
    shortcut = net.last
    _normalisation(net, f"{name}_preact_bn")
    active = net.add(f"{name}_preact_relu", RELU)
    net.convolution(f"{name}_1_conv", count, kernel=1, bias=False)
    _normalisation(net, f"{name}_1_bn")
    net.add(f"{name}_1_relu", RELU)
    net.add(f"{name}_2_pad", "ZeroPadding2D", padding=((1, 1), (1, 1)))
    body = net.convolution(f"{name}_2_conv", count, kernel=3, stride=stride, bias=True)
    order = [f"{name}_{part}" for part in ("preact_bn", "1_conv", "1_bn", "2_conv")]
    if project:
        shortcut = net.convolution(f"{name}_0_conv", count, active, kernel=1, bias=True)
        order.append(shortcut)
    elif stride > 1:
        # Keras numbers this layer; here it is called after what it takes.
        shortcut = net.add(
            subsampling(shortcut), "MaxPooling2D", shortcut,
            pool_size=(1, 1), strides=(stride, stride), padding=_VALID,
        )  # fmt: skip
    net.add(f"{name}_out", "Add", shortcut, body)
    return order


def subsampling(source: str) -> str:
    """What a 1x1 maximum pooling of ``source`` is called here."""
    return f"{source} subsampled"
