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

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.changes import (
    Changes,
    Criteria,
    changes,
    differs,
    is_right,
    reaches,
    sums,
)
from soundgate.audio.metrics.events.counts import Counts
from soundgate.audio.metrics.events.intervals import overlapping

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Bools, Floats, Intervals, Ints
    from soundgate.audio.metrics.events.levels import Levels

HOUR_S: Final = 3600.0
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Setting:
    """A PSDS: criteria, and what the curve charges; defaults are PSDS1's."""

    criteria: Criteria = field(default_factory=Criteria)
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
    """A second of the other classes' events, mean over those of these classes that have any."""


@dataclass(frozen=True, slots=True)
class Roc:
    """A curve of steps: the rate that is reached from so many false alarms an hour on."""

    rate: Floats
    """True positive rate, ascending, float64 (point,)."""
    alarms: Floats
    """Effective false alarms an hour, ascending, float64 (point,)."""

    def at(self, alarms: Floats) -> Floats:
        """The rate at each number of false alarms: that of the point before; 0 before the first."""
        before = np.searchsorted(self.alarms, alarms, side="right") - 1
        return np.where(before >= 0, self.rate[np.maximum(before, 0)], 0.0)

    def area(self, most: float) -> float:
        """The area below it up to ``most`` false alarms an hour, as a share."""
        return float(np.sum(self.rate * np.diff(np.append(self.alarms, most))) / most)


@dataclass(frozen=True, slots=True)
class Psds:
    """A score and its parts."""

    score: float
    """0 to 1; NaN where no class has events."""
    by_class: Floats
    """Area under each class's own curve, float64 (class,); NaN for a class without events."""
    silent: tuple[int, ...]
    """Classes without events, which do not count."""
    curve: Roc | None
    """Mean less ``instability_cost`` standard deviations of the classes' curves; None without."""
    curves: tuple[Roc | None, ...]
    """Of each class; None for a class without events."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is needed to score any sample of the clips."""

    changes: Changes
    events: Intervals
    clips_s: Floats
    """Length of each clip, float64 (clip,)."""
    classes: int
    setting: Setting

    def score(self, weights: Ints | None = None) -> Psds:
        """The score of a sample.

        Args:
            weights: how often each clip is in it, int64 (clip,); None: once.
        """
        if weights is None:
            weights = np.ones(len(self.clips_s), np.int64)
        of_events = weights[self.events.clip]
        number = np.bincount(np.repeat(self.events.label, of_events), minlength=self.classes)
        seconds = sums(self.events.label, of_events * self.events.length_s, self.classes)
        total_s = float(weights @ self.clips_s)
        triggers = self._trigger_rates(weights, seconds)
        curves = tuple(
            _roc(self._points(c, weights, triggers), number[c], total_s, self.setting)
            if number[c]
            else None
            for c in range(self.classes)
        )
        return _joint(curves, self.setting)

    def points(self) -> list[Points]:
        """Counts of each class at every threshold where one changes, the first above all scores."""
        weights = np.ones(len(self.clips_s), np.int64)
        seconds = sums(self.events.label, self.events.length_s, self.classes)
        triggers = self._trigger_rates(weights, seconds)
        return [self._points(c, weights, triggers) for c in range(self.classes)]

    def _trigger_rates(self, weights: Ints, active_s: Floats) -> Floats | None:
        """Of each change: cross triggers a second of the other classes' events, their mean."""
        change, other = self.changes.triggers.change, self.changes.triggers.other
        if not len(change):
            return None
        present = active_s[other] > 0  # another class may have no event in the sample
        change, other = change[present], other[present]
        others = max(int(np.count_nonzero(active_s)) - 1, 1)
        rate = weights[self.changes.clip[change]] / active_s[other] / others
        return sums(change, rate, len(self.changes.clip)) * self.changes.false_alarms

    def _points(self, label: int, weights: Ints, triggers: Floats | None) -> Points:
        """Counts of a class at falling thresholds; before the first, nothing is detected."""
        part = self.changes.of_class(label)
        thresholds = self.changes.threshold[part]
        weight = weights[self.changes.clip[part]]
        last = np.append(differs(thresholds)[1:], True) if len(thresholds) else differs(thresholds)
        found, alarms = (
            np.append(0, np.cumsum(weight * signs[part])[last])
            for signs in (self.changes.found, self.changes.false_alarms)
        )
        rates = np.zeros(len(found))
        if triggers is not None:
            # what was added and taken away again may leave -1e-18
            rates[1:] = np.maximum(np.cumsum(triggers[part])[last], 0)
        return Points(np.append(np.inf, thresholds[last]), found, alarms, rates)


def evaluation(
    levels: Levels,
    events: Intervals,
    clips_s: NDArray[np.floating],
    classes: int,
    setting: Setting = PSDS1,
) -> Evaluation:
    """Hold detections against the ground truth, once.

    Args:
        levels: what a system detects at every threshold.
        events: the ground truth; overlapping ones of one class should have been merged.
        clips_s: length of each clip, seconds, float (clip,).
        classes: how many there are.
        setting: which PSDS.
    """
    cross = setting.cross_trigger_cost != 0
    found = changes(levels, events, classes, setting.criteria, cross=cross)
    return Evaluation(found, events, np.asarray(clips_s, np.float64), classes, setting)


def psds(
    levels: Levels,
    events: Intervals,
    clips_s: NDArray[np.floating],
    classes: int,
    setting: Setting = PSDS1,
) -> Psds:
    """The score of a system; arguments as of :func:`evaluation`."""
    return evaluation(levels, events, clips_s, classes, setting).score()


def found_and_wrong(
    events: Intervals, detections: Intervals, criteria: Criteria
) -> tuple[Bools, Bools]:
    """Which events are found, bool (event,), and which detections are not right (detection,)."""
    pairs, shared = overlapping(detections, events, same_label=True)
    right = is_right(detections, pairs, shared, criteria)
    counted = right[pairs.left]
    cover = sums(pairs.right[counted], shared[counted], len(events))
    return reaches(cover, events.length_s, criteria.event_share) & (cover > 0), ~right


def count(events: Intervals, detections: Intervals, classes: int, criteria: Criteria) -> Counts:
    """Counts by intersection at one threshold.

    A detection may be right for several events, and several for one. True positives are events that
    are found; ``detections`` is their number plus that of the detections that are not right.
    """
    found, is_wrong = found_and_wrong(events, detections, criteria)
    hits, number, wrong = (
        np.bincount(labels, minlength=classes)
        for labels in (events.label[found], events.label, detections.label[is_wrong])
    )
    return Counts(hits, number, hits + wrong)


def silence_floor(
    peaks: Floats, events: Intervals, clips_s: Floats, most: float, weights: Ints | None = None
) -> Floats:
    """Scores that no curve reaches, because clips without the class alone give too many alarms.

    At a threshold that k clips without an event of a class exceed, the class has k false alarms at
    least. Where these are more than the curve's end, lower thresholds do not count.

    Args:
        peaks: the highest score of each class in each clip, float64 (clip, class).
        events: the ground truth.
        clips_s: length of each clip, seconds, float64 (clip,).
        most: false alarms an hour at the curve's end.
        weights: how often each clip is in each sample, int64 (sample, clip); None: once.

    Returns:
        Of each class, the threshold from which on downwards nothing counts, float64 (class,); -inf
        where everything may.
    """
    if weights is None:
        weights = np.ones((1, len(clips_s)), np.int64)
    allowed = np.floor(most * (weights @ clips_s) / HOUR_S)
    floors = np.full(peaks.shape[1], -np.inf)
    for c in range(peaks.shape[1]):
        quiet = np.ones(len(clips_s), bool)
        quiet[events.clip[events.label == c]] = False
        order = np.flatnonzero(quiet)[np.argsort(-peaks[quiet, c], kind="stable")]
        if len(order):
            alarms = np.cumsum(weights[:, order], axis=1)
            # In every sample, so that the same levels serve all.
            needed = int((alarms <= allowed[:, None] + 1).sum(axis=1).max())
            floors[c] = peaks[order[needed], c] if needed < len(order) else -np.inf
    return floors


def _roc(counted: Points, events: float, seconds: float, setting: Setting) -> Roc:
    """True positive rate and the effective false alarms an hour from which on it is reached."""
    alarms = counted.false_positives / seconds
    if setting.cross_trigger_cost:
        alarms = alarms + setting.cross_trigger_cost * counted.cross_triggers
    alarms = alarms * HOUR_S
    within = alarms <= setting.most_false_alarms
    alarms, rate = alarms[within], counted.true_positives[within] / events
    order = np.lexsort((rate, alarms))
    rate, alarms = np.maximum.accumulate(rate[order]), alarms[order]
    last = np.append(alarms[1:] != alarms[:-1], True)
    return Roc(rate[last], alarms[last])


def _joint(curves: Sequence[Roc | None], setting: Setting) -> Psds:
    most = setting.most_false_alarms
    known = [each for each in curves if each is not None]
    silent = tuple(c for c, each in enumerate(curves) if each is None)
    by_class = np.array([np.nan if each is None else each.area(most) for each in curves])
    if not known:
        return Psds(float("nan"), by_class, silent, None, tuple(curves))
    at = np.unique(np.concatenate([each.alarms for each in known]))
    # In blocks: all points of all curves would grow with the square of the classes.
    blocks = np.split(at, range(_BLOCK, len(at), _BLOCK))
    curve = Roc(np.concatenate([_mean(known, block, setting) for block in blocks]), at)
    return Psds(curve.area(most), by_class, silent, curve, tuple(curves))


def _mean(curves: Sequence[Roc], at: Floats, setting: Setting) -> Floats:
    """The classes' mean rate less the cost of their differences, float64 (point,)."""
    rates = np.stack([each.at(at) for each in curves])
    joint = rates.mean(axis=0) - setting.instability_cost * rates.std(axis=0)
    return np.asarray(np.maximum(joint, 0), np.float64)
