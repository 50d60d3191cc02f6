"""Detections and events one to one: by overlap or by collars around onset and offset.

Which detection is held against which event is an assignment problem. It is solved so that as many
as possible are matched and, among these solutions, the matches fit best; a greedy choice counts
fewer. Sources: Mesaros, Heittola, Virtanen, "Metrics for polyphonic sound event detection", Applied
Sciences 6 (2016), for collars; Kuhn, Naval Research Logistics 2 (1955), for the assignment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.counts import Counts
from soundgate.audio.metrics.events.intervals import (
    Intervals,
    Pairs,
    overlapping,
    starting_within,
)

if TYPE_CHECKING:
    from soundgate.audio.metrics.events.intervals import Floats, Ints

_ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Collar:
    """How far a detection may be off.

    The onset may differ by ``onset_s``. The offset may differ by the larger of ``offset_s`` and
    ``offset_share`` of the event's length; ``None``: offsets do not count.
    """

    onset_s: float = 0.2
    offset_s: float | None = 0.2
    offset_share: float = 0.2


def match_iou(events: Intervals, detections: Intervals, least: float) -> Pairs:
    """Match by intersection over union, within clip and class.

    Args:
        events: the ground truth.
        detections: what a system found.
        least: the smallest intersection over union of a match, above 0 and at most 1.

    Returns:
        Index of event and of detection of each match, by event.
    """
    pairs, shared = overlapping(events, detections, same_label=True)
    union = events.length_s[pairs.left] + detections.length_s[pairs.right] - shared
    quality = shared / union
    fits = quality >= least - _ROUNDING
    return _assigned(pairs.where(fits), quality[fits])


def match_collar(events: Intervals, detections: Intervals, collar: Collar) -> Pairs:
    """Match by collars, within clip and class.

    Args:
        events: the ground truth.
        detections: what a system found.
        collar: how far a match may be off.

    Returns:
        Index of event and of detection of each match, by event.
    """
    pairs = starting_within(events, detections, collar.onset_s)
    if collar.offset_s is not None:
        allowed = np.maximum(collar.offset_s, collar.offset_share * events.length_s[pairs.left])
        off = np.abs(events.end_s[pairs.left] - detections.end_s[pairs.right])
        pairs = pairs.where(off <= allowed + _ROUNDING)
    off = np.abs(events.start_s[pairs.left] - detections.start_s[pairs.right])
    return _assigned(pairs, 1 / (1 + off))


def count(events: Intervals, detections: Intervals, matches: Pairs, classes: int) -> Counts:
    """Counts of each class, of matches that :func:`match_iou` or :func:`match_collar` found."""
    return Counts(
        np.bincount(events.label[matches.left], minlength=classes),
        np.bincount(events.label, minlength=classes),
        np.bincount(detections.label, minlength=classes),
    )


def _assigned(pairs: Pairs, quality: Floats) -> Pairs:
    """As many pairs as possible in which no index stands twice, the best of such choices.

    Only pairs that share an index depend on one another: each connected group is small, whatever
    the number of events, and solved by itself.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs.left):
        return pairs
    lefts, left = np.unique(pairs.left, return_inverse=True)
    rights, right = np.unique(pairs.right, return_inverse=True)
    if len(lefts) == len(rights) == len(left):
        return pairs  # no index stands twice: there is nothing to choose
    nodes = len(lefts) + len(rights)
    edges = coo_array((np.ones(len(left)), (left, right + len(lefts))), shape=(nodes, nodes))
    group = connected_components(edges, directed=False)[1][left]
    order = np.argsort(group, kind="stable")
    bounds = np.flatnonzero(np.diff(group[order], prepend=-1, append=-1))
    chosen = [
        members
        if len(members) == 1
        else members[_best(left[members], right[members], quality[members])]
        for members in np.split(order, bounds[1:-1])
    ]
    kept = np.sort(np.concatenate(chosen))
    return Pairs(pairs.left[kept], pairs.right[kept])


def _best(left: Ints, right: Ints, quality: Floats) -> Ints:
    """Indices of the pairs of one group that are chosen."""
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(left, return_inverse=True)
    columns, column = np.unique(right, return_inverse=True)
    place = np.full((len(rows), len(columns)), -1)
    place[row, column] = np.arange(len(left))
    worth = np.zeros(place.shape)
    # One match more outweighs all qualities, each of which is at most 1.
    worth[row, column] = min(place.shape) + 1 + quality
    found = place[linear_sum_assignment(worth, maximize=True)]
    return np.asarray(found[found >= 0], np.int64)
