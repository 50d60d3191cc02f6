"""What a registered model takes and gives, in words that need no MLflow."""

from __future__ import annotations

from dataclasses import dataclass


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
