"""Segment-based counts: is a class active in a segment of fixed length?

Source: Mesaros, Heittola, Virtanen, Applied Sciences 6 (2016), section 3.1. A segment is active
where an event covers any part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.counts import Counts

if TYPE_CHECKING:
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Ints

_ROUNDING: Final = 1e-9


def count(
    events: Intervals,
    detections: Intervals,
    classes: int,
    length_s: float,
    clips_s: Floats | None = None,
) -> Counts:
    """Counts of active segments of each class.

    Args:
        events: the ground truth.
        detections: what a system found.
        classes: how many there are.
        length_s: seconds of a segment, counted from the start of each clip.
        clips_s: length of each clip, float64 (clip,); what is beyond its end does not count. None:
            everything counts, as in sed_eval.

    Returns:
        Counts in which a segment of a class is an event, and a detection.
    """
    if clips_s is None:
        clips = [int(each.clip.max(initial=-1)) + 1 for each in (events, detections)]
        ends = [float(each.end_s.max(initial=0.0)) for each in (events, detections)]
        clips_s = np.full(max(clips), max(ends))
    true, found = (active(each, classes, length_s, clips_s) for each in (events, detections))
    both = np.intersect1d(true, found, assume_unique=True)
    sums = (np.bincount(each % classes, minlength=classes) for each in (both, true, found))
    return Counts(*sums)


def per_clip(clips_s: Floats, length_s: float) -> Ints:
    """How many segments each clip has, int64 (clip,); the last may be shorter."""
    return np.ceil(clips_s / length_s - _ROUNDING).astype(np.int64)


def active(events: Intervals, classes: int, length_s: float, clips_s: Floats) -> Ints:
    """Each active segment of each class once, as ``segment * classes + class``.

    Args:
        events: of the clips.
        classes: how many there are.
        length_s: seconds of a segment, counted from the start of each clip.
        clips_s: length of each clip, float64 (clip,).

    Returns:
        Numbers in ascending order, int64; segments are counted through all clips.
    """
    number = per_clip(clips_s, length_s)
    before = np.cumsum(number) - number
    first = np.floor(events.start_s / length_s + _ROUNDING).astype(np.int64)
    last = np.ceil(events.end_s / length_s - _ROUNDING).astype(np.int64)
    last = np.minimum(last, number[events.clip])
    counts = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(events)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    segment = before[events.clip[owner]] + first[owner] + within
    return np.unique(segment * classes + events.label[owner])
