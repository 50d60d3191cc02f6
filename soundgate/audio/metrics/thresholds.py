"""The score from which on a label is given, chosen on validation clips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.metrics.ranking import rank
from soundgate.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Thresholds:
    """A threshold of each label."""

    values: tuple[float, ...]
    """A label is given where its score reaches this."""
    f1: tuple[float | None, ...]
    """What it reaches on the clips it was chosen on; None where it is the default."""
    defaults: tuple[int, ...]
    """Labels without an annotated positive clip: nothing could be chosen for them."""


def best_thresholds(
    truth: Array, scores: Array, mask: Array | None = None, *, default: float = THRESHOLD
) -> Thresholds:
    """Of each label, the threshold with the highest F1, exactly.

    Every different score is tried. Of equally good ones the highest is taken: it claims least.
    The threshold lies halfway to the next lower score (the lowest one's, halfway to 0), so that
    rounding of scores changes no decision; where two neighbouring scores leave nothing between
    them, it is the upper one.

    Args:
        truth: bool ``(clip, label)``.
        scores: float ``(clip, label)``, 0..1 where annotated.
        mask: bool ``(clip, label)``: what is annotated; None: everything.
        default: threshold of a label without an annotated positive clip.

    Raises:
        DataError: a score is no probability.
    """
    known = np.ones(truth.shape, bool) if mask is None else mask
    odd = np.argwhere(known & ~((scores >= 0) & (scores <= 1)))
    if len(odd):
        clip, label = odd[0]
        raise DataError(
            f"scores: clip {clip} has {scores[clip, label]} for label {label}; must be 0 to 1"
        )
    found = [_best(*column) for column in zip(truth.T, scores.T, known.T, strict=True)]
    return Thresholds(
        tuple(default if best is None else best[0] for best in found),
        tuple(None if best is None else best[1] for best in found),
        tuple(number for number, best in enumerate(found) if best is None),
    )


def _best(truth: Array, scores: Array, mask: Array) -> tuple[float, float] | None:
    """Threshold and F1; None where there is no positive clip."""
    ranking = rank(truth, scores, mask)
    if not ranking.truth.any():
        return None
    claimed = np.r_[ranking.first[1:], len(ranking.order)]
    hits = np.cumsum(ranking.truth)[claimed - 1]
    # Equal fractions of whole numbers are equal floats: division rounds correctly.
    f1 = 2 * hits / (claimed + ranking.truth.sum())
    best = int(f1.argmax())
    upper, lower = np.r_[ranking.thresholds, 0.0][best : best + 2].tolist()
    middle = (upper + lower) / 2
    # Scores of float32 are compared in float32.
    separates = scores.dtype.type(middle) > lower and scores.dtype.type(middle) <= upper
    return (middle if separates else upper), float(f1[best])
