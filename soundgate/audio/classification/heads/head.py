"""A head that was trained: from embeddings to scores of classes, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import safetensors
from safetensors import numpy as arrays

from soundgate.audio.classification.heads import trees
from soundgate.audio.formats.model import WEIGHTS
from soundgate.audio.formats.models.embedding_classifier import (
    REMEDY,
    EmbeddingClassifierFile,
    read_embedding_classifier,
)
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.embeddings.vectors import EncoderUsed

    Array = npt.NDArray[Any]

BOOSTER: Final = "booster"
_BLOCK_ROWS = 16384


@dataclass(frozen=True)
class Head:
    """Layers or trees, and what their scores are of."""

    about: EmbeddingClassifierFile
    weights: Mapping[str, Array]
    """As ``weights.safetensors`` has them."""

    def scores(self, values: Array) -> Array:
        """Probabilities float64 ``(row, class)`` of raw embeddings float32 ``(row, size)``."""
        if BOOSTER in self.weights:
            found = trees.scores(self.weights[BOOSTER].tobytes(), values)
            return np.asarray(found, np.float64).reshape(len(values), -1)
        layers = layers_of(self.weights)
        blocks = range(0, len(values), _BLOCK_ROWS)
        parts = [softmax(outputs(layers, values[k : k + _BLOCK_ROWS])) for k in blocks]
        return np.concatenate(parts) if parts else np.empty((0, len(self.about.classes)))

    def check_encoder(self, used: EncoderUsed, where: object) -> None:
        """Refuse embeddings of another encoder, or of the same one used otherwise.

        Raises:
            DataError: they are.
        """
        theirs, ours = used.as_json(), self.about.encoder.as_json()
        for name, value in ours.items():
            if theirs[name] != value:
                raise DataError(
                    f"{where}: encoder.{name} is {theirs[name]}, but the head was trained on "
                    f"embeddings of {ours['name']} with {value}; use those"
                )


def read_head(folder: Path) -> Head:
    """The head in a ``model/`` folder.

    Raises:
        DataError: a file is missing or damaged, or the folder is of another system.
    """
    about = read_embedding_classifier(folder)
    path = folder / WEIGHTS
    try:
        weights = arrays.load(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except safetensors.SafetensorError as error:
        raise DataError(f"{path}: is damaged; {REMEDY}: {str(error).splitlines()[0]}") from error
    if BOOSTER not in weights:
        _check_shapes(path, about, layers_of(weights))
    return Head(about, weights)


def named(layers: Sequence[Array]) -> dict[str, Array]:
    """Weights and biases in turns, under the names that the file has them by."""
    kinds = ("weight", "bias")
    return {f"layers.{k // 2}.{kinds[k % 2]}": array for k, array in enumerate(layers)}


def layers_of(weights: Mapping[str, Array]) -> list[tuple[Array, Array]]:
    """Weight and bias of each layer, the first one first."""
    count = len(weights) // 2
    pairs = [
        [weights.get(f"layers.{k}.{kind}") for kind in ("weight", "bias")] for k in range(count)
    ]
    return [(weight, bias) for weight, bias in pairs if weight is not None and bias is not None]


def outputs(layers: Sequence[tuple[Array, Array]], values: Array) -> Array:
    """Logits float64 ``(row, class)``, with ReLU between layers."""
    found = values.astype(np.float64)
    for number, (weight, bias) in enumerate(layers):
        found = (np.maximum(found, 0) if number else found) @ weight.T.astype(np.float64) + bias
    return found


def softmax(logits: Array) -> Array:
    """Probabilities float64 ``(row, class)``."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def _check_shapes(
    path: Path, about: EmbeddingClassifierFile, layers: Sequence[tuple[Array, Array]]
) -> None:
    sizes = [weight.shape[1] for weight, _ in layers] + [len(bias) for _, bias in layers[-1:]]
    fits = all(
        weight.shape == (sizes[k + 1], sizes[k]) and bias.shape == (sizes[k + 1],)
        for k, (weight, bias) in enumerate(layers)
    )
    ends = (about.encoder.embedding_size, len(about.classes))
    if not layers or not fits or (sizes[0], sizes[-1]) != ends:
        raise DataError(f"{path}: does not fit its model.json; {REMEDY}")
