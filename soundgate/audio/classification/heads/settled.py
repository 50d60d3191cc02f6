"""The rows of a split as arrays: embeddings, and numbers of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.formats.embeddings.segments import Segment
    from soundgate.audio.formats.embeddings.vectors import Embeddings

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Segments with their embeddings."""

    segments: Sequence[Segment]
    values: Array
    """Float32 ``(segment, size)``."""
    numbers: Array
    """Int64 ``(segment,)``: the class of each, in the order of the classes."""

    def __len__(self) -> int:
        """How many there are."""
        return len(self.numbers)


def rows_of(embeddings: Embeddings, split: str) -> Rows:
    """The segments of a split, in the order of their ids; there may be none.

    Raises:
        DataError: a segment is of no class of the plan.
    """
    segments = embeddings.segments(split)
    return Rows(segments, embeddings.matrix(split), numbers_of(embeddings, segments))


def numbers_of(embeddings: Embeddings, segments: Sequence[Segment]) -> Array:
    """Numbers int64 ``(segment,)`` of the classes of some segments.

    Raises:
        DataError: one is of no class of the plan.
    """
    places = {name: number for number, name in enumerate(embeddings.about.classes)}
    for segment in segments:
        if segment.class_name not in places:
            raise DataError(
                f"{embeddings.folder}: {segment.path} is of class {segment.class_name!r}, which "
                "the plan does not have; embed again"
            )
    return np.array([places[segment.class_name] for segment in segments], np.int64)


def training_rows(embeddings: Embeddings) -> Rows:
    """The segments to train on.

    Raises:
        DataError: there are none, or a class has none.
    """
    rows = rows_of(embeddings, "train")
    classes = embeddings.about.classes
    counts = np.bincount(rows.numbers, minlength=len(classes))
    if not counts.all():
        lacking = ", ".join(name for name, count in zip(classes, counts, strict=True) if not count)
        raise DataError(
            f"{embeddings.folder}: no segment of {lacking} is in the split train; plan more "
            "segments, or leave the class out"
        )
    return rows
