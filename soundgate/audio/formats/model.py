"""The ``model/`` folder: what training writes and everything after it reads.

    model.json            architecture, classes, standardisation, how features were made
    weights.safetensors   the network's numbers
    split.jsonl           a row a clip: on which side of training, validation and test it was

The same training writes the same bytes: no times, no host names, no order left to chance.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.torch

from soundgate.audio.classification.batches import Standardisation
from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.networks import models
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from soundgate.audio.formats.features import Row

FORMAT = "soundgate.model/1"
DESCRIPTION = "model.json"
WEIGHTS = "weights.safetensors"
SPLIT = "split.jsonl"


@dataclass(frozen=True)
class Description:
    """``model.json``."""

    architecture: str
    """A key of ``models.MODELS``."""
    size: dict[str, Any]
    """Keyword arguments of its function."""
    classes: tuple[str, ...]
    multi_label: bool
    preprocessing: Preprocessing
    feature_extraction: FeatureExtraction
    standardisation: Standardisation
    training: dict[str, Any] = field(default_factory=dict)
    """How it came about: seed, parameters, test_fold; epochs and best_epoch, or rounds where the
    classifier alone was fitted; and, where it started from other weights, pretrained: their name,
    sha256, licence."""

    def as_json(self) -> dict[str, Any]:
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
            "preprocessing": self.preprocessing.model_dump(mode="json"),
            "feature_extraction": spec.model_dump(mode="json"),
            "normalization": {
                "mean": self.standardisation.mean.tolist(),
                "standard_deviation": self.standardisation.deviation.tolist(),
            },
            **self.training,
        }


def write(
    folder: Path,
    description: Description,
    weights: Mapping[str, Tensor],
    split: Sequence[tuple[Row, str]],
) -> None:
    """Write a model; ``model.json`` last, so that a folder without it is known to be unfinished."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(plain))
    with (folder / SPLIT).open("w", encoding="utf-8", newline="\n") as file:
        for row, side in split:
            file.write(json.dumps(_identity(row) | {"split": side}, ensure_ascii=False) + "\n")
    text = json.dumps(description.as_json(), indent=1, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8", newline="\n")


def digest(folder: Path) -> str:
    """SHA-256, hex, of ``model.json`` followed by ``weights.safetensors``: which model it is."""
    found = hashlib.sha256()
    for name in (DESCRIPTION, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def read(folder: Path) -> tuple[Description, nn.Module]:
    """The description and the network, on the CPU.

    Raises:
        DataError: a file is missing or damaged, or the folder is no model.
    """
    description = read_description(folder)
    try:
        network = models.build(description.architecture, len(description.classes), description.size)
        weights = safetensors.torch.load((folder / WEIGHTS).read_bytes())
        network.load_state_dict(weights)
    except OSError as error:
        raise DataError(f"{folder / WEIGHTS}: cannot be read: {error.strerror}") from error
    except (safetensors.SafetensorError, RuntimeError, ConfigError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{folder / WEIGHTS}: does not fit {DESCRIPTION}: {reason}") from error
    return description, network


def read_description(folder: Path) -> Description:
    """What the model in ``folder`` is.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    path = folder / DESCRIPTION
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.get("format") != FORMAT:
            raise DataError(f"{path}: format {fields.get('format')!r} is not {FORMAT!r}")
        norm = fields["normalization"]
        mean = np.array(norm["mean"], np.float32)
        deviation = np.array(norm["standard_deviation"], np.float32)
        known = ("seed", "epochs", "best_epoch", "rounds", "parameters", "test_fold", "pretrained")
        return Description(
            architecture=fields["architecture"],
            size=fields["size"],
            classes=tuple(fields["classes"]),
            multi_label=bool(fields["multi_label"]),
            preprocessing=Preprocessing(**fields["preprocessing"]),
            feature_extraction=FeatureExtraction(**fields["feature_extraction"]),
            standardisation=Standardisation(mean, deviation),
            training={key: fields[key] for key in known if key in fields},
        )
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: is damaged; train the model again: {error!r}") from error


def rows_of(folder: Path, rows: Sequence[Row], split: str) -> list[Row]:
    """Those of ``rows`` that the model's ``split.jsonl`` puts on the side ``split``.

    Raises:
        DataError: the file is missing or damaged, or names a clip of that side that is not there.
    """
    path = folder / SPLIT
    try:
        with path.open(encoding="utf-8") as lines:
            listed = [json.loads(line) for line in lines]
        wanted = {_key(entry) for entry in listed if entry["split"] == split}
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is damaged; train the model again: {error!r}") from error
    chosen = [row for row in rows if _key(_identity(row)) in wanted]
    if len(chosen) < len(wanted):
        there = {_key(_identity(row)) for row in chosen}
        missing = min(key[0] for key in wanted - there)
        raise DataError(
            f"{path}: {split} clip {missing!r} is not among the features; evaluate the model on "
            "the features it was trained with"
        )
    return chosen


def _identity(row: Row) -> dict[str, Any]:
    """The path, and the segment where the clip is one."""
    identity = {"path": row.path, "start_s": row.start_s, "end_s": row.end_s}
    return {key: value for key, value in identity.items() if value is not None}


def _key(entry: Mapping[str, Any]) -> tuple[str, float | None, float | None]:
    return entry["path"], entry.get("start_s"), entry.get("end_s")
