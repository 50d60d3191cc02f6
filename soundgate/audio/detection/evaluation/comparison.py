"""Models and windows side by side: a leaderboard, and the best by its validation recordings.

The benchmark says how good the best is, and is not asked which one that is: the largest of many
figures on one benchmark is too good by chance.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.detection.evaluation.evaluation import RUNS
from soundgate.audio.detection.tables import metrics as tables
from soundgate.audio.formats.model import digest
from soundgate.audio.formats.reports.comparison import (
    Champion,
    compare_reports,
    write_comparison,
)
from soundgate.audio.formats.reports.events import (
    EVENTS,
    Candidate,
    EventReport,
    read_event_report,
)
from soundgate.audio.formats.reports.report import write_report
from soundgate.audio.formats.version import read_version
from soundgate.audio.metrics.rounding import decimal
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VALIDATION: Final = "validation_event_f1"
FIT: Final = "validation_fit"


@dataclass(frozen=True, slots=True)
class Best:
    """Where the best of all came from."""

    name: str
    """Of its report, ``variant/window``."""
    report: EventReport
    model: str
    """Name of its model's folder among all."""


def compare(reports: Mapping[str, Path], models: Mapping[str, Path], report: Path) -> Best:
    """Rank all reports and write the best's, with the leaderboard and the tables of all.

    Args:
        reports: report folders by ``variant/window``.
        models: model folders by variant.
        report: folder to write.

    Raises:
        DataError: there is no report, or one is of a model that is not among ``models``.
    """
    if not reports:
        raise DataError("no report to compare: every evaluation failed")
    read = {name: read_event_report(folder) for name, folder in reports.items()}
    ranked = sorted(read, key=lambda name: (*_validated(read[name]), name))
    best = ranked[0]
    model = _model_of(best, read[best], models)
    leaderboard = tuple(_candidate(read[name], chosen=name == best) for name in ranked)
    made = read[best].model_copy(update={"leaderboard": leaderboard})
    _write(reports, best, made, report)
    _say(leaderboard)
    return Best(best, made, model)


def _validated(report: EventReport) -> tuple[float, float]:
    """What is sorted by: F1, and among equals how well detections fit their calls."""
    found = [report.metrics.get(name) for name in (VALIDATION, FIT)]
    f1, fit = (1.0 if each is None else -each.value for each in found)
    return f1, fit


def _model_of(name: str, report: EventReport, models: Mapping[str, Path]) -> str:
    """The model that a report is of, by the digest of its files."""
    variant = report.detector.variant
    folder = models.get(variant)
    if folder is None:
        known = ", ".join(models) or "none"
        raise DataError(f"report {name}: its model {variant!r} is not among the models: {known}")
    if digest(folder) != report.detector.digest:
        raise DataError(f"report {name}: its model {variant!r} was trained again; evaluate it anew")
    return variant


def _candidate(report: EventReport, *, chosen: bool) -> Candidate:
    return Candidate(
        variant=report.detector.variant,
        window=report.detector.window,
        threshold=report.operating_point.threshold,
        validation_f1=report.metrics.get(VALIDATION),
        event_f1=report.metrics["event_f1"],
        event_precision=report.metrics["event_precision"],
        event_recall=report.metrics.get("event_recall"),
        average_precision=report.metrics.get("average_precision"),
        chosen=chosen,
    )


def _write(reports: Mapping[str, Path], best: str, made: EventReport, report: Path) -> None:
    report.mkdir(parents=True, exist_ok=True)
    for name in (tables.METRICS, tables.PER_TAPE):
        rows = [row for folder in reports.values() for row in tables.read_table(folder / name)]
        tables.write_table(report / name, rows)
    for folder in reports.values():
        shutil.copytree(folder / RUNS, report / RUNS, dirs_exist_ok=True)
    shutil.copy2(reports[best] / EVENTS, report / EVENTS)
    write_report(report, made)


def _say(leaderboard: tuple[Candidate, ...]) -> None:
    for each in reversed(leaderboard):  # a run's table shows the last line
        validated = "-" if each.validation_f1 is None else decimal(each.validation_f1.value)
        mark = " (chosen)" if each.chosen else ""
        print(
            f"{each.variant} {each.window} at {each.threshold:g}: event F1 "
            f"{decimal(each.event_f1.value)}, on validation {validated}{mark}"
        )


def compare_with_champion(best: EventReport, champion: Path, comparison: Path) -> None:
    """Write the best's figures beside those that the champion was registered with."""
    card = read_version(champion)
    released = None
    if card.version is not None:
        released = Champion(name=card.name, version=card.version, run_id=card.run_id)
    write_comparison(comparison, compare_reports(best, released, card.metrics))
