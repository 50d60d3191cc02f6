"""The polyphonic sound detection score, exactly, over all thresholds.

Sources: Bilen, Ferroni, Tuveri, Azcarreta, Krstulovic, "A framework for the robust evaluation of
sound event detection" (ICASSP 2020); Ebbers, Serizel, Haeb-Umbach, "Threshold-independent
evaluation of sound event detection scores" (ICASSP 2022).

A detection is right where events of its class cover at least ``detection_share`` of it. An event
is found where right detections cover at least ``event_share`` of it. A detection that is not right
is a false alarm, and a cross trigger of each other class whose events cover at least
``other_share`` of it. The score is the area under the curve of true positive rate over effective
false alarms an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.counts import Counts
from soundgate.audio.metrics.events.intervals import overlapping
from soundgate.audio.metrics.events.levels import Levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.metrics.events.intervals import Bools, Floats, Intervals, Ints, Pairs

_HOUR_S: Final = 3600.0
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Criteria:
    """When detections and events count as right; defaults are PSDS1's."""

    detection_share: float = 0.7
    """DTC: of a detection, the share that its class's events cover."""
    event_share: float = 0.7
    """GTC: of an event, the share that right detections cover."""
    other_share: float = 0.3
    """CTTC: of a false alarm, the share that another class's events cover."""


def _sums(index: Ints, values: Floats, size: int) -> Floats:
    """Sum of the values of each index, float64 (size,)."""
    return np.asarray(np.bincount(index, values, size), np.float64)


def _reaches(cover_s: Floats, length_s: Floats, share: float) -> Bools:
    """Whether a cover is a large enough share of a length, both rounded to a microsecond."""
    return np.round(cover_s, _DECIMALS) >= np.round(share * length_s, _DECIMALS)


@dataclass(frozen=True, slots=True)
class Setting:
    """A PSDS: criteria, and what the curve charges; defaults are PSDS1's."""

    criteria: Criteria = Criteria()
    cross_trigger_cost: float = 0.0
    """alpha_ct: of a cross trigger, beside its false alarm."""
    instability_cost: float = 1.0
    """alpha_st: of the standard deviation between classes."""
    most_false_alarms: float = 100.0
    """An hour: where the curve ends."""


PSDS1: Final = Setting()
PSDS2: Final = Setting(
    Criteria(detection_share=0.1, event_share=0.1, other_share=0.3), cross_trigger_cost=0.5
)


@dataclass(frozen=True, slots=True)
class Points:
    """What happens at falling thresholds of a class; arrays (threshold,)."""

    threshold: Floats
    """Descending."""
    true_positives: Ints
    false_positives: Ints
    cross_triggers: Floats
    """An hour of the other classes' events, mean over these classes."""


@dataclass(frozen=True, slots=True)
class Psds:
    """A score and its parts."""

    score: float
    """0 to 1; NaN where no class has events."""
    by_class: Floats
    """Area under each class's own curve, float64 (class,); NaN for a class without events."""
    silent: tuple[int, ...]
    """Classes without events, which do not count."""


def psds(
    levels: Levels, events: Intervals, classes: int, seconds: float, setting: Setting = PSDS1
) -> Psds:
    """The score of a system.

    Args:
        levels: what it detects at every threshold.
        events: the ground truth; overlapping ones of one class should have been merged.
        classes: how many there are.
        seconds: length of all clips together.
        setting: which PSDS.
    """
    return from_points(points(levels, events, classes, setting.criteria), events, seconds, setting)


def psds_of_operating_points(
    detections: Sequence[Intervals],
    events: Intervals,
    classes: int,
    seconds: float,
    setting: Setting,
) -> Psds:
    """The score of detections at some thresholds, which bounds the exact one from below."""
    none = events.where(np.zeros(len(events), bool))  # a threshold above all scores
    each_alone = [always(each) for each in (none, *detections)]
    found = [points(each, events, classes, setting.criteria) for each in each_alone]
    merged = [
        Points(*(np.concatenate([getattr(each[c], name) for each in found]) for name in _NAMES))
        for c in range(classes)
    ]
    return from_points(merged, events, seconds, setting)


_NAMES: Final = tuple(field.name for field in fields(Points))


def always(detections: Intervals) -> Levels:
    """Detections that exist at every threshold."""
    return Levels(detections, np.zeros(len(detections)), np.full(len(detections), -np.inf))


def count(events: Intervals, detections: Intervals, classes: int, criteria: Criteria) -> Counts:
    """Counts by intersection at one threshold.

    A detection may be right for several events, and several for one. True positives are events that
    are found; ``detections`` is their number plus that of the detections that are not right.
    """
    pairs, shared = overlapping(detections, events, same_label=True)
    right = _right(always(detections), pairs, shared, criteria)
    counted = right[pairs.left]
    cover = _sums(pairs.right[counted], shared[counted], len(events))
    found = _reaches(cover, events.length_s, criteria.event_share) & (cover > 0)
    hits, number, wrong = (
        np.bincount(labels, minlength=classes)
        for labels in (events.label[found], events.label, detections.label[~right])
    )
    return Counts(hits, number, hits + wrong)


def points(levels: Levels, events: Intervals, classes: int, criteria: Criteria) -> list[Points]:
    """Counts of each class at every threshold where one changes, the first above all scores."""
    pairs, shared = overlapping(levels.events, events, same_label=True)
    right = _right(levels, pairs, shared, criteria)
    kept = right[pairs.left]
    at, label, change = _found(levels, events, pairs.where(kept), shared[kept], criteria)
    wrong = np.flatnonzero(~right)
    triggers = _cross_triggers(levels.events, events, ~right, classes, criteria)[wrong]
    one = np.ones(len(wrong))
    none = np.zeros(len(wrong))
    thresholds = np.concatenate((at, levels.upper[wrong], levels.lower[wrong]))
    labels = np.concatenate((label, *[levels.events.label[wrong]] * 2))
    changes = np.stack(
        (
            np.concatenate((change, none, none)),
            np.concatenate((np.zeros(len(at)), one, -one)),
            np.concatenate((np.zeros(len(at)), triggers, -triggers)),
        ),
        axis=1,
    )
    return [_cumulated(thresholds[labels == c], changes[labels == c]) for c in range(classes)]


def _right(levels: Levels, pairs: Pairs, shared: Floats, criteria: Criteria) -> Bools:
    cover = _sums(pairs.left, shared, len(levels.events))
    enough = _reaches(cover, levels.events.length_s, criteria.detection_share)
    return enough & (cover > 0)


def _found(
    levels: Levels, events: Intervals, pairs: Pairs, shared: Floats, criteria: Criteria
) -> tuple[Floats, Ints, Floats]:
    """Thresholds at which an event becomes found (1) or is no longer (-1), and its class."""
    event = np.concatenate((pairs.right, pairs.right))
    threshold = np.concatenate((levels.upper[pairs.left], levels.lower[pairs.left]))
    seconds = np.concatenate((shared, -shared))
    finite = np.isfinite(threshold)
    event, threshold, seconds = event[finite], threshold[finite], seconds[finite]
    order = np.lexsort((-threshold, event))
    event, threshold, seconds = event[order], threshold[order], seconds[order]
    if not len(event):
        return np.empty(0), np.empty(0, np.int64), np.empty(0)
    begins = np.flatnonzero(_differs(event) | _differs(threshold))
    event, threshold = event[begins], threshold[begins]
    cover = np.cumsum(np.add.reduceat(seconds, begins))
    first = _differs(event)
    before = np.concatenate(([0.0], cover[:-1]))
    cover -= before[first][np.cumsum(first) - 1]
    found = _reaches(cover, events.length_s[event], criteria.event_share)
    was = np.concatenate(([False], found[:-1])) & ~first
    change = found.astype(np.float64) - was
    moved = change != 0
    return threshold[moved], events.label[event[moved]], change[moved]


def _cross_triggers(
    detections: Intervals, events: Intervals, wrong: Bools, classes: int, criteria: Criteria
) -> Floats:
    """Of each wrong detection: cross triggers a second of the other classes, their mean."""
    total = np.zeros(len(detections))
    if classes < 2:  # there is no other class
        return total
    index = np.flatnonzero(wrong)
    pairs, shared = overlapping(detections.where(index), events, same_label=False)
    owner = index[pairs.left]
    label = events.label[pairs.right]
    other = label != detections.label[owner]
    key, place = np.unique(owner[other] * classes + label[other], return_inverse=True)
    cover = _sums(place.reshape(-1), shared[other], len(key))
    owner, label = key // classes, key % classes
    enough = _reaches(cover, detections.length_s[owner], criteria.other_share)
    active = _sums(events.label, events.length_s, classes)
    rate = 1 / active[label[enough]] / (classes - 1)
    return _sums(owner[enough], rate, len(detections))


def _cumulated(thresholds: Floats, changes: Floats) -> Points:
    """Counts at falling thresholds; before the first, nothing is detected."""
    finite = np.isfinite(thresholds)
    thresholds, changes = thresholds[finite], changes[finite]
    order = np.argsort(-thresholds, kind="stable")
    thresholds, changes = thresholds[order], changes[order]
    begins = np.flatnonzero(_differs(thresholds))
    sums = np.zeros((1, 3))
    if len(begins):
        sums = np.vstack((sums, np.cumsum(np.add.reduceat(changes, begins), axis=0)))
    counts = np.round(sums[:, :2]).astype(np.int64)
    triggers = np.maximum(sums[:, 2], 0)  # what was added and taken away again may leave -1e-18
    return Points(
        np.concatenate(([np.inf], thresholds[begins])), counts[:, 0], counts[:, 1], triggers
    )


def _differs(values: Floats | Ints) -> Bools:
    """Whether each value differs from the one before; the first does."""
    return np.concatenate(([True], values[1:] != values[:-1])) if len(values) else np.empty(0, bool)


def from_points(
    counted: Sequence[Points], events: Intervals, seconds: float, setting: Setting
) -> Psds:
    """The score of counts at some or all thresholds; see :func:`points`."""
    number = np.bincount(events.label, minlength=len(counted))
    silent = tuple(int(c) for c in np.flatnonzero(number == 0))
    curves = {
        c: _curve(each, int(number[c]), seconds, setting)
        for c, each in enumerate(counted)
        if number[c]
    }
    most = setting.most_false_alarms
    by_class = np.full(len(counted), np.nan)
    for c, (rate, alarms) in curves.items():
        by_class[c] = _area(rate, alarms, most)
    if not curves:
        return Psds(float("nan"), by_class, silent)
    at = np.unique(np.concatenate([alarms for _, alarms in curves.values()]))
    rates = np.stack([_stepped(rate, alarms, at) for rate, alarms in curves.values()])
    joint = np.maximum(rates.mean(axis=0) - setting.instability_cost * rates.std(axis=0), 0)
    return Psds(_area(joint, at, most), by_class, silent)


def _curve(counted: Points, events: int, seconds: float, setting: Setting) -> tuple[Floats, Floats]:
    """True positive rate and the effective false alarms an hour from which on it is reached."""
    alarms = counted.false_positives / seconds
    if setting.cross_trigger_cost:
        alarms = alarms + setting.cross_trigger_cost * counted.cross_triggers
    alarms = alarms * _HOUR_S
    rate = counted.true_positives / events
    order = np.lexsort((rate, alarms))
    rate, alarms = np.maximum.accumulate(rate[order]), alarms[order]
    last = np.concatenate((alarms[1:] != alarms[:-1], [True]))
    rate, alarms = rate[last], alarms[last]
    end = np.searchsorted(alarms, setting.most_false_alarms, side="right")
    return rate[:end], alarms[:end]


def _stepped(rate: Floats, alarms: Floats, at: Floats) -> Floats:
    """The rate at each number of false alarms: that of the point before; 0 before the first."""
    before = np.searchsorted(alarms, at, side="right") - 1
    return np.where(before >= 0, rate[np.maximum(before, 0)], 0.0)


def _area(rate: Floats, alarms: Floats, most: float) -> float:
    return float(np.sum(rate * np.diff(np.append(alarms, most))) / most)
