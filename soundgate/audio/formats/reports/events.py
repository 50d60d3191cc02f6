"""What only the report of a detector has: its operating point, curves, qualities, tapes, events.

Sections are further fields of ``evaluation.json``. ``events.jsonl`` has a row for every call of the
test recordings and for every detection that is none.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import (
    JsonObject,
    Record,
    read_lines,
    read_record,
    write_lines,
)
from soundgate.audio.formats.reports.report import REPORT, Estimate, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

EVENTS_FORMAT: Final = "soundgate.event_results/1"
EVENTS: Final = "events.jsonl"
EventKind = Literal["hit", "missed", "false_alarm"]
HIT: Final = "hit"
MISSED: Final = "missed"
FALSE_ALARM: Final = "false_alarm"

Share = Annotated[float, Field(ge=0, le=1)]


class Detector(Record):
    """What found the detections."""

    variant: str
    """Name of the model among those that were compared."""
    window: str
    """``len400_hop050``."""
    window_s: float
    hop_s: float
    digest: str
    """SHA-256 of the model's files."""


class OperatingPoint(Record):
    """How windows became detections, and detections hits."""

    threshold: float
    trim_share: float
    """Share of a window that was taken off both ends of a detection."""
    least_s: float = 0.0
    """Shorter detections were left out."""
    merge_gap_s: float
    iou: float
    """Least intersection over union of a hit."""
    collar_s: float
    """Of ``collar_f1``."""
    chosen_on_validation: bool
    """False: validation recordings had no call that could choose the threshold."""


class SweepPoint(Record):
    """All detections at a threshold."""

    threshold: float
    detections: int
    precision: Share
    recall: Share | None
    f1: Share | None


class QualityFigures(Record):
    """Calls of one quality."""

    quality: int
    """As the annotator graded it; 0: not graded."""
    calls: int
    found: int
    recall: Estimate
    f1: Share
    """Of this recall and the precision of all detections: a false alarm has no quality."""


class TapeFigures(Record):
    """Recordings of one tape."""

    tape: str
    seconds: float
    calls: int
    detections: int
    hits: int
    precision: Share
    recall: Share | None
    f1: Share | None
    """None where nothing is there and nothing was found."""


class Boundary(Record):
    """By how much detections of calls begin, or end, too late; negative: too early."""

    mean_absolute_ms: float
    median_ms: float
    low_ms: float
    """A tenth is below."""
    high_ms: float
    """A tenth is above."""
    histogram: tuple[int, ...]
    """Hits by error, in equal steps from -``reach_ms`` to ``reach_ms``, outliers at the ends."""
    reach_ms: float


class Candidate(Record):
    """A model with a window, as a leaderboard shows it."""

    variant: str
    window: str
    threshold: float
    validation_f1: Estimate | None
    """What it was chosen by."""
    event_f1: Estimate
    event_precision: Estimate
    event_recall: Estimate | None = None
    average_precision: Estimate | None = None
    chosen: bool = False


class EventReport(Report):
    """``evaluation.json`` of a detector."""

    detector: Detector
    operating_point: OperatingPoint
    sweep: tuple[SweepPoint, ...]
    qualities: tuple[QualityFigures, ...] = ()
    tapes: tuple[TapeFigures, ...] = ()
    starts: Boundary | None = None
    """None where nothing was hit."""
    ends: Boundary | None = None
    leaderboard: tuple[Candidate, ...] = ()
    """Where several were compared, the best on validation recordings first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """A row of ``events.jsonl``; times are seconds on the axis of the recording's file."""

    kind: EventKind
    path: str
    tape: str
    label: str
    start_s: float | None = None
    """Of the detection; None where the call was missed."""
    end_s: float | None = None
    true_start_s: float | None = None
    """Of the call; None of a false alarm."""
    true_end_s: float | None = None
    quality: int | None = None
    score: float | None = None
    """The highest score of a window."""
    logit: float | None = None
    """Mean over the windows, weighted by their overlap with the detection."""

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first to the last second of call and detection."""
        times = (self.start_s, self.end_s, self.true_start_s, self.true_end_s)
        known = [time for time in times if time is not None]
        return min(known), max(known)


def read_event_report(folder: Path) -> EventReport:
    """The report of a detector in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another system.
    """
    return read_record(folder / REPORT, EventReport, remedy="evaluate the detector again")


def is_of_events(report: Report) -> bool:
    """Whether a report, read without knowing its system, is a detector's."""
    return "operating_point" in (report.model_extra or {})


def read_events(path: Path) -> Iterator[EventResult]:
    """Yield the rows of ``events.jsonl``.

    Raises:
        DataError: the file is missing or damaged; names the line.
    """
    return read_lines(path, _event, remedy="evaluate the detector again")


def write_events(path: Path, rows: Iterable[EventResult]) -> None:
    """Write ``events.jsonl``; what a row does not have is left out."""
    write_lines(path, map(_fields, rows))


def calls_digest(folder: Path, report: Report) -> str:
    """SHA-256 of the calls that a report was tested with: recordings, times and labels.

    Empty where the report has no rows of events.

    Raises:
        DataError: the rows are missing or damaged.
    """
    if report.results is None or report.results.format != EVENTS_FORMAT:
        return ""
    calls = sorted(
        json.dumps([row.path, row.true_start_s, row.true_end_s, row.label])
        for row in read_events(folder / report.results.file)
        if row.kind != FALSE_ALARM
    )
    return hashlib.sha256("\n".join(calls).encode()).hexdigest()


def _event(row: JsonObject) -> EventResult:
    if row["kind"] not in (HIT, MISSED, FALSE_ALARM):
        raise ValueError(f"kind {row['kind']!r}")
    return EventResult(**row)


def _fields(row: EventResult) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if value is not None}
