"""The section of a detector: leaderboard, thresholds, qualities, tapes, boundaries, and sounds.

False alarms come first: what a detector makes up is heard at once, what it misses has to be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.files import reading
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.formats.reports.events import FALSE_ALARM, HIT, MISSED
from soundgate.audio.review.charts import HEIGHT, WIDTH, ticks
from soundgate.audio.review.clips import MEDIA_BYTES
from soundgate.audio.review.media import LONGEST_S, Media, media
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.formats.reports.events import (
        Boundary,
        EventKind,
        EventReport,
        EventResult,
        SweepPoint,
        TapeFigures,
    )
    from soundgate.audio.review.evidence import Evidence

MOST: Final[dict[EventKind, int]] = {FALSE_ALARM: 12, MISSED: 8, HIT: 4}
"""Most sounds shown of each kind, in the order of the page."""
MARGIN_S: Final = 1.0
"""Shown before and after an event."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 32


@dataclass(frozen=True)
class Mark:
    """A stretch of a picture, in percent of its width."""

    left: float
    width: float
    title: str


@dataclass(frozen=True)
class Card:
    """An event to hear."""

    result: EventResult
    start_s: float
    """Where what is shown begins, seconds of the file."""
    calls: Sequence[Mark]
    detections: Sequence[Mark]
    media: Media | None
    problem: str
    """Why there is no sound; empty where there is."""


@dataclass(frozen=True)
class Selection:
    """The events to hear, and how many there are of each kind."""

    cards: Sequence[Card]
    counts: dict[EventKind, int]
    tested: int

    def shown(self, kind: str) -> int:
        """How many cards are of a kind."""
        return sum(card.result.kind == kind for card in self.cards)

    @property
    def kinds(self) -> list[str]:
        """The kinds that there are cards of, in the order of the page."""
        return [kind for kind in MOST if self.shown(kind)]


@dataclass(frozen=True)
class Chart:
    """Lines over thresholds, or precision over recall; all within 0 and 1."""

    lines: tuple[tuple[str, str, str], ...]
    """Name, style and path of each."""
    mark: tuple[float, float] | None
    """Where the chosen threshold is."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


@dataclass(frozen=True)
class Bar:
    """Hits with an error in a range."""

    x: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Histogram:
    """Errors of starts, or of ends."""

    name: str
    boundary: Boundary
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Section:
    """What the page shows of a detector."""

    report: EventReport
    thresholds: Chart
    precision_recall: Chart
    tapes: Sequence[TapeFigures]
    """The worst first; tapes where nothing is and nothing was found last."""
    histograms: Sequence[Histogram]
    selection: Selection


def section(evidence: Evidence, report: EventReport) -> Section:
    """Everything of the section; sounds are read from the benchmark's recordings."""
    point = report.operating_point.threshold
    return Section(
        report=report,
        thresholds=_over_thresholds(report.sweep, point),
        precision_recall=_precision_recall(report.sweep, point),
        tapes=sorted(report.tapes, key=lambda t: (t.f1 is None, t.f1 or 0.0, t.tape)),
        histograms=[
            _histogram(name, boundary)
            for name, boundary in (("Starts", report.starts), ("Ends", report.ends))
            if boundary is not None
        ],
        selection=select(evidence),
    )


def _at(x: float, y: float) -> tuple[float, float]:
    across, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    return round(_LEFT + across * x, 1), round(_TOP + high * (1 - y), 1)


def _path(points: Iterable[tuple[float, float]]) -> str:
    placed = [f"{x:g},{y:g}" for x, y in (_at(*point) for point in points)]
    return "M" + "L".join(dict.fromkeys(placed)) if placed else ""


def _over_thresholds(sweep: Sequence[SweepPoint], chosen: float) -> Chart:
    lines = tuple(
        (name, style, _path((p.threshold, getattr(p, field)) for p in sweep if _known(p, field)))
        for name, style, field in (
            ("F1", "one", "f1"),
            ("precision", "two", "precision"),
            ("recall", "three", "recall"),
        )
    )
    return Chart(lines, _at(chosen, 0))


def _known(point: SweepPoint, field: str) -> bool:
    # without any detection there is no precision to draw
    return getattr(point, field) is not None and (field != "precision" or point.detections > 0)


def _precision_recall(sweep: Sequence[SweepPoint], chosen: float) -> Chart:
    points = [p for p in sweep if p.recall is not None and p.detections]
    line = _path((p.recall or 0.0, p.precision) for p in points)
    mark = next((_at(p.recall or 0.0, p.precision) for p in points if p.threshold == chosen), None)
    return Chart((("precision over recall", "one", line),), mark)


def _histogram(name: str, boundary: Boundary) -> Histogram:
    fullest, steps = max(boundary.histogram), len(boundary.histogram)
    step_ms = 2 * boundary.reach_ms / steps
    width, high = (WIDTH - _LEFT - _RIGHT) / steps, HEIGHT - _TOP - _BOTTOM
    bars = tuple(
        Bar(
            x=round(_LEFT + width * k, 1),
            width=round(width, 1),
            height=round(high * count / fullest, 1),
            title=f"{count} from {k * step_ms - boundary.reach_ms:g} ms",
        )
        for k, count in enumerate(boundary.histogram)
        if count
    )
    reach = boundary.reach_ms
    marks = tuple((_at((t + reach) / (2 * reach), 0)[0], f"{t:g}") for t in ticks(-reach, reach))
    return Histogram(name, boundary, bars, marks)


def select(evidence: Evidence) -> Selection:
    """Choose the events to hear: the surest false alarms, clear calls missed, the poorest hits."""
    rows = evidence.events
    by_kind = {kind: [row for row in rows if row.kind == kind] for kind in MOST}
    chosen = [
        *sorted(by_kind[FALSE_ALARM], key=lambda r: (-(r.score or 0), r.path, r.span_s)),
        *sorted(by_kind[MISSED], key=lambda r: (-(r.quality or 0), r.path, r.span_s)),
        *sorted(by_kind[HIT], key=lambda r: (-_off_s(r), r.path, r.span_s)),
    ]
    left, cards, size_bytes = dict(MOST), [], 0
    wanted = []
    for row in chosen:
        left[row.kind] -= 1
        wanted += [row] if left[row.kind] >= 0 else []
    with one_torch_thread():
        for row in track(wanted, total=len(wanted), label="detections"):
            card = _card(row, rows, evidence)
            size_bytes += card.media.size_bytes if card.media else 0
            if size_bytes > MEDIA_BYTES:
                break
            cards.append(card)
    return Selection(cards, {kind: len(found) for kind, found in by_kind.items()}, len(rows))


def _off_s(row: EventResult) -> float:
    """By how much a hit's boundaries are off together."""
    starts, ends = (row.start_s, row.true_start_s), (row.end_s, row.true_end_s)
    return sum(abs(a - b) for a, b in (starts, ends) if a is not None and b is not None)


def _card(row: EventResult, rows: Sequence[EventResult], evidence: Evidence) -> Card:
    first, last = row.span_s
    start_s = max(first - MARGIN_S, 0.0)
    end_s = min(last + MARGIN_S, start_s + LONGEST_S)
    sound, problem = None, "the run kept no audio for this page"
    if evidence.clips is not None and evidence.pictured is not None:
        path = evidence.clips / row.path
        try:
            end_s = min(end_s, reading.info(path).duration_s)
            sound, problem = media(path, start_s, end_s, evidence.pictured), ""
        except DataError as error:
            problem = str(error).replace(f"{evidence.clips}/", "")
    beside = [other for other in rows if other.path == row.path]
    spans = [(each.true_start_s, each.true_end_s, "call") for each in beside]
    found = [(each.start_s, each.end_s, f"detection, {each.score or 0:.2f}") for each in beside]
    return Card(
        result=row,
        start_s=start_s,
        calls=_marks(spans, start_s, end_s),
        detections=_marks(found, start_s, end_s),
        media=sound,
        problem=problem,
    )


def _marks(
    spans: Iterable[tuple[float | None, float | None, str]], start_s: float, end_s: float
) -> list[Mark]:
    """The parts of stretches that are shown."""
    scale = 100 / max(end_s - start_s, 1e-9)
    marks = []
    for first, last, title in spans:
        if first is None or last is None or last <= start_s or first >= end_s:
            continue
        left, right = max(first, start_s), min(last, end_s)
        about = f"{title}, {first:.2f} s to {last:.2f} s"
        marks.append(
            Mark(round(scale * (left - start_s), 2), round(scale * (right - left), 2), about)
        )
    return marks
