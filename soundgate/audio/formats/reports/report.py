"""The ``report/`` folder: how a model did on clips that it was not trained on, of any system.

    evaluation.json    metrics by name, which of them a reader sees first, and their words

``metrics`` is what gates, registry, review page and comparison read. Everything else is optional:
the sections below where a system has them, and further fields that only it knows. Its rows, a clip
or an event each, are a file of their own that ``results`` names with its format.

Reports of version 1 were a classifier's and had no ``format``; they are read as version 2.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from soundgate.audio.formats.record import (
    JsonObject,
    OpenRecord,
    Record,
    read_record,
    write_record,
)
from soundgate.audio.formats.reports.classifier_metrics import with_metrics

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.report/2"
REPORT: Final = "evaluation.json"
CONFUSION: Final = "confusion_matrix.csv"

Finite = Annotated[float | int, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""Of a metric: it stands in JSON paths and in MLflow's tags."""


class Estimate(Record):
    """A number, and its confidence interval where it has one."""

    value: Finite
    low: Finite | None = None
    high: Finite | None = None


class Headline(Record):
    """A metric that a reader sees, and in which words."""

    metric: Name
    title: str
    """"Clip accuracy"."""
    description: str = ""
    """What it measures, in a few words."""
    lower_is_better: bool = False
    variants: dict[str, Name] = Field(default_factory=dict)
    """Metrics that are the same for another form of the model, by the name of the form: "int8"."""


class Results(Record):
    """A file of rows beside the report."""

    file: str
    format: str


class ClassScores(Record):
    """Precision, recall and F1 of a class, 0 to 1, and how many test clips carry it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


class ConfusionMatrix(Record):
    """Counts of clips: a row a true class, a column a predicted one."""

    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


class CalibrationBin(Record):
    """Clips whose score is between ``low`` and ``high``: their mean score and their accuracy."""

    low: float
    high: float
    clips: int
    confidence: float
    accuracy: float


class Calibration(Record):
    """How well scores tell the accuracy; ``ece`` is the expected calibration error."""

    ece: float
    bins: tuple[CalibrationBin, ...]


class Spread(Record):
    """A metric over the folds of a cross-validation; the deviation (n - 1) needs two folds."""

    values: tuple[Finite, ...]
    mean: float
    standard_deviation: float | None


class Report(OpenRecord):
    """``evaluation.json``."""

    format: Literal["soundgate.report/2"] = FORMAT
    metrics: dict[Name, Estimate]
    """Every number that may be gated, registered or compared, by name."""
    headline: tuple[Headline, ...] = ()
    """The metrics that a reader sees, the most telling first."""
    aliases: dict[Name, str] = Field(default_factory=dict)
    """Where a metric also stands in this file: dotted path under which older readers look."""
    notes: tuple[str, ...] = ()
    """Sentences that belong to the figures."""
    confidence_level: float | None = None
    """Of all intervals."""
    split: str = ""
    """What was tested: "test"."""
    clips: int | None = None
    """How many clips were tested."""
    sources: int | None = None
    """How many recordings they were cut from; intervals draw whole recordings."""
    multi_label: bool = False
    results: Results | None = None
    per_class: tuple[ClassScores, ...] = ()
    confusion_matrix: ConfusionMatrix | None = None
    calibration: Calibration | None = None
    folds: dict[str, Spread] | None = None

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        named = [name for line in self.headline for name in (line.metric, *line.variants.values())]
        for name in (*named, *self.aliases):
            if name not in self.metrics:
                raise ValueError(f"metrics has no {name!r}, which the report refers to")
        return self

    def metric_at(self, json_path: str) -> str | None:
        """The metric whose value stands at a dotted path of this file; None for another number."""
        for name in self.metrics:
            if json_path in {f"metrics.{name}.value", *self._alias_paths(name)}:
                return name
        return None

    def _alias_paths(self, name: str) -> tuple[str, ...]:
        place = self.aliases.get(name)
        return () if place is None else (place, f"{place}.value")


def read_report(folder: Path) -> Report:
    """The report in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of an unknown format.
    """
    return read_record(
        folder / REPORT, Report, remedy="evaluate the model again", upgrade=_from_version_1
    )


def write_report(folder: Path, report: Report) -> None:
    """Write the report, and its confusion matrix as a table where it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix = report.confusion_matrix
    if matrix is not None:
        with (folder / CONFUSION).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["truth", *matrix.labels])
            table.writerows(
                [label, *row] for label, row in zip(matrix.labels, matrix.rows, strict=True)
            )
    write_record(folder / REPORT, report)


def _from_version_1(fields: JsonObject) -> JsonObject:
    return fields if "format" in fields else {"format": FORMAT, **with_metrics(fields)}
