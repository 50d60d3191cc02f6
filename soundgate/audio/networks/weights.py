"""Weights that were trained before, by the path of a file or a folder; nothing is fetched."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from soundgate.audio.files.digests import sha256_of
from soundgate.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FIELD = "weights"
REFUSE, NEW_HEAD = "refuse", "new_head"
OTHER_LABELS = (REFUSE, NEW_HEAD)
"""What is done with weights whose last layer does not fit: refuse them, or start a new head."""

_PICKLES = (".pth", ".pt", ".bin", ".ckpt")
_INDEX = "model.safetensors.index.json"
_IN_FOLDER = ("model.safetensors", _INDEX, "pytorch_model.bin")
# What a file of a whole training keeps its weights under.
_ENVELOPES = ("state_dict", "model", "model_state_dict")
_SHOWN = 4
_FIX = "set network to what the file was saved from"


@dataclass(frozen=True)
class Origin:
    """Which weights a tagger started from."""

    path: str
    sha256: str
    """Of the file; of a folder, of the file with the weights or the index of them."""
    head: bool
    """Whether the last layer was taken over too."""
    left_out: tuple[str, ...] = ()
    """Weights of the file that were not taken over."""
    new: tuple[str, ...] = ()
    """Weights of the backbone that the file lacks and that begin fresh."""


def file_of(path: Path) -> Path:
    """The file that holds the weights of ``path``: itself, or the one in a transformers folder.

    Raises:
        ConfigError: there is none.
    """
    if path.is_dir():
        for name in _IN_FOLDER:
            if (path / name).is_file():
                return path / name
        raise ConfigError(f"{FIELD}: {path} holds none of {', '.join(_IN_FOLDER)}")
    if not path.is_file():
        raise ConfigError(
            f"{FIELD}: {path} does not exist; give a .pth or .safetensors file, or a folder that "
            "save_pretrained wrote"
        )
    return path


def digest(path: Path) -> str:
    """SHA-256 of the file that holds the weights.

    Raises:
        ConfigError: there is none.
        DataError: it cannot be read.
    """
    return sha256_of(file_of(path))


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file or a folder, on the CPU; code in it is never run.

    Raises:
        ConfigError: there is no such file, or it is of another kind.
        DataError: it is damaged, holds something other than tensors, or would run code.
    """
    file = file_of(path)
    if file.name == _INDEX:
        return _read_parts(file)
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    if file.suffix not in _PICKLES:
        kinds = (*_PICKLES, ".safetensors")
        raise ConfigError(
            f"{FIELD}: {file} is none of {', '.join(kinds)}{nearest(file.suffix, kinds)}"
        )
    return _read_pickle(file)


def check(
    path: Path,
    given: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    *,
    may_lack: Collection[str] = (),
    field: str = FIELD,
    fix: str = _FIX,
) -> None:
    """Compare the weights of a file with those of a network, by name and shape.

    Args:
        path: the file.
        given: its weights.
        wanted: those of the network.
        may_lack: names that the file need not have.
        field: what of the user's settings names the file.
        fix: what to do where they differ.

    Raises:
        ConfigError: some are missing, unexpected or of another shape; one line names them.
    """
    missing = sorted(wanted.keys() - given.keys() - set(may_lack))
    unexpected = sorted(given.keys() - wanted.keys())
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & given.keys())
        if given[name].shape != wanted[name].shape
    ]
    refuse(path, missing, unexpected, shapes, field=field, fix=fix)


def refuse(
    path: Path,
    missing: Collection[str],
    unexpected: Collection[str],
    shapes: Collection[str],
    *,
    field: str = FIELD,
    fix: str = _FIX,
) -> None:
    """Raise where anything is listed.

    Raises:
        ConfigError: one line that names what is missing, unexpected or of another shape.
    """
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
    faults = [f"{kind}: {_some(names)}" for kind, names in kinds if names]
    if faults:
        raise ConfigError(f"{field}: {path} does not fit the network: {'; '.join(faults)}; {fix}")


def refuse_labels(path: Path, found: str, labels: int) -> ConfigError:
    """What to raise for weights whose last layer cannot be taken over."""
    return ConfigError(
        f"{FIELD}: {path} has {found}, which does not fit a head for {labels} label(s); set "
        f"other_labels to {NEW_HEAD} to start a new head, or head to LINEAR where the labels agree"
    )


def _read_parts(index: Path) -> dict[str, Tensor]:
    try:
        names = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{index}: no list of weights: {_line(error)}; save it again") from error
    tensors: dict[str, Tensor] = {}
    for name in names:
        tensors |= _read_safetensors(index.parent / Path(name).name)
    return tensors


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{file}: cannot be read: {_line(error)}; copy it again") from error


def _read_pickle(file: Path) -> dict[str, Tensor]:
    try:
        found: Any = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{file}: holds more than weights, which would run code; load it where you trust it "
            "and save its state_dict() alone"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise DataError(f"{file}: cannot be read: {_line(error)}; copy it again") from error
    for name in _ENVELOPES:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise DataError(f"{file}: holds no state_dict; save that of the network alone")
    return {str(name): value for name, value in found.items()}


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]
