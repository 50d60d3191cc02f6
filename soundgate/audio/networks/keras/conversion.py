"""From a Keras file's tensors to a network of ``models``, layer by layer.

Kernels are turned from Keras's order to torch's, a bias before a normalisation is taken into its
mean, and YAMNet's, which sees patches ``(frame, mel)``, are transposed. Every tensor of the
backbone is used; a classifier that the file still carries is left out and named.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from soundgate.audio.networks import models
from soundgate.audio.networks.keras import layouts
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.networks.keras.keras_file import KerasFile, Layer, Tensor
    from soundgate.audio.networks.keras.layouts import Expected, Layout

FIELD = "training.model"
_POOLINGS = {"GlobalAveragePooling2D": "avg", "GlobalMaxPooling2D": "max"}
_HEAD = {*_POOLINGS, "Flatten", "Dropout", "Dense", "Activation", "Softmax"}
# What Keras's layers do where a file does not say otherwise; the networks do no other.
_FIXED = {
    "dilation_rate": (1, 1),
    "groups": 1,
    "activation": "linear",
    "data_format": "channels_last",
}
_CHECKED = {"Conv2D", "DepthwiseConv2D"}


@dataclass(frozen=True)
class Identity:
    """What a file turned out to be."""

    architecture: str
    size: dict[str, Any]
    """Values of ``training.model`` that a network for it needs."""
    n_mels: int
    patch_frames: int


def identify(file: KerasFile) -> Identity:
    """Which network the file is of, by the names of its layers.

    Raises:
        ConfigError: it is of none of the architectures.
    """
    names = file.layers.keys()
    shape = file.input_shape
    if len(shape) == 3 and shape[2] == 1 and shape[0] and shape[1]:
        if "layer1/conv" in names:
            depth = max(int(found[1]) for name in names if (found := _YAMNET.match(name)))
            sizes = {layers + 1: size for size, layers in models.YAMNET_DEPTH.items()}
            if depth in sizes:
                size: dict[str, Any] = {"embedding_size": sizes[depth], "width": 1.0}
                return Identity("yamnet", size, n_mels=shape[1], patch_frames=shape[0])
        stacks = {found[1] for name in names if (found := _STACK.match(name))}
        if "conv1_conv" in names and len(stacks) in (1, 2, 3):
            version = "v2" if "post_bn" in names else "v1"
            size = {"n_stacks": len(stacks), "version": version, "width": 1.0}
            if pooling := _pooling(file):
                size["pooling"] = pooling
            return Identity("miniresnet", size, n_mels=shape[0], patch_frames=shape[1])
    first = next(iter(names), "none")
    raise ConfigError(
        f"{FIELD}.pretrained_weights: {file.path} is not a YAMNet or MiniResNet of the STM32 "
        f"model zoo (first layer {first!r}, input {shape}): give such a file or train from scratch"
    )


_YAMNET = re.compile(r"layer(\d+)/")
_STACK = re.compile(r"(conv\d+)_block1_")


def _pooling(file: KerasFile) -> str | None:
    kinds = (layer.kind for layer in file.layers.values())
    return next((_POOLINGS[kind] for kind in kinds if kind in _POOLINGS), None)


def load(file: KerasFile, identity: Identity, network: nn.Module) -> tuple[str, ...]:
    """Give ``network``, built for ``identity``, the backbone's numbers; its head stays.

    Returns:
        Names of the tensors that belong to a classifier of the file and were left out.

    Raises:
        DataError: a layer is missing, wired or set differently, or a tensor has another shape.
    """
    if identity.architecture == "yamnet":
        layout = layouts.yamnet(identity.size["embedding_size"])
    else:
        layout = layouts.miniresnet(identity.size["n_stacks"], identity.size["version"])
    layers = _canonical(file)
    for name, expected in layout.layers.items():
        _compare(file.path, name, layers.get(name), expected)
    left_out = _left_out(file.path, layers, layout)
    used = _fill(file.path, layers, layout, network)
    for name in layout.layers:
        for short in layers[name].weights:
            if (name, short) not in used:
                raise DataError(
                    f"{file.path}: tensor {name}/{short} does not belong to the network: fetch "
                    "the file again"
                )
    return left_out


def _canonical(file: KerasFile) -> dict[str, Layer]:
    """The layers by the layouts' names: 1x1 poolings are numbered by Keras as they come."""
    renamed = {
        name: layouts.subsampling(layer.inputs[0])
        for name, layer in file.layers.items()
        if layer.kind == "MaxPooling2D" and _pair(layer.config.get("pool_size")) == (1, 1)
    }
    return {
        renamed.get(name, name): type(layer)(
            renamed.get(name, name),
            layer.kind,
            layer.config,
            tuple(renamed.get(source, source) for source in layer.inputs) or (layouts.INPUT,),
            layer.weights,
        )
        for name, layer in file.layers.items()
    }


def _compare(path: Path, name: str, layer: Layer | None, expected: Expected) -> None:
    if layer is None:
        raise DataError(f"{path}: no layer {name!r}: the file is incomplete, fetch it again")
    kind = layer.kind
    if kind in ("ReLU", "Activation"):
        kind = layouts.RELU if _is_relu(layer) else kind
    found: dict[str, Any] = {"kind": kind, "inputs": layer.inputs}
    wanted: dict[str, Any] = {"kind": expected.kind, "inputs": expected.inputs}
    wanted |= expected.settings | (_FIXED if expected.kind in _CHECKED else {})
    for key in wanted.keys() - found.keys():
        found[key] = _plain(layer.config.get(key, _FIXED.get(key)), key)
    if expected.kind == "Add":  # addition does not mind the order
        found["inputs"], wanted["inputs"] = sorted(found["inputs"]), sorted(wanted["inputs"])
    for key, value in wanted.items():
        if found[key] != value:
            raise DataError(
                f"{path}: layer {name!r} has {key} {found[key]}, not {value}: the file is of "
                "another network than its name says; use the model zoo's own file"
            )


def _is_relu(layer: Layer) -> bool:
    config = layer.config
    if layer.kind == "Activation":
        return config.get("activation") == "relu"
    return (
        config.get("max_value") is None
        and not config.get("negative_slope")
        and not config.get("threshold")
    )


def _plain(value: Any, key: str) -> Any:
    """JSON has lists where Python compares tuples; an axis stands in a list, or alone."""
    if key == "axis" and isinstance(value, list) and len(value) == 1:
        value = value[0]
    if key == "axis" and value == -1:
        return 3
    if key == "strides" and value is None:
        return None
    return _pair(value)


def _pair(value: Any) -> Any:
    return tuple(_pair(item) for item in value) if isinstance(value, list) else value


def _left_out(path: Path, layers: dict[str, Layer], layout: Layout) -> tuple[str, ...]:
    """Tensors behind the backbone; DataError where something else stands there."""
    names: list[str] = []
    for name, layer in layers.items():
        if name in layout.layers:
            continue
        if layer.kind not in _HEAD:
            raise DataError(
                f"{path}: layer {name!r} ({layer.kind}) does not belong to the backbone: use the "
                "model zoo's own file"
            )
        names += [f"{name}/{short}" for short in layer.weights]
    return tuple(names)


def _fill(
    path: Path, layers: dict[str, Layer], layout: Layout, network: nn.Module
) -> set[tuple[str, str]]:
    """Copy every tensor; return which were copied."""
    body = network.get_submodule("features")
    convolutions = [m for m in body.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in body.modules() if isinstance(m, nn.BatchNorm2d)]
    used: set[tuple[str, str]] = set()
    biases: dict[str, Tensor] = {}
    for name, convolution in zip(layout.convolutions, convolutions, strict=True):
        weights = layers[name].weights
        short = "depthwise_kernel" if layers[name].kind == "DepthwiseConv2D" else "kernel"
        kernel = _kernel(path, name, weights.get(short), frames_first=layout.frames_first)
        _copy(path, f"{name}/{short}", convolution.weight, kernel)
        used.add((name, short))
        if (bias := weights.get("bias")) is not None:
            used.add((name, "bias"))
            if convolution.bias is None:
                biases[name] = bias
            else:
                _copy(path, f"{name}/bias", convolution.bias, bias)
    for name, norm in zip(layout.normalisations, norms, strict=True):
        weights = dict(layers[name].weights)
        # y = (x + bias - mean) ... : the mean of what comes in without the bias.
        bias = biases.pop(layout.layers[name].inputs[0], None)
        if bias is not None and "moving_mean" in weights:
            weights["moving_mean"] = weights["moving_mean"] - bias
        used |= _normalise(path, name, norm, weights)
    assert not biases, "a bias stands before a normalisation, or its convolution has one"
    return used


def _kernel(path: Path, name: str, kernel: Tensor | None, *, frames_first: bool) -> Tensor:
    """Keras's ``(height, width, in, out)`` as torch's ``(out, in, mel, frame)``.

    A depthwise kernel is ``(height, width, channel, 1)``, in torch ``(channel, 1, mel, frame)``.
    """
    if kernel is None or kernel.ndim != 4:
        raise DataError(f"{path}: layer {name!r} has no kernel: fetch the file again")
    spatial = (1, 0) if frames_first else (0, 1)
    channels = (2, 3) if name.endswith("depthwise_conv") else (3, 2)
    return kernel.transpose(*channels, *spatial)


def _normalise(
    path: Path, name: str, norm: nn.BatchNorm2d, weights: dict[str, Tensor]
) -> set[tuple[str, str]]:
    size = norm.num_features
    assert norm.running_mean is not None
    assert norm.running_var is not None
    targets = {
        "gamma": (norm.weight, np.ones(size, np.float32)),
        "beta": (norm.bias, np.zeros(size, np.float32)),
        "moving_mean": (norm.running_mean, None),
        "moving_variance": (norm.running_var, None),
    }
    for short, (target, otherwise) in targets.items():
        value = weights.get(short, otherwise)
        if value is None:
            raise DataError(f"{path}: layer {name!r} has no {short}: fetch the file again")
        _copy(path, f"{name}/{short}", target, value)
    return {(name, short) for short in targets}


def _copy(path: Path, name: str, target: torch.Tensor, value: Tensor) -> None:
    if tuple(target.shape) != value.shape:
        raise DataError(
            f"{path}: tensor {name} has shape {value.shape}, the network's {tuple(target.shape)}: "
            "use the model zoo's own file"
        )
    with torch.no_grad():
        target.copy_(torch.from_numpy(np.ascontiguousarray(value)))
