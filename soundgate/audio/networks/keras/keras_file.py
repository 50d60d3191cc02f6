"""A Keras ``.h5`` model as data: its layers, how they are wired, and every tensor.

Written by Keras 2 (``model.save("x.h5")``): the architecture is JSON in an attribute, the weights
are HDF5 data sets. Nothing of the file is executed; TensorFlow is not needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Tensor = npt.NDArray[np.float32]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CONTAINERS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True)
class Layer:
    """A layer of the file."""

    name: str
    kind: str
    """Keras's class name, such as ``Conv2D``."""
    config: dict[str, Any]
    inputs: tuple[str, ...]
    """Names of the layers whose outputs it takes."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """By Keras's own short names: ``kernel``, ``bias``, ``beta``, ``moving_mean`` ..."""


@dataclass(frozen=True)
class KerasFile:
    """What a file holds."""

    path: Path
    layers: dict[str, Layer]
    """By name, in the file's order; models within the model are taken apart."""
    input_shape: tuple[int | None, ...]
    """Of one example, such as ``(96, 64, 1)``."""


def is_keras_file(path: Path) -> bool:
    """Whether ``path`` is an HDF5 file, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


def read(path: Path) -> KerasFile:
    """Read a file whole.

    Raises:
        MissingExtra: h5py is not installed.
        DataError: the file cannot be read, is damaged, or was not written by Keras 2.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra(
            f"{path}: reading a Keras .h5 file needs h5py: pip install 'soundgate[audio]'"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            if text is None or "model_weights" not in file:
                raise DataError(
                    f"{path}: contains no Keras model with its architecture: save it with "
                    "model.save('x.h5'), not save_weights"
                )
            tensors = _tensors(path, file["model_weights"], h5py.Dataset)
        layers: dict[str, Layer] = {}
        shape, _ = _take_apart(json.loads(text), layers, ())
        return KerasFile(path, _with_weights(path, layers, tensors), shape)
    except OSError as error:
        raise DataError(
            f"{path}: is damaged or not an HDF5 file: fetch it again ({error})"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise DataError(
            f"{path}: is damaged, or not written by Keras 2: fetch it again ({error!r})"
        ) from error


def _tensors(path: Path, root: Any, dataset: Any) -> dict[str, Tensor]:
    """Every data set of the file by Keras's name of it, ``layer1/conv/kernel:0``."""
    found: dict[str, Tensor] = {}
    stored: set[str] = set()
    listed: set[str] = set()

    def visit(_name: str, item: Any) -> None:
        if isinstance(item, dataset):
            stored.add(item.name)
            return
        for entry in item.attrs.get("weight_names", ()):
            name = entry.decode() if isinstance(entry, bytes) else str(entry)
            tensor = item[name]
            found[name] = np.asarray(tensor[()], np.float32)
            listed.add(tensor.name)

    root.visititems(visit)
    for name in sorted(stored - listed):
        raise DataError(
            f"{path}: tensor {name} is not in the list of weights: fetch the file again"
        )
    return found


def _take_apart(
    model: dict[str, Any], layers: dict[str, Layer], inputs: tuple[str, ...]
) -> tuple[tuple[int | None, ...], tuple[str, ...]]:
    """Add the layers of ``model``, fed by ``inputs``; return an example's shape and the outputs."""
    shape: tuple[int | None, ...] = ()
    outputs: dict[str, tuple[str, ...]] = {}
    previous = inputs
    for entry in model["config"]["layers"]:
        config, kind = entry["config"], entry["class_name"]
        name = config["name"]
        nodes = entry.get("inbound_nodes")
        sources = _sources(nodes, outputs) if nodes else previous
        if kind in _CONTAINERS:
            inner, outputs[name] = _take_apart(entry, layers, sources)
            shape = shape or inner
        elif kind == "InputLayer":
            shape = shape or tuple(config["batch_input_shape"][1:])
            outputs[name] = inputs
        elif name in layers:
            raise ValueError(f"layer {name!r} appears twice")
        else:
            layers[name] = Layer(name, kind, config, sources)
            outputs[name] = (name,)
        previous = outputs[name]
    ends = model["config"].get("output_layers")
    return shape, outputs[ends[0][0]] if ends else previous


def _sources(nodes: list[Any], outputs: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names of what a layer of a functional model takes; an input stands for what feeds it."""
    if len(nodes) != 1:
        raise ValueError("a layer is used more than once")
    return tuple(name for node in nodes[0] for name in outputs[node[0]])


def _with_weights(
    path: Path, layers: dict[str, Layer], tensors: dict[str, Tensor]
) -> dict[str, Layer]:
    for full, tensor in tensors.items():
        name, _, short = full.rpartition("/")
        layer = layers.get(name)
        if layer is None:
            raise DataError(f"{path}: tensor {full} belongs to no layer: fetch the file again")
        if not np.isfinite(tensor).all():
            raise DataError(f"{path}: tensor {full} is not finite: fetch the file again")
        layer.weights[short.partition(":")[0]] = tensor
    return layers
