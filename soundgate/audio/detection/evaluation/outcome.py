"""Detections matched with calls at one operating point, and every figure of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.detection.evaluation import tallies
from soundgate.audio.formats.reports.events import FALSE_ALARM, HIT, MISSED, EventResult
from soundgate.audio.metrics.events.matching import Collar, count, match_collar, match_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.audio.detection.evaluation.decoding import Detections
    from soundgate.audio.detection.evaluation.truth import Truth
    from soundgate.audio.formats.reports.events import EventKind
    from soundgate.audio.metrics.events.counts import Counts
    from soundgate.audio.metrics.events.intervals import Bools, Floats, Intervals, Ints, Pairs

_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found, missed and made up."""

    truth: Truth
    found: Detections
    matches: Pairs
    """Call and detection of each hit."""

    @property
    def counts(self) -> Ints:
        """Hits, calls and detections of each tape, int64 (tape, 3)."""
        return tallies.tally(self.truth, self.found.events, self.matches)

    @property
    def is_hit(self) -> Bools:
        """Bool (event,): which calls were found."""
        hit = np.zeros(len(self.truth.events), bool)
        hit[self.matches.left] = True
        return hit

    @property
    def is_right(self) -> Bools:
        """Bool (detection,): which detections are calls."""
        right = np.zeros(len(self.found), bool)
        right[self.matches.right] = True
        return right

    def start_errors_ms(self) -> Floats:
        """How much too late each hit begins, float64 (hit,)."""
        detected, called = self.found.events.start_s, self.truth.events.start_s
        return 1000 * (detected[self.matches.right] - called[self.matches.left])

    def end_errors_ms(self) -> Floats:
        """How much too late each hit ends, float64 (hit,)."""
        detected, called = self.found.events.end_s, self.truth.events.end_s
        return 1000 * (detected[self.matches.right] - called[self.matches.left])

    def by_class(self) -> Counts:
        """Counts of each class."""
        classes = len(self.truth.classes)
        return count(self.truth.events, self.found.events, self.matches, classes)

    def quality_counts(self, quality: int) -> Ints:
        """Found calls and calls of a quality, of each tape, int64 (tape, 2)."""
        tape, tapes = self.truth.tape_numbers, len(self.truth.tape_names)
        own = self.truth.qualities == quality
        of = self.truth.events.clip
        columns = [
            np.bincount(tape[of[each]], minlength=tapes) for each in (own & self.is_hit, own)
        ]
        return np.stack(columns, axis=1).astype(np.int64)

    def results(self) -> Iterator[EventResult]:
        """Yield the rows of ``events.jsonl``: calls by recording and time, then false alarms."""
        detections = dict(zip(self.matches.left.tolist(), self.matches.right.tolist(), strict=True))
        for call in range(len(self.truth.events)):
            yield self._of_call(call, detections.get(call))
        for false in np.flatnonzero(~self.is_right).tolist():
            alarm = self._row(FALSE_ALARM, self.found.events, false)
            yield self._with_detection(alarm, false)

    def _of_call(self, call: int, detection: int | None) -> EventResult:
        events = self.truth.events
        row = replace(
            self._row(MISSED if detection is None else HIT, events, call),
            true_start_s=_rounded(events.start_s[call]),
            true_end_s=_rounded(events.end_s[call]),
            quality=int(self.truth.qualities[call]) or None,
        )
        return row if detection is None else self._with_detection(row, detection)

    def _row(self, kind: EventKind, events: Intervals, index: int) -> EventResult:
        recording, label = int(events.clip[index]), int(events.label[index])
        return EventResult(
            kind=kind,
            path=self.truth.recordings[recording],
            tape=self.truth.tapes[recording],
            label=self.truth.classes[label],
        )

    def _with_detection(self, row: EventResult, index: int) -> EventResult:
        found = self.found
        return replace(
            row,
            start_s=_rounded(found.events.start_s[index]),
            end_s=_rounded(found.events.end_s[index]),
            score=_rounded(found.scores[index]),
            logit=_rounded(found.logits[index]),
        )


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS)


def outcome_of(truth: Truth, found: Detections, iou: float) -> Outcome:
    """Match detections with calls, one to one, at an intersection over union of ``iou``."""
    return Outcome(truth, found, match_iou(truth.events, found.events, iou))


def with_collar(truth: Truth, found: Detections, collar_s: float) -> Ints:
    """Counts of each tape where onset and offset must lie within a collar, int64 (tape, 3)."""
    collar = Collar(collar_s, collar_s)
    return tallies.tally(truth, found.events, match_collar(truth.events, found.events, collar))


def correlations(counts: Ints) -> tuple[float, float]:
    """Pearson's and Spearman's, of calls and detections of each tape; NaN where undefined."""
    calls, found = (counts[:, k].astype(np.float64) for k in (tallies.CALLS, tallies.DETECTIONS))
    return _pearson(calls, found), _pearson(_ranks(calls), _ranks(found))


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else float("nan")


def _ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[which.reshape(-1)], np.float64)
