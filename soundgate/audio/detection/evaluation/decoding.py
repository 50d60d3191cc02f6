"""From the scores of windows to detections: threshold, merging, and the score of what is merged.

A window is positive where its score reaches the threshold. Positive windows that overlap or touch
are one detection, from the start of the first to the end of the last. Windows are longer than the
step between them, so that a detection is longer than its call; ``trim_share`` takes a share of the
window off both sides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.metrics.events.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from soundgate.audio.metrics.events.intervals import Bools, Floats, Ints

_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Windows:
    """What a detector said of one recording, on the axis of its file."""

    recording: int
    """Number of the recording, from 0."""
    starts_s: Floats
    """Float64 (window,), ascending."""
    scores: NDArray[np.floating]
    """Probabilities, (window, class)."""
    logits: NDArray[np.floating]
    """(window, class)."""
    length_s: float
    hop_s: float
    duration_s: float
    """Of the recording: no detection ends later."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How windows become detections."""

    threshold: float
    """The score from which on a window is positive."""
    trim_share: float = 0.0
    """Share of a window that is taken off both ends of a detection, below 0.5."""
    merge_gap_s: float = 0.0
    """Positive windows that are at most so far apart are one detection."""
    least_s: float = 0.0
    """Shorter detections are left out."""

    def at(self, threshold: float) -> Decoding:
        """The same with another threshold."""
        return replace(self, threshold=threshold)


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found, with scores; arrays (detection,)."""

    events: Intervals
    scores: Floats
    """The highest score of a window of the detection."""
    logits: Floats
    """Mean logit of the windows that overlap it, each weighted by the overlap."""

    def __len__(self) -> int:
        """Number of detections."""
        return len(self.events)

    def where(self, mask: Bools | Ints) -> Detections:
        """The detections of a mask, or at indices."""
        return Detections(self.events.where(mask), self.scores[mask], self.logits[mask])

    @classmethod
    def joined(cls, parts: Sequence[Detections]) -> Detections:
        """All detections of several sets, one after another."""
        events = [part.events for part in parts]
        columns = [
            np.concatenate([getattr(each, name) for each in events]) if events else np.empty(0)
            for name in ("clip", "label", "start_s", "end_s")
        ]
        scores, logits = (
            np.concatenate([getattr(part, name) for part in parts]) if parts else np.empty(0)
            for name in ("scores", "logits")
        )
        return cls(Intervals.of(*columns), scores, logits)


def decode(windows: Sequence[Windows], decoding: Decoding) -> Intervals:
    """Detections of all recordings and classes, by recording, class and time."""
    parts = [
        (each.recording, label, *_merged(each, label, decoding))
        for each in windows
        for label in range(each.scores.shape[1])
    ]
    counts = [len(part[2]) for part in parts]
    return Intervals.of(
        np.repeat([part[0] for part in parts], counts),
        np.repeat([part[1] for part in parts], counts),
        np.concatenate([part[2] for part in parts]) if parts else (),
        np.concatenate([part[3] for part in parts]) if parts else (),
    )


def decode_with_scores(windows: Sequence[Windows], decoding: Decoding) -> Detections:
    """Detections as :func:`decode` finds them, with their scores and mean logits."""
    events = decode(windows, decoding)
    scores, logits = np.zeros((2, len(events)))
    for each in windows:
        for label in range(each.scores.shape[1]):
            own = np.flatnonzero((events.clip == each.recording) & (events.label == label))
            scores[own], logits[own] = _scored(each, label, events.where(own))
    return Detections(events, scores, logits)


def trimmed_s(windows: Windows, decoding: Decoding) -> float:
    """Seconds taken off both ends; never so much that windows in a row no longer touch."""
    room = max(windows.length_s - windows.hop_s, 0.0) / 2
    return min(decoding.trim_share * windows.length_s, room)


def _merged(windows: Windows, label: int, decoding: Decoding) -> tuple[Floats, Floats]:
    """Start and end of each run of positive windows."""
    trim_s = trimmed_s(windows, decoding)
    starts = windows.starts_s[windows.scores[:, label] >= decoding.threshold]
    if not len(starts):
        return starts, starts
    ends = np.minimum(starts + (windows.length_s - trim_s), windows.duration_s)
    starts = starts + trim_s
    apart = starts[1:] - ends[:-1] > decoding.merge_gap_s + _ROUNDING_S
    first = np.concatenate(([True], apart))
    last = np.concatenate((apart, [True]))
    starts, ends = starts[first], ends[last]
    inside = (starts < ends) & (ends - starts >= decoding.least_s - _ROUNDING_S)
    return starts[inside], ends[inside]


def _scored(windows: Windows, label: int, events: Intervals) -> tuple[Floats, Floats]:
    """Highest score and overlap-weighted mean logit of each detection."""
    ends = windows.starts_s + windows.length_s
    first = np.searchsorted(ends, events.start_s + _ROUNDING_S, side="right")
    last = np.searchsorted(windows.starts_s, events.end_s - _ROUNDING_S, side="left")
    owner, at = _ranges(first, last)
    overlap = np.minimum(ends[at], events.end_s[owner]) - np.maximum(
        windows.starts_s[at], events.start_s[owner]
    )
    weight = np.bincount(owner, overlap, len(events))
    logits = np.bincount(owner, overlap * windows.logits[at, label], len(events))
    highest = np.full(len(events), -np.inf)
    np.maximum.at(highest, owner, windows.scores[at, label].astype(np.float64))
    return highest, logits / weight


def _ranges(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Every index from ``first`` to before ``last``, and whose range it is of."""
    counts = last - first
    owner = np.repeat(np.arange(len(first)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, within + np.repeat(first, counts)
