"""The ``comparison/`` folder: a candidate beside the champion, of any system.

    comparison.json    each metric of both and their difference

``paired`` says that both were scored on the very same clips, so that the intervals of differences
mean something. ``compare_reports`` makes a comparison of two reports' figures where a system has
no clips to score again. Version 1 was a classifier's and had no ``format``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import (
    JsonObject,
    OpenRecord,
    Record,
    read_record,
    write_record,
)
from soundgate.audio.formats.reports.classifier_metrics import COMPARED, headline
from soundgate.audio.formats.reports.report import Estimate, Headline, Name, Report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = "soundgate.comparison/2"
COMPARISON: Final = "comparison.json"
CHAMPION_PREDICTIONS: Final = "champion_predictions.jsonl"
"""The champion's rows on the compared clips, where there are any: as ``predictions.jsonl``."""

NO_CHAMPION: Final = "there is no champion yet"


class Pair(Record):
    """A metric of both; all None where nothing was compared."""

    candidate: Estimate | None = None
    champion: Estimate | None = None
    difference: Estimate | None = None
    """The candidate's less the champion's."""


class Champion(OpenRecord):
    """The released version that the candidate was compared with."""

    name: str
    version: str
    run_id: str | None = None
    classes: tuple[str, ...] = ()


class McNemar(Record):
    """McNemar's exact test on the clips that one model alone has right."""

    only_candidate_right: int
    only_champion_right: int
    p_value: float


class ClassesLeftOut(Record):
    """Classes that one of the two does not know."""

    unknown_to_champion: tuple[str, ...] = ()
    unknown_to_candidate: tuple[str, ...] = ()


class ClassMetrics(Record):
    """Of one class, 0 to 1."""

    precision: float
    recall: float
    f1: float


class ClassComparison(Record):
    """A class that both know, on the compared clips."""

    label: str
    clips: int
    candidate: ClassMetrics
    champion: ClassMetrics
    difference: ClassMetrics


class Comparison(OpenRecord):
    """``comparison.json``."""

    format: Literal["soundgate.comparison/2"] = FORMAT
    champion: Champion | None = None
    compared: bool
    reason: str = ""
    """Why it was not compared."""
    paired: bool = True
    """Whether both were scored on the same clips; otherwise each figure is of its own test."""
    confidence_level: float | None = None
    metrics: dict[Name, Pair] = Field(default_factory=dict)
    headline: tuple[Headline, ...] = ()
    clips: int = 0
    """How many clips were compared."""
    sources: int | None = None
    """How many recordings they were cut from."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Counts of clips that were not compared, by reason."""
    classes_left_out: ClassesLeftOut = ClassesLeftOut()
    mcnemar: McNemar | None = None
    per_class: tuple[ClassComparison, ...] = ()

    @property
    def few_compared(self) -> bool:
        """Whether more clips were left out of the comparison than took part."""
        return self.compared and sum(self.left_out.values()) > self.clips


def read_comparison(folder: Path) -> Comparison:
    """The comparison in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of an unknown format.
    """
    return read_record(
        folder / COMPARISON,
        Comparison,
        remedy="compare the models again",
        upgrade=_from_version_1,
    )


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write ``comparison.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / COMPARISON, comparison)


def compare_reports(
    report: Report, champion: Champion | None, figures: Mapping[str, float]
) -> Comparison:
    """Put a candidate's figures beside those that the champion was registered with.

    Nothing is scored again: each figure is of its own test, so differences have no interval and a
    gate on ``low`` stays closed.

    Args:
        report: the candidate's.
        champion: the released version; None where there is none.
        figures: the champion's metrics by name.
    """
    if champion is None:
        return Comparison(compared=False, reason=NO_CHAMPION, paired=False)
    shared = [name for name in report.metrics if name in figures]
    metrics = {
        name: Pair(
            candidate=report.metrics[name],
            champion=Estimate(value=figures[name]),
            difference=Estimate(value=report.metrics[name].value - figures[name]),
        )
        for name in shared
    }
    return Comparison(
        champion=champion,
        compared=bool(shared),
        reason="" if shared else "the champion has no metric of the candidate's report",
        paired=False,
        confidence_level=report.confidence_level,
        metrics=metrics,
        headline=tuple(line for line in report.headline if line.metric in metrics),
    )


def _from_version_1(fields: JsonObject) -> JsonObject:
    return fields if "format" in fields else {"format": FORMAT, **with_pairs(fields)}


def as_classifier(made: Comparison) -> Comparison:
    """A classifier's comparison: each metric also under the key that version 1 had it by.

    A metric that ``made`` lacks is null, so that gates on it fail.
    """
    pairs = {name: made.metrics.get(name, Pair()).as_json() for name in COMPARED}
    older = {COMPARED[name]: pair for name, pair in pairs.items()}
    return Comparison.model_validate(with_pairs(made.as_json() | older))


def with_pairs(fields: JsonObject) -> JsonObject:
    """Return a classifier's comparison with ``metrics`` and ``headline`` made of its older keys."""
    metrics = {name: fields[key] for name, key in COMPARED.items()}
    return {**fields, "metrics": metrics, "headline": headline(metrics, multi_label=False)}
