"""Make ``review/report.html`` from the evidence; the same evidence gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from soundgate.audio.review import charts, provenance, tables, wording
from soundgate.audio.review.clips import Selection, select
from soundgate.audio.review.evidence import Evidence, Folders, gather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PAGE = "report.html"
SUMMARY = "review.json"

_LOSSES = {"loss": ("training", "one"), "validation_loss": ("validation", "two")}
_ACCURACIES = {
    "training_accuracy": ("training patches", "one"),
    "validation_patch_accuracy": ("validation patches", "two"),
    "validation_clip_accuracy": ("validation clips", "three"),
}


@dataclass(frozen=True)
class Figure:
    """A headline figure; what is not known is None."""

    name: str
    hint: str
    value: float
    low: float | None = None
    high: float | None = None
    thresholds: tuple[float, ...] = ()
    """Bounds of the gates on it."""
    quantized: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Gate:
    """A verdict as the page shows it."""

    verdict: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What it is called: its metric; and the report, where several are judged by that."""
        return str(self.verdict.get("label") or self.verdict["metric"])

    @property
    def low(self) -> float | None:
        """Lower end of the number's interval."""
        return self.verdict.get("low")

    @property
    def high(self) -> float | None:
        """Upper end of the number's interval."""
        return self.verdict.get("high")

    @property
    def state(self) -> str:
        """A word for it."""
        if self.verdict["passed"]:
            return "passed"
        return "not judged" if self.verdict["value"] is None else "missed"

    @property
    def sign(self) -> str:
        """Of its bound."""
        return {"at_least": "≥", "at_most": "≤"}[self.verdict["bound"]]


def write(
    folders: Folders,
    review: Path,
    *,
    verdicts: Sequence[Mapping[str, Any]] = (),
    origin: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write ``report.html`` and ``review.json``.

    Args:
        folders: what the candidate's run left.
        review: folder to write.
        verdicts: as ``verdict.json`` has them, with ``json_path`` of the number judged, and
            a ``label`` where the metric alone does not tell two of them apart.
        origin: what the folders do not know: run, pipeline, commit, versions.

    Returns:
        What ``review.json`` holds: digest and bytes of the page, clips shown and tested.

    Raises:
        DataError: a file is missing or damaged. Audio that is missing is said in the page.
    """
    evidence = gather(folders, verdicts, origin or {})
    selection = select(evidence)
    page = render(evidence, selection).encode("utf-8")
    review.mkdir(parents=True, exist_ok=True)
    (review / PAGE).write_bytes(page)
    summary = {
        "digest": f"sha256:{hashlib.sha256(page).hexdigest()}",
        "bytes": len(page),
        "clips_shown": len(selection.cards),
        "clips_tested": len(evidence.results),
    }
    (review / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    print(
        f"{PAGE}: {wording.megabytes(len(page))}, {summary['clips_shown']} of "
        f"{summary['clips_tested']} test clips to listen to"
    )
    return summary


def render(evidence: Evidence, selection: Selection) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soundgate.audio.review"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "exact": wording.exact,
        "fraction": wording.fraction,
        "signed": wording.signed,
        "counted": wording.counted,
        "megabytes": wording.megabytes,
        "thousands": wording.thousands,
    }
    script = _source(environment, "report.js")
    # Names in a manifest may hold anything: besides being escaped, nothing but this script runs.
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    trained = evidence.model.training
    kept = trained.get("best_epoch", trained.get("rounds"))
    page: str = environment.get_template("report.html").render(
        evidence=evidence,
        figures=evidence.figures,
        compared=evidence.comparison,
        wording=wording,
        style=Markup(_source(environment, "report.css")),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        script_digest=digest,
        banner=wording.banner(evidence.verdicts, evidence.comparison),
        gates=[Gate(verdict) for verdict in evidence.verdicts],
        headline=headline(evidence),
        selection=selection,
        confusion=tables.confusion(evidence),
        classes=tables.per_class(evidence),
        bins=charts.reliability(evidence.figures["calibration"]["bins"]),
        curves=[
            chart
            for chart in (
                charts.curves("Loss", evidence.history, _LOSSES, kept),
                charts.curves("Accuracy", evidence.history, _ACCURACIES, kept, up_to=1.0),
            )
            if chart
        ],
        provenance=provenance.origins(evidence),
        recipe=provenance.recipe(evidence),
    )
    return page


def headline(evidence: Evidence) -> list[Figure]:
    """The figures a reviewer asks for first."""
    figures = evidence.figures
    accuracies = figures["multiclass_classification_metrics"]
    quantized = figures.get("quantized") or {}
    multi_label = figures["multi_label"]
    exact = "every label given and none besides" if multi_label else "share of clips decided right"
    found = []
    for key, name, hint in (
        ("clip_acc", "Clip accuracy", exact),
        ("patch_acc", "Patch accuracy", exact.replace("clips", "patches")),
    ):
        value, low, high = (accuracies[key][part] for part in ("value", "low", "high"))
        bounds = _thresholds(evidence, f"multiclass_classification_metrics.{key}.value")
        found.append(Figure(name, hint, value, low, high, bounds, quantized.get(key)))
    found.append(Figure("Macro F1", "mean over classes", figures["macro_f1"]))
    if multi_label:
        labels = figures["multi_label_metrics"]
        precision = labels["mean_average_precision"]
        found.append(Figure("Mean average precision", "mean over classes", precision))
        found.append(Figure("Micro F1", "of all labels together", labels["micro_f1"]))
    hint = "mean gap between score and accuracy; lower is better"
    found.append(Figure("Calibration error", hint, figures["calibration"]["ece"]))
    return found


def _thresholds(evidence: Evidence, json_path: str) -> tuple[float, ...]:
    """Bounds on a number of the report whose figures the page shows, not of another report."""
    return tuple(
        verdict["threshold"]
        for verdict in evidence.verdicts
        if verdict.get("json_path") == json_path
        and verdict.get("report", evidence.report_name) == evidence.report_name
    )


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
