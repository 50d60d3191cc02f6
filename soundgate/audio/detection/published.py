"""Models that ANIMAL-SPOT saved (``.pk``): read as numbers, no code in them is run.

Such a file is a dictionary: options of encoder, classifier and data, the weights of both, and the
classes with their numbers. It does not say how its images were normalised.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from soundgate.audio.formats.models.detector import NOISE
from soundgate.audio.networks.detector import (
    CLASSIFIER,
    ENCODER,
    DetectorSettings,
)
from soundgate.audio.signal.front_ends.detector_settings import DetectorFrontEndSettings
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PARTS: Final = (
    ("encoderOpts", "encoder options"),
    ("classifierOpts", "classifier options"),
    ("dataOpts", "data options"),
    ("encoderState", "encoder weights"),
    ("classifierState", "classifier weights"),
)
_BINARY: Final = {NOISE: 0, "target": 1}
_FRONT_END: Final = {
    "sr": "sample_rate_hz",
    "preemphases": "pre_emphasis",
    "n_fft": "n_fft",
    "hop_length": "hop_length",
    "fmin": "fmin_hz",
    "fmax": "fmax_hz",
    "freq_compression": "freq_compression",
    "min_level_db": "min_level_db",
    "ref_level_db": "ref_level_db",
}


@dataclass(frozen=True)
class Published:
    """A model of ANIMAL-SPOT."""

    settings: DetectorSettings
    """Window and normalisation are this project's defaults: the file does not name them."""
    classes: tuple[str, ...]
    """In the order of the outputs."""
    tensors: dict[str, Tensor]
    """By the names of a detector."""


def read(path: Path) -> Published:
    """Read a ``.pk`` file.

    Raises:
        DataError: it is missing, damaged, holds code or something else than such a model; one line
            says which.
        ConfigError: its network is unknown here.
    """
    found = _load(path)
    missing = [words for name, words in _PARTS if not isinstance(found.get(name), dict)]
    if missing:
        raise DataError(f"{path}: is no model of ANIMAL-SPOT: it has no {', '.join(missing)}")
    try:
        settings = _settings(found)
        classes = _classes(found)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: its options are incomplete: {error!r}") from error
    if not classes or classes[0] != NOISE:
        raise DataError(f"{path}: its first class must be {NOISE}, not {', '.join(classes)}")
    tensors = {
        f"{part}.{name}": value
        for part, key in ((ENCODER, "encoderState"), (CLASSIFIER, "classifierState"))
        for name, value in found[key].items()
    }
    return Published(settings, classes, tensors)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path}: holds more than numbers and names, which would run code; load it where you "
            "trust it and save its dictionary of options and weights again"
        ) from error
    except FileNotFoundError as error:
        raise unreadable(path, error) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataError(f"{path}: cannot be read: {reason}; copy it again") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: is no model of ANIMAL-SPOT: it holds a {type(found).__name__}")
    return found


def _settings(found: Mapping[str, Any]) -> DetectorSettings:
    encoder, classifier, data = (
        found[key] for key in ("encoderOpts", "classifierOpts", "dataOpts")
    )
    given = {own: data[key] for key, own in _FRONT_END.items() if key in data}
    given["n_freq_bins"] = data["n_freq_bins"] if "n_freq_bins" in data else data["num_mels"]
    return DetectorSettings(
        network=f"RESNET{encoder['resnet_size']}",
        conv_kernel_size=encoder["conv_kernel_size"],
        max_pool=encoder["max_pool"],
        pooling=classifier["pooling"],
        front_end=DetectorFrontEndSettings(**given),
    )


def _classes(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the classes by their numbers, in order."""
    numbered: dict[str, int] = found.get("classes") or _BINARY
    if sorted(numbered.values()) != list(range(len(numbered))):
        raise ValueError(f"classes {numbered}")
    return tuple(sorted(numbered, key=numbered.__getitem__))
