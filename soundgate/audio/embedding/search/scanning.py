"""The nearest embeddings by comparing all of them, in constant memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.vectors import Embeddings


class Near(NamedTuple):
    """Places in the table of embeddings, the nearest first."""

    places: NDArray[np.int64]
    cosines: NDArray[np.float32]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors float32 (..., size) of length 1; of length 0 where they were."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    made: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return made


def scan(embeddings: Embeddings, wanted: NDArray[np.float32], most: int) -> Near:
    """The ``most`` embeddings whose angle to ``wanted`` float32 (size,) is smallest.

    Raises:
        DataError: the table is missing or damaged.
    """
    direction = unit(wanted)
    best = Near(np.empty(0, np.int64), np.empty(0, np.float32))
    first = 0
    for vectors in embeddings.vectors():
        found = unit(vectors) @ direction
        places = np.concatenate([best.places, np.arange(first, first + len(found))])
        cosines = np.concatenate([best.cosines, found])
        # stable: of equal ones the first in the table comes first
        order = np.argsort(-cosines, kind="stable")[:most]
        best = Near(places[order], cosines[order])
        first += len(found)
    return best
