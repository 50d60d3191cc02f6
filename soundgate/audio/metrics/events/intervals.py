"""Many events as arrays, and which of them meet."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Events of clips, one an index; all arrays have the shape (event,)."""

    clip: Ints
    """Number of the clip, from 0."""
    label: Ints
    """Number of the class, from 0."""
    start_s: Floats
    end_s: Floats

    @classmethod
    def of(cls, clip: object, label: object, start_s: object, end_s: object) -> Intervals:
        """From anything that NumPy makes arrays of."""
        return cls(
            np.asarray(clip, np.int64).reshape(-1),
            np.asarray(label, np.int64).reshape(-1),
            np.asarray(start_s, np.float64).reshape(-1),
            np.asarray(end_s, np.float64).reshape(-1),
        )

    def __len__(self) -> int:
        """Number of events."""
        return len(self.clip)

    @property
    def length_s(self) -> Floats:
        """Seconds of each, float64 (event,)."""
        return self.end_s - self.start_s

    def where(self, mask: Bools | Ints) -> Intervals:
        """The events of a mask, or at indices."""
        return Intervals(*(getattr(self, field.name)[mask] for field in fields(self)))


class Pairs(NamedTuple):
    """Events of two sets that meet; arrays (pair,)."""

    left: Ints
    """Index in the first set."""
    right: Ints
    """Index in the second set."""

    def where(self, mask: Bools) -> Pairs:
        """The pairs of a mask."""
        return Pairs(self.left[mask], self.right[mask])


def overlapping(left: Intervals, right: Intervals, *, same_label: bool) -> tuple[Pairs, Floats]:
    """All pairs of one clip that overlap, and for how long.

    Work and memory grow with the number of candidates, not with the square of the events: among
    events that are sorted by start, those that can overlap one stand together.

    Args:
        left: events.
        right: events.
        same_label: only pairs of one class.

    Returns:
        The pairs in the order of ``left``, and their seconds of overlap, above 0, float64 (pair,).
    """
    keys = [_keys(each, same_label=same_label) for each in (left, right)]
    order = np.lexsort((right.start_s, keys[1]))
    other = right.where(order)
    key = keys[1][order]
    reached = _running_maximum(other.end_s, key)
    first = _count(key, reached, keys[0], left.start_s, or_equal=True)
    last = _count(key, other.start_s, keys[0], left.end_s, or_equal=False)
    pairs = _ranges(first, last)
    seconds = np.minimum(left.end_s[pairs.left], other.end_s[pairs.right]) - np.maximum(
        left.start_s[pairs.left], other.start_s[pairs.right]
    )
    meet = seconds > 0
    pairs = pairs.where(meet)
    return Pairs(pairs.left, order[pairs.right]), seconds[meet]


def merged(events: Intervals, *, touching: bool = False) -> Intervals:
    """Events of which those of one clip and class that overlap are one, by clip, class and start.

    Args:
        events: of any order.
        touching: whether those are one, too, of which one ends where the next starts, to a
            microsecond.
    """
    if not len(events):
        return events
    order = np.lexsort((events.start_s, events.label, events.clip))
    events = events.where(order)
    key = _keys(events, same_label=True)
    reached = _running_maximum(events.end_s, key)
    apart = events.start_s[1:] > reached[:-1] + 1e-6
    if not touching:
        apart = events.start_s[1:] >= reached[:-1]
    begins = np.flatnonzero(np.concatenate(([True], apart | (key[1:] != key[:-1]))))
    first = events.where(begins)
    ends = np.maximum.reduceat(events.end_s, begins)
    return Intervals(first.clip, first.label, first.start_s, ends)


def starting_within(left: Intervals, right: Intervals, slack_s: float) -> Pairs:
    """All pairs of one clip and class whose starts differ by at most ``slack_s``.

    Args:
        left: events.
        right: events.
        slack_s: the largest difference; a billionth more is allowed, because 10.2 - 10 > 0.2.
    """
    keys = [_keys(each, same_label=True) for each in (left, right)]
    order = np.lexsort((right.start_s, keys[1]))
    starts, key = right.start_s[order], keys[1][order]
    slack_s += 1e-9
    first = _count(key, starts, keys[0], left.start_s - slack_s, or_equal=False)
    last = _count(key, starts, keys[0], left.start_s + slack_s, or_equal=True)
    pairs = _ranges(first, last)
    return Pairs(pairs.left, order[pairs.right])


def _keys(events: Intervals, *, same_label: bool) -> Ints:
    """A number for each clip, or each clip and class."""
    if not same_label:
        return events.clip
    classes = int(events.label.max(initial=0)) + 1
    return events.clip * max(classes, 1 << 20) + events.label


def _running_maximum(values: Floats, key: Ints) -> Floats:
    """The largest value of a key so far."""
    ranks = _ranks(values)
    # Keys ascend, so that one more key outweighs every rank of those before.
    groups = np.cumsum(np.diff(key, prepend=key[:1]) != 0)
    joint = np.maximum.accumulate(groups * (len(values) + 1) + ranks)
    ordered = np.sort(np.unique(values))
    return ordered[joint - groups * (len(values) + 1)] if len(values) else values


def _ranks(values: Floats) -> Ints:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _count(key: Ints, values: Floats, keys: Ints, bounds: Floats, *, or_equal: bool) -> Ints:
    """How many stand before each bound: of a smaller key, or of its key and a smaller value.

    ``values`` ascend within each key. Times become ranks, so that key and time are one number.
    """
    joint = np.unique(np.concatenate((values, bounds)), return_inverse=True)[1].reshape(-1)
    ranks, limits = joint[: len(values)], joint[len(values) :]
    every = np.unique(np.concatenate((key, keys)), return_inverse=True)[1].reshape(-1)
    groups, wanted = every[: len(key)], every[len(key) :]
    size = len(joint) + 1
    before, after = groups * size + ranks, wanted * size + limits
    if or_equal:
        return np.asarray(np.searchsorted(before, after, side="right"), np.int64)
    return np.asarray(np.searchsorted(before, after, side="left"), np.int64)


def _ranges(first: Ints, last: Ints) -> Pairs:
    """Pairs of each index with everything from ``first`` to before ``last``."""
    counts = np.maximum(last - first, 0)
    left = np.repeat(np.arange(len(first)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return Pairs(left, within + np.repeat(first, counts))
