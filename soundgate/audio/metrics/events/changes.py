"""What changes in the counts of a class as the threshold falls, clip by clip.

Whether a detection is right, and at which thresholds an event is found, does not depend on other
clips. So the counts of any sample of clips are sums of the same changes, weighted by how often each
clip is in the sample; a bootstrap computes the changes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.intervals import overlapping

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Bools, Floats, Intervals, Ints, Pairs
    from soundgate.audio.metrics.events.levels import Levels

    Signs = NDArray[np.int8]

_DECIMALS: Final = 6
_BLOCK: Final = 1 << 14
"""So many false alarms are held against the other classes' events at once."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """When detections and events count as right; defaults are PSDS1's."""

    detection_share: float = 0.7
    """DTC: of a detection, the share that its class's events cover."""
    event_share: float = 0.7
    """GTC: of an event, the share that right detections cover."""
    other_share: float = 0.3
    """CTTC: of a false alarm, the share that another class's events cover."""


@dataclass(frozen=True, slots=True)
class CrossTriggers:
    """False alarms that events of other classes cover; arrays (trigger,)."""

    change: Ints
    """Index of the change: where the false alarm begins or ends."""
    other: Ints
    """The class whose events cover it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes by class and falling threshold; arrays (change,)."""

    clip: Ints
    label: Ints
    threshold: Floats
    found: Signs
    """1 where an event becomes found, -1 where it no longer is, else 0."""
    false_alarms: Signs
    """1 where a false alarm begins, -1 where it ends, else 0."""
    triggers: CrossTriggers

    def of_class(self, label: int) -> slice:
        """Where the changes of a class stand."""
        first, end = np.searchsorted(self.label, (label, label + 1))
        return slice(int(first), int(end))


def changes(
    levels: Levels, events: Intervals, classes: int, criteria: Criteria, *, cross: bool = True
) -> Changes:
    """All changes.

    Args:
        levels: what a system detects at every threshold.
        events: the ground truth.
        classes: how many there are.
        criteria: when a detection is right, and an event found.
        cross: whether cross triggers are looked for.
    """
    pairs, shared = overlapping(levels.events, events, same_label=True)
    right = is_right(levels.events, pairs, shared, criteria)
    kept = right[pairs.left]
    event, at, sign = _found(levels, events, pairs.where(kept), shared[kept], criteria)
    wrong = np.flatnonzero(~right)
    both = np.concatenate((wrong, wrong))
    thresholds = np.concatenate((at, levels.upper[wrong], levels.lower[wrong]))
    labels = np.concatenate((events.label[event], levels.events.label[both]))
    order = np.lexsort((-thresholds, labels))
    order = order[np.isfinite(thresholds[order])]
    clips = np.concatenate((events.clip[event], levels.events.clip[both]))
    found = np.concatenate((sign, np.zeros(len(both), np.int8)))
    alarms = np.repeat(np.array((0, 1, -1), np.int8), (len(at), len(wrong), len(wrong)))
    alarm = other = np.empty(0, np.int64)
    if cross and classes > 1:
        alarm, other = _cross_triggers(levels.events.where(wrong), events, classes, criteria)
    place = np.full(len(thresholds), -1)
    place[order] = np.arange(len(order))
    begins, ends = place[len(at) + alarm], place[len(at) + len(wrong) + alarm]
    where, others = np.concatenate((begins, ends)), np.concatenate((other, other))
    return Changes(
        *(clips[order], labels[order], thresholds[order], found[order], alarms[order]),
        CrossTriggers(where[where >= 0], others[where >= 0]),
    )


def is_right(detections: Intervals, pairs: Pairs, shared_s: Floats, criteria: Criteria) -> Bools:
    """Whether events of its class cover enough of each detection.

    Args:
        detections: what a system found.
        pairs: detections and events of one class that overlap.
        shared_s: for how long, float64 (pair,).
        criteria: of which the detection's share counts.
    """
    cover = sums(pairs.left, shared_s, len(detections))
    return reaches(cover, detections.length_s, criteria.detection_share) & (cover > 0)


def sums(index: Ints, values: Floats, size: int) -> Floats:
    """Sum of the values of each index, float64 (size,)."""
    return np.asarray(np.bincount(index, values, size), np.float64)


def reaches(cover_s: Floats, length_s: Floats, share: float) -> Bools:
    """Whether a cover is a large enough share of a length, both rounded to a microsecond."""
    return np.round(cover_s, _DECIMALS) >= np.round(share * length_s, _DECIMALS)


def differs(values: Floats | Ints) -> Bools:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate(([True], values[1:] != values[:-1])) if len(values) else np.empty(0, bool)


def _found(
    levels: Levels, events: Intervals, pairs: Pairs, shared: Floats, criteria: Criteria
) -> tuple[Ints, Floats, Signs]:
    """Events, thresholds at which they become found (1) or no longer are (-1), and the sign."""
    event = np.concatenate((pairs.right, pairs.right))
    threshold = np.concatenate((levels.upper[pairs.left], levels.lower[pairs.left]))
    seconds = np.concatenate((shared, -shared))
    finite = np.isfinite(threshold)
    event, threshold, seconds = event[finite], threshold[finite], seconds[finite]
    order = np.lexsort((-threshold, event))
    event, threshold, seconds = event[order], threshold[order], seconds[order]
    if not len(event):
        return event, threshold, np.empty(0, np.int8)
    begins = np.flatnonzero(differs(event) | differs(threshold))
    event, threshold = event[begins], threshold[begins]
    cover = np.cumsum(np.add.reduceat(seconds, begins))
    first = differs(event)
    before = np.concatenate(([0.0], cover[:-1]))
    cover -= before[first][np.cumsum(first) - 1]
    found = reaches(cover, events.length_s[event], criteria.event_share) & (cover > 0)
    was = np.concatenate(([False], found[:-1])) & ~first
    sign = found.astype(np.int8) - was.astype(np.int8)
    moved = sign != 0
    return event[moved], threshold[moved], sign[moved]


def _cross_triggers(
    alarms: Intervals, events: Intervals, classes: int, criteria: Criteria
) -> tuple[Ints, Ints]:
    """False alarms and the other classes whose events cover enough of them, a pair an index."""
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for begin in range(0, len(alarms), _BLOCK):
        block = alarms.where(np.arange(begin, min(begin + _BLOCK, len(alarms))))
        pairs, shared = overlapping(block, events, same_label=False)
        label = events.label[pairs.right]
        other = label != block.label[pairs.left]
        key, place = np.unique(pairs.left[other] * classes + label[other], return_inverse=True)
        cover = sums(place.reshape(-1), shared[other], len(key))
        enough = reaches(cover, block.length_s[key // classes], criteria.other_share)
        found.append((begin + key[enough] // classes, key[enough] % classes))
    alarm, other_label = (np.concatenate([part[side] for part in found]) for side in (0, 1))
    return alarm, other_label
