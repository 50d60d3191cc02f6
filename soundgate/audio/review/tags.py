"""The section of a tagger: figures of each label and family, and small diagrams of each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.formats.reports.comparison import Comparison
    from soundgate.audio.formats.reports.report import Estimate
    from soundgate.audio.formats.reports.tags import Curve, LabelFigures, TagFigures, TagReport

DRAWN = 40
"""Most labels of which diagrams are drawn, the weakest first: more would make the page slow."""
SIDE = 100
"""Width and height of a diagram."""


@dataclass(frozen=True)
class Cell:
    """Clips with or without a label that were, or were not, given it."""

    count: int
    share: float
    """Of the clips with, or without, the label."""
    is_right: bool


@dataclass(frozen=True)
class Row:
    """A label, or a family of labels."""

    name: str
    figures: TagFigures
    threshold: float | None = None
    """None for a family."""
    champion_f1: float | None = None
    """On the compared clips; None where they were not compared on it."""
    difference: float | None = None
    """F1 less the champion's, on those clips."""

    @property
    def estimates(self) -> tuple[Estimate | None, ...]:
        """F1, precision, recall, average precision and ROC AUC; None where undefined."""
        known: TagFigures = self.figures
        precisions = known.average_precision, known.roc_auc
        if not known.positives:
            return (None,) * 5
        return known.f1, known.precision, known.recall, *precisions

    @property
    def confusion(self) -> tuple[tuple[Cell, Cell], tuple[Cell, Cell]]:
        """A row of clips with the label and one without; given, not given."""
        there, absent = self.figures.positives, self.figures.clips - self.figures.positives
        missed, alarms = self.figures.missed, self.figures.false_alarms

        def cell(count: int, total: int, *, is_right: bool) -> Cell:
            return Cell(count, round(count / max(total, 1), 3), is_right)

        return (
            (cell(there - missed, there, is_right=True), cell(missed, there, is_right=False)),
            (cell(alarms, absent, is_right=False), cell(absent - alarms, absent, is_right=True)),
        )


@dataclass(frozen=True)
class Diagrams:
    """Paths of a label's diagrams, each ``SIDE`` by ``SIDE``; empty where undefined."""

    row: Row
    roc: str
    precision_recall: str
    base: float
    """Height of the precision of giving the label to every clip."""
    with_label: str
    """Histogram of the scores of clips with the label, upwards from the middle."""
    without_label: str
    """Likewise of the others, downwards."""
    threshold_at: float


@dataclass(frozen=True)
class Section:
    """What the page shows of a tagger."""

    labels: Sequence[Row]
    """The weakest first, labels without a positive test clip last."""
    families: Sequence[Row]
    diagrams: Sequence[Diagrams]
    without_positives: Sequence[str]
    without_negatives: Sequence[str]


def section(report: TagReport, comparison: Comparison | None) -> Section:
    """Rows and diagrams of every label of a report."""
    compared = {row.label: row for row in comparison.per_class} if comparison else {}
    rows = []
    for name, known in report.labels.items():
        both = compared.get(name)
        shown = both if both is not None and both.clips > 0 else None
        rows.append(
            Row(
                name=name,
                figures=known,
                threshold=known.threshold,
                champion_f1=shown.champion.f1 if shown else None,
                difference=shown.difference.f1 if shown else None,
            )
        )
    rows = _weakest_first(rows)
    drawn = [row for row in rows if row.name in report.curves][:DRAWN]
    return Section(
        labels=rows,
        families=_weakest_first(Row(name, known) for name, known in report.families.items()),
        diagrams=[_diagrams(row, report.labels[row.name], report) for row in drawn],
        without_positives=report.one_sided.get("positives", ()),
        without_negatives=report.one_sided.get("negatives", ()),
    )


def _weakest_first(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (not row.figures.positives, row.figures.f1.value, row.name))


def _diagrams(row: Row, known: LabelFigures, report: TagReport) -> Diagrams:
    curves = report.curves[row.name]
    without, having = zip(*known.histogram, strict=True) if known.histogram else ((), ())
    return Diagrams(
        row=row,
        roc=_line(curves.roc),
        precision_recall=_line(curves.precision_recall),
        base=_y(known.positives / max(known.clips, 1)),
        with_label=_steps(having, -1),
        without_label=_steps(without, 1),
        threshold_at=round(SIDE * known.threshold, 1),
    )


def _y(share: float) -> float:
    return round(SIDE * (1 - share), 1)


def _line(curve: Curve) -> str:
    points = [f"{round(SIDE * x, 1):g},{_y(y):g}" for x, y in zip(curve.x, curve.y, strict=True)]
    return "M" + "L".join(dict.fromkeys(points)) if points else ""


def _steps(counts: Sequence[int], direction: int) -> str:
    """Bars from the middle, the fullest half as high as the diagram."""
    fullest, middle = max(counts, default=0), SIDE / 2
    if not fullest:
        return ""
    width, path = SIDE / len(counts), f"M0,{middle:g}"
    for k, count in enumerate(counts):
        height = middle + direction * (middle - 4) * count / fullest
        path += f"V{height:.1f}H{width * (k + 1):g}"
    return f"{path}V{middle:g}Z"
