"""Counts of any sample of clips, from where each hit, event and detection is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.metrics.events import segments
from soundgate.audio.metrics.events.counts import Counts
from soundgate.audio.metrics.events.matching import Collar, match_collar
from soundgate.audio.metrics.events.psds import found_and_wrong

if TYPE_CHECKING:
    from soundgate.audio.metrics.events.changes import Criteria
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Ints


@dataclass(frozen=True, slots=True)
class Places:
    """Clip and class of each of some things; arrays (thing,)."""

    clip: Ints
    label: Ints

    def counted(self, weights: Ints, classes: int) -> Ints:
        """How many there are of each class, int64 (class,)."""
        return np.bincount(np.repeat(self.label, weights[self.clip]), minlength=classes)

    def and_those(self, other: Places) -> Places:
        """Both together."""
        return Places(
            np.concatenate((self.clip, other.clip)), np.concatenate((self.label, other.label))
        )


@dataclass(frozen=True, slots=True)
class Tally:
    """What a system found and missed, and where."""

    hits: Places
    events: Places
    detections: Places
    classes: int

    def counts(self, weights: Ints) -> Counts:
        """Counts of a sample; ``weights``: how often each clip is in it, int64 (clip,)."""
        hits, events, detections = (
            each.counted(weights, self.classes)
            for each in (self.hits, self.events, self.detections)
        )
        return Counts(hits, events, detections)


def _places(events: Intervals) -> Places:
    return Places(events.clip, events.label)


def by_collar(events: Intervals, detections: Intervals, classes: int, collar: Collar) -> Tally:
    """Detections that are matched one to one by collars."""
    matches = match_collar(events, detections, collar)
    hits = _places(events.where(matches.left))
    return Tally(hits, _places(events), _places(detections), classes)


def by_intersection(
    events: Intervals, detections: Intervals, classes: int, criteria: Criteria
) -> Tally:
    """Events that are found by intersection; see ``psds.count``."""
    found, wrong = found_and_wrong(events, detections, criteria)
    hits = _places(events.where(found))
    return Tally(hits, _places(events), hits.and_those(_places(detections.where(wrong))), classes)


def by_segment(
    events: Intervals, detections: Intervals, classes: int, length_s: float, clips_s: Floats
) -> Tally:
    """Active segments; see ``segments.count``."""
    count = segments.per_clip(clips_s, length_s)
    clip = np.repeat(np.arange(len(count)), count)
    true, found = (
        segments.active(each, classes, length_s, clips_s) for each in (events, detections)
    )
    both = np.intersect1d(true, found, assume_unique=True)
    places = [Places(clip[each // classes], each % classes) for each in (both, true, found)]
    return Tally(places[0], places[1], places[2], classes)
