"""The sections of a report that only multi-label tagging has: ``labels``, ``families``, ``curves``.

Each is a further field of ``evaluation.json``; a gate reads ``labels.cel.f1.value``, say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import Field

from soundgate.audio.formats.record import Record, read_record
from soundgate.audio.formats.reports.report import REPORT, Estimate, Report

if TYPE_CHECKING:
    from pathlib import Path

METRICS: Final = ("f1", "precision", "recall", "average_precision", "roc_auc")
"""Of a label or a family; each is an ``Estimate``, or None where it is undefined."""


class TagFigures(Record):
    """How well one label, or one family of labels, is found; figures 0 to 1."""

    f1: Estimate
    precision: Estimate
    recall: Estimate
    average_precision: Estimate | None
    roc_auc: Estimate | None
    clips: int
    """Clips of which it is known whether they carry it."""
    positives: int
    """Those that do."""
    missed: int
    """Those that do, and it was not given."""
    false_alarms: int
    """Those that do not, and it was given."""


class LabelFigures(TagFigures):
    """Of a label."""

    threshold: float
    """The score from which on it is given."""
    histogram: tuple[tuple[int, int], ...]
    """Clips without and with it, by score in equal steps from 0 to 1."""


class Curve(Record):
    """Points of a curve, from the highest threshold to the lowest."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Curves(Record):
    """Of one label; empty where undefined."""

    roc: Curve
    """False-positive rate and true-positive rate."""
    precision_recall: Curve
    """Recall and precision."""


class TagReport(Report):
    """``evaluation.json`` of a tagger."""

    labels: dict[str, LabelFigures]
    families: dict[str, TagFigures] = Field(default_factory=dict)
    curves: dict[str, Curves] = Field(default_factory=dict)
    one_sided: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Labels that means over labels leave out, by what the test clips lack: ``positives``,
    ``negatives``."""


def read_tag_report(folder: Path) -> TagReport:
    """The report of a tagger in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another system.
    """
    return read_record(folder / REPORT, TagReport, remedy="evaluate the tagger again")


def is_of_tags(report: Report) -> bool:
    """Whether a report, read without knowing its system, is a tagger's."""
    return "labels" in (report.model_extra or {})
