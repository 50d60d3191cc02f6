"""The nearest segments of a corpus to a vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.embedding.search.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from soundgate.audio.embedding.search.index import Index
    from soundgate.audio.embedding.search.scanning import Near
    from soundgate.audio.formats.embeddings.segments import Segment
    from soundgate.audio.formats.embeddings.vectors import Embeddings

WIDER: Final = 4
"""Where recordings fill the places with several segments each, so many times more are looked at."""


@dataclass(frozen=True, slots=True)
class Found:
    """A segment that is near."""

    rank: int
    """From 1."""
    similarity: float
    """Cosine of the angle to what was asked for, -1 to 1."""
    segment: Segment


def find(
    embeddings: Embeddings,
    wanted: NDArray[np.float32],
    most: int,
    *,
    index: Index | None = None,
    every_segment: bool = False,
    without: str = "",
) -> list[Found]:
    """The nearest segments, the nearest first.

    Args:
        embeddings: of the corpus.
        wanted: float32 (size,).
        most: how many are wanted; fewer where there are no more.
        index: what finds candidates; None: every embedding is compared.
        every_segment: whether a recording may be found more than once, by its segments.
        without: path of a recording that is left out: the one that was asked for.

    Raises:
        DataError: the table is missing or damaged.
    """
    asked = most if every_segment and not without else WIDER * most
    while True:
        near = index.near(wanted, asked) if index else scan(embeddings, wanted, asked)
        found = _kept(
            near, embeddings.at(near.places.tolist()), without, every_segment=every_segment
        )
        if len(found) >= most or len(near.places) < asked:
            return found[:most]
        asked *= WIDER


def _kept(
    near: Near, segments: Sequence[Segment], without: str, *, every_segment: bool
) -> list[Found]:
    kept: list[Found] = []
    seen = {without}
    for cosine, segment in zip(near.cosines.tolist(), segments, strict=True):
        if segment.path in seen:
            continue
        if not every_segment:
            seen.add(segment.path)
        kept.append(Found(len(kept) + 1, cosine, segment))
    return kept
