"""What a registered model takes and gives, in words that need no MLflow."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class TensorDescription:
    """A tensor a model takes or gives; -1 in ``shape`` is a dimension of any size."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Signature:
    """What a model takes and what it gives."""

    input: TensorDescription
    outputs: tuple[TensorDescription, ...]
    classes: tuple[str, ...] = ()
    """Names, in the order of the scores; empty where they are not known."""
    rate_hz: int | None = None
    """Samples a second of the audio it was trained on."""


def signature_of(model: Path, exported: Path | None) -> Signature | None:
    """The signature of a model: its program's where it was exported, else of its patches.

    Args:
        model: folder with ``model.json``; with ``input.n_mels`` and ``classes`` it takes patches.
        exported: folder of its program from waveforms to scores; None where there is none.

    Returns:
        None where neither folder says what the model takes.

    Raises:
        DataError: a file is missing or damaged.
    """
    fields = _read(model / "model.json")
    classes, taken = fields.get("classes"), fields.get("input")
    if not isinstance(classes, list):
        return None  # a system that names no classes
    if exported is not None:
        signature = waveform_signature(len(classes))
    elif isinstance(taken, dict) and "n_mels" in taken:
        signature = patch_signature(int(taken["n_mels"]), len(classes))
    else:
        return None
    rate_hz = fields.get("sample_rate_hz")
    return replace(
        signature,
        classes=tuple(str(name) for name in classes),
        rate_hz=rate_hz if isinstance(rate_hz, int) else None,
    )


def classes_of(model: Path) -> list[str]:
    """The class names that ``model.json`` lists, in the order of the scores; none without a list.

    Raises:
        DataError: the file is missing or damaged.
    """
    classes = _read(model / "model.json").get("classes")
    return [str(name) for name in classes] if isinstance(classes, list) else []


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged; train the model again: {error}") from error
    return fields if isinstance(fields, dict) else {}


def patch_signature(mel_bands: int, classes: int) -> Signature:
    """Of a classifier: log-mel patches (patch, 1, mel, frame) to scores (patch, class)."""
    return Signature(
        TensorDescription("patches", (-1, 1, mel_bands, -1)),
        (TensorDescription("scores", (-1, classes)),),
    )


def waveform_signature(classes: int) -> Signature:
    """Of an exported program: waveforms (batch, sample) in, and three tensors out.

    ``scores`` (batch, class) of the clips, ``patch_scores`` (batch, patch, class), and ``patches``
    (batch,), how many of a clip's patches count.
    """
    return Signature(
        TensorDescription("waveform", (-1, -1)),
        (
            TensorDescription("scores", (-1, classes)),
            TensorDescription("patch_scores", (-1, -1, classes)),
            TensorDescription("patches", (-1,), "int64"),
        ),
    )
