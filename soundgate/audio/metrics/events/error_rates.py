"""Error rates of events: what must be replaced, deleted and inserted to get the ground truth.

Source: Mesaros, Heittola, Virtanen, "Metrics for polyphonic sound event detection", Applied
Sciences 6 (2016), sections 3.1.3 and 3.2.2. A substitution is a detection of the wrong class where
an event was missed; each replaces a deletion and an insertion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.metrics.events.matching import Collar, match_collar
from soundgate.audio.metrics.events.segments import active

if TYPE_CHECKING:
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Pairs


@dataclass(frozen=True, slots=True)
class Errors:
    """Counts of all classes together."""

    substitutions: int
    deletions: int
    insertions: int
    events: int
    """In the ground truth: events, or active segments."""

    @property
    def rate(self) -> float:
        """Errors per event, 0 and more; NaN without events."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.events if self.events else float("nan")


def of_matches(events: Intervals, detections: Intervals, matches: Pairs, collar: Collar) -> Errors:
    """Errors of detections that were matched by a collar."""
    missed, wrong = np.ones(len(events), bool), np.ones(len(detections), bool)
    missed[matches.left], wrong[matches.right] = False, False
    alike = [
        replace(each, label=np.zeros_like(each.label))
        for each in (events.where(missed), detections.where(wrong))
    ]
    others = match_collar(alike[0], alike[1], collar)
    replaced = len(others.left)
    return Errors(replaced, int(missed.sum()) - replaced, int(wrong.sum()) - replaced, len(events))


def of_segments(
    events: Intervals, detections: Intervals, classes: int, length_s: float, clips_s: Floats
) -> Errors:
    """Errors of active segments; arguments as of ``segments.count``."""
    true, found = (active(each, classes, length_s, clips_s) for each in (events, detections))
    size = 1 + max(int(each.max(initial=0)) for each in (true, found)) // classes
    missed, wrong = (
        np.bincount(np.setdiff1d(one, other, assume_unique=True) // classes, minlength=size)
        for one, other in ((true, found), (found, true))
    )
    replaced = int(np.minimum(missed, wrong).sum())
    return Errors(replaced, int(missed.sum()) - replaced, int(wrong.sum()) - replaced, len(true))
