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


def scan(embeddings: Embeddings, wanted: NDArray[np.float32], most: int) -> list[Near]:
    """The ``most`` embeddings whose angle is smallest to each of ``wanted`` float32 (part, size).

    Raises:
        DataError: the table is missing or damaged.
    """
    directions = unit(wanted)
    best = [Near(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in directions]
    first = 0
    for vectors in embeddings.vectors():
        places = np.arange(first, first + len(vectors))
        for number, found in enumerate(directions @ unit(vectors).T):
            best[number] = _nearest(best[number], Near(places, found), most)
        first += len(vectors)
    return best


def _nearest(best: Near, more: Near, most: int) -> Near:
    places = np.concatenate([best.places, more.places])
    cosines = np.concatenate([best.cosines, more.cosines])
    # stable: of equal ones the first in the table comes first
    order = np.argsort(-cosines, kind="stable")[:most]
    return Near(places[order], cosines[order])
