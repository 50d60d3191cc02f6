"""The recordings, or segments, of a corpus that are nearest to what is looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from soundgate.audio.embedding.search.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """Mean over the parts of what was asked for: the cosine of each to the segment of the recording
    that is nearest to it. Of a segment alone, its largest cosine. -1 to 1."""
    segment: Segment
    """Of a recording, the one with the largest cosine."""


def find(
    embeddings: Embeddings,
    wanted: NDArray[np.float32],
    most: int,
    *,
    index: Index | None = None,
    every_segment: bool = False,
    without: str = "",
) -> list[Found]:
    """The nearest recordings, the nearest first.

    Args:
        embeddings: of the corpus.
        wanted: float32 (part, size), the parts of what is looked for.
        most: how many are wanted; fewer where there are no more.
        index: what finds candidates; None: every embedding is compared.
        every_segment: segments are found, so that a recording may be found more than once.
        without: path of a recording that is left out: the one that was asked for.

    Raises:
        DataError: the table is missing or damaged.
    """
    asked = most if every_segment and not without else WIDER * most
    while True:
        if index is None:
            near = scan(embeddings, wanted, asked)
        else:
            near = [index.near(part, asked) for part in wanted]
        found = _ranked(embeddings, near, without, every_segment=every_segment)[:most]
        # What is known only by a bound may be less: then it has to be looked for further down.
        known = len(found) == most and all(each.is_exact for each in found)
        if known or all(len(each.places) < asked for each in near):
            return [Found(k, each.similarity, each.segment) for k, each in enumerate(found, 1)]
        asked *= WIDER


class _Scored(NamedTuple):
    similarity: float
    """At most; no less where it ``is_exact``."""
    is_exact: bool
    segment: Segment


def _ranked(
    embeddings: Embeddings, near: Sequence[Near], without: str, *, every_segment: bool
) -> list[_Scored]:
    """What is among the nearest to any part (Fagin et al. 2003, the threshold algorithm)."""
    places = np.unique(np.concatenate([each.places for each in near]))
    segments = embeddings.at(places.tolist())
    cosines = np.full((len(near), len(places)), -np.inf)
    for row, each in zip(cosines, near, strict=True):
        row[np.searchsorted(places, each.places)] = each.cosines
    # what is not among the nearest to a part is no nearer than the last of them
    bounds = np.array([each.cosines.min(initial=1) for each in near])
    groups: dict[str, list[int]] = {}
    for number, segment in enumerate(segments):
        if segment.path != without:
            key = segment.record_id if every_segment else segment.path
            groups.setdefault(key, []).append(number)
    scored = []
    for own in groups.values():
        best = cosines[:, own].max(1)
        is_exact, nearest = bool(np.isfinite(best).all()), own[cosines[:, own].max(0).argmax()]
        whole = np.where(np.isfinite(best), best, bounds).mean()
        alone = every_segment  # a segment is as near as it is to one part
        similarity = float(best.max() if alone else whole)
        scored.append(_Scored(similarity, is_exact or alone, segments[nearest]))
    return sorted(scored, key=lambda each: -each.similarity)
