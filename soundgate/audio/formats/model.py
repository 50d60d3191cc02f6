"""The ``model/`` folder: what training writes and everything after it reads.

    model.json            architecture, classes, standardisation, how features were made
    weights.safetensors   the network's numbers
    split.jsonl           a row a clip: on which side of training, validation and test it was

The same training writes the same bytes: no times, no host names, no order left to chance.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

import numpy as np
import safetensors
from safetensors import numpy as arrays

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.formats.front_end import FrontEnd
from soundgate.audio.formats.record import (
    JsonObject,
    Record,
    read_lines,
    read_record,
    write_lines,
    write_object,
)
from soundgate.audio.signal.standardisation import Standardisation
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.clips.manifest import Identity
    from soundgate.audio.formats.feature_set import FeatureSet

    Array = npt.NDArray[Any]

FORMAT: Final = "soundgate.model/1"
DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
SPLIT = "split.jsonl"

_REMEDY = "train the model again"


class PatchSize(Record):
    """Axes of a patch."""

    patch_frames: int
    n_mels: int


class Normalization(Record):
    """Mean and standard deviation of each mel band."""

    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]


class Pretrained(Record):
    """The weights that a training started from."""

    name: str
    sha256: str = ""
    architecture: str = ""
    licence: str = ""
    source: str = ""


class ModelFile(Record):
    """``model.json``."""

    format: Literal["soundgate.model/1"] = FORMAT
    architecture: str
    """Name of the function that builds the network."""
    size: dict[str, Any]
    """Keyword arguments of that function."""
    classes: tuple[str, ...]
    multi_label: bool
    input: PatchSize | None = None
    sample_rate_hz: int | None = None
    preprocessing: Preprocessing
    feature_extraction: FeatureExtraction
    normalization: Normalization
    seed: int | None = None
    test_fold: int | None = None
    pretrained: Pretrained | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    """The epoch whose weights are the model's, counted from 1."""
    rounds: int | None = None
    """Of fitting the last layer alone, where the others were frozen."""
    parameters: int | None = None
    """Numbers that the network learnt."""


class SplitRow(Record):
    """A row of ``split.jsonl``."""

    path: str
    start_s: float | None = None
    end_s: float | None = None
    split: Literal["training", "validation", "test"]


class Described(Protocol):
    """What a ``model.json`` holds, of any system."""

    def as_json(self) -> JsonObject:
        """The object as the file holds it."""


class Segmented(Protocol):
    """Which clip it is: a row of features or of waveforms."""

    @property
    def path(self) -> str:
        """Path below the ``clips/`` folder."""

    @property
    def start_s(self) -> float | None:
        """Where the clip begins in its file."""

    @property
    def end_s(self) -> float | None:
        """Where it ends."""


AnyRow = TypeVar("AnyRow", bound=Segmented)

_TRAINING = ("seed", "epochs", "best_epoch", "rounds", "parameters", "test_fold", "pretrained")


@dataclass(frozen=True)
class Description:
    """``model.json`` in memory."""

    architecture: str
    """Name of the function that builds the network."""
    size: dict[str, Any]
    """Keyword arguments of that function."""
    classes: tuple[str, ...]
    multi_label: bool
    preprocessing: Preprocessing
    feature_extraction: FeatureExtraction
    standardisation: Standardisation
    training: dict[str, Any] = field(default_factory=dict)
    """How it came about: seed, parameters, test_fold; epochs and best_epoch, or rounds where the
    classifier alone was fitted; and, where it started from other weights, pretrained: their name,
    sha256, licence."""

    @property
    def front_end(self) -> FrontEnd:
        """How its input is made of audio."""
        return FrontEnd(self.preprocessing, self.feature_extraction)

    def as_json(self) -> JsonObject:
        """What the file holds."""
        spec = self.feature_extraction
        return {
            "format": FORMAT,
            "architecture": self.architecture,
            "size": self.size,
            "classes": list(self.classes),
            "multi_label": self.multi_label,
            "input": {"patch_frames": spec.patch_length, "n_mels": spec.n_mels},
            "sample_rate_hz": self.preprocessing.target_rate,
            **self.front_end.as_json(),
            "normalization": {
                "mean": self.standardisation.mean.tolist(),
                "standard_deviation": self.standardisation.standard_deviation.tolist(),
            },
            **self.training,
        }


def write(
    folder: Path,
    description: Described,
    weights: Mapping[str, Tensor] | Mapping[str, Array],
    split: Sequence[tuple[Segmented, str]],
) -> None:
    """Write a model; ``model.json`` last, so that a folder without it is known to be unfinished.

    Weights are tensors, or arrays where a model does without torch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(_serialised(weights))
    write_lines(folder / SPLIT, (_segment(row) | {"split": side} for row, side in split))
    write_object(folder / DESCRIPTION, description.as_json())


def _serialised(weights: Mapping[str, Any]) -> bytes:
    if all(isinstance(value, np.ndarray) for value in weights.values()):
        return arrays.save({name: np.ascontiguousarray(value) for name, value in weights.items()})
    from safetensors import torch as tensors  # seconds to import; reports do without torch

    return tensors.save({k: value.detach().cpu().contiguous() for k, value in weights.items()})


def digest(folder: Path) -> str:
    """SHA-256, hex, of ``model.json`` followed by ``weights.safetensors``: which model it is."""
    found = hashlib.sha256()
    for name in (DESCRIPTION, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def read_description(folder: Path) -> Description:
    """What the model in ``folder`` is.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    found = read_record(folder / DESCRIPTION, ModelFile, remedy=_REMEDY)
    norm = found.normalization
    given = found.model_dump(mode="json", include=set(_TRAINING), exclude_unset=True)
    return Description(
        architecture=found.architecture,
        size=found.size,
        classes=found.classes,
        multi_label=found.multi_label,
        preprocessing=found.preprocessing,
        feature_extraction=found.feature_extraction,
        standardisation=Standardisation(
            np.array(norm.mean, np.float32), np.array(norm.standard_deviation, np.float32)
        ),
        training={name: given[name] for name in _TRAINING if name in given},
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The network's numbers by name, on the CPU; they are read as numbers, no code is run.

    Raises:
        DataError: the file is missing or damaged.
    """
    from safetensors import torch as tensors  # seconds to import; reports do without torch

    path = folder / WEIGHTS
    try:
        return tensors.load(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except safetensors.SafetensorError as error:
        raise DataError(f"{path}: is damaged; {_REMEDY}: {str(error).splitlines()[0]}") from error


def rows_of(folder: Path, rows: Sequence[AnyRow], split: str) -> list[AnyRow]:
    """Those of ``rows`` that the model's ``split.jsonl`` puts on the side ``split``.

    Raises:
        DataError: the file is missing or damaged, or names a clip of that side that is not there.
    """
    wanted = clips_of(folder, lambda side: side == split)
    chosen = [row for row in rows if _identity(row) in wanted]
    if len(chosen) < len(wanted):
        missing = min(path for path, *_ in wanted - {_identity(row) for row in chosen})
        raise DataError(
            f"{folder / SPLIT}: {split} clip {missing!r} is not among the features; evaluate the "
            "model on the features it was trained with"
        )
    return chosen


def clips_of(folder: Path, wanted: Callable[[str], bool]) -> set[Identity]:
    """The clips of the sides of ``split.jsonl`` that are ``wanted``.

    Raises:
        DataError: the file is missing or damaged.
    """
    rows = read_lines(folder / SPLIT, SplitRow.model_validate, remedy=_REMEDY)
    return {(row.path, row.start_s, row.end_s) for row in rows if wanted(row.split)}


def check_same_features(clips: FeatureSet, description: Description, model: Path) -> None:
    """Refuse features of other classes or other settings than the model's, naming both.

    Raises:
        DataError: they differ.
    """
    pairs: list[tuple[str, Any, Any]] = [
        ("classes", clips.info.classes, description.classes),
        ("multi_label", clips.info.multi_label, description.multi_label),
    ]
    theirs, ours = clips.info.front_end.as_json(), description.front_end.as_json()
    for section, values in ours.items():
        pairs += [(f"{section}.{key}", theirs[section][key], values[key]) for key in values]
    for name, found, expected in pairs:
        if found != expected:
            raise DataError(
                f"{clips.folder}: {name} is {_shown(found)}, but {model} was trained with "
                f"{_shown(expected)}; preprocess with the model's config"
            )


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _segment(row: Segmented) -> JsonObject:
    """The path, and the times where the clip is a segment."""
    fields = {"path": row.path, "start_s": row.start_s, "end_s": row.end_s}
    return {key: value for key, value in fields.items() if value is not None}


def _identity(row: Segmented) -> Identity:
    return row.path, row.start_s, row.end_s
