"""True and false positives by class, and what is computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Floats, Ints


@dataclass(frozen=True, slots=True)
class Counts:
    """What a system found and missed; arrays (class,)."""

    true_positives: Ints
    events: Ints
    """In the ground truth."""
    detections: Ints

    @property
    def false_positives(self) -> Ints:
        """Detections of nothing."""
        return self.detections - self.true_positives

    @property
    def false_negatives(self) -> Ints:
        """Events that nobody detected."""
        return self.events - self.true_positives

    @property
    def precision(self) -> Floats:
        """Share of detections that are right, float64 (class,); NaN where there is none."""
        return ratio(self.true_positives, self.detections)

    @property
    def recall(self) -> Floats:
        """Share of events that are detected, float64 (class,); NaN where there is none."""
        return ratio(self.true_positives, self.events)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of both, float64 (class,); NaN where there is no event.

        Detections of a class that has no event count in the micro average, not here.
        """
        found = ratio(2 * self.true_positives, self.events + self.detections)
        return np.where(self.events > 0, found, np.nan)

    @property
    def macro_f1(self) -> float:
        """Mean over the classes that have events; NaN without any."""
        known = self.f1[self.events > 0]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def micro_f1(self) -> float:
        """Of all classes counted together; NaN without any event."""
        total = self.events.sum()
        if not total:
            return float("nan")
        return float(2 * self.true_positives.sum() / (total + self.detections.sum()))


def ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Floats:
    """``part / whole``, NaN where ``whole`` is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(part, np.float64) / np.asarray(whole, np.float64)
