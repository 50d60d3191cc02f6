"""Make ``review/report.html`` from the evidence; the same evidence gives the same bytes."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup, escape

from soundgate.audio.formats.reports.review_page import PAGE, PageSummary, write_summary
from soundgate.audio.review import charts, detections, provenance, tables, tags, wording
from soundgate.audio.review.clips import Selection, select
from soundgate.audio.review.evidence import Evidence, Folders, Verdict, gather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.formats.reports.report import Estimate


@dataclass(frozen=True)
class Figure:
    """A headline metric with its words."""

    name: str
    hint: str
    estimate: Estimate
    thresholds: tuple[float, ...]
    """Bounds of the gates on it."""
    variants: tuple[Estimate | None, ...]
    """The same metric of other forms of the model, in the order of the table's columns."""


@dataclass(frozen=True)
class Gate:
    """A verdict as the page shows it."""

    verdict: Verdict

    @property
    def label(self) -> str:
        """What it is called: its metric; and the report, where several are judged by that."""
        return self.verdict.label or self.verdict.metric

    @property
    def low(self) -> float | None:
        """Lower end of the number's interval."""
        return self.verdict.low

    @property
    def high(self) -> float | None:
        """Upper end of the number's interval."""
        return self.verdict.high

    @property
    def state(self) -> str:
        """A word for it."""
        if self.verdict.passed:
            return "passed"
        return "not judged" if self.verdict.value is None else "missed"

    @property
    def sign(self) -> str:
        """Of its bound."""
        return {"at_least": "≥", "at_most": "≤"}[self.verdict.bound]


def write(
    folders: Folders,
    review: Path,
    *,
    verdicts: Sequence[Mapping[str, object]] = (),
    origin: Mapping[str, str] | None = None,
) -> PageSummary:
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
    found = detections.section(evidence, evidence.detector) if evidence.detector else None
    page = render(evidence, selection, found).encode("utf-8")
    review.mkdir(parents=True, exist_ok=True)
    (review / PAGE).write_bytes(page)
    summary = PageSummary(
        digest=f"sha256:{hashlib.sha256(page).hexdigest()}",
        bytes=len(page),
        clips_shown=len((found.selection if found else selection).cards),
        clips_tested=found.selection.tested if found else len(evidence.results),
    )
    write_summary(review, summary)
    kind = "calls and false alarms" if found else "test clips"
    shown = f", {summary.clips_shown} of {summary.clips_tested} {kind} to listen to"
    print(f"{PAGE}: {wording.megabytes(len(page))}{shown if summary.clips_tested else ''}")
    return summary


def render(
    evidence: Evidence, selection: Selection, found: detections.Section | None = None
) -> str:
    """The page; a section that the evidence has nothing for is left out."""
    environment = _environment()
    script = _source(environment, "report.js")
    # Names in a manifest may hold anything: besides being escaped, nothing but this script runs.
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    report = evidence.report
    matrix, calibration = report.confusion_matrix, report.calibration
    page: str = environment.get_template("report.html").render(
        evidence=evidence,
        report=report,
        comparison=evidence.comparison,
        wording=wording,
        style=Markup(_source(environment, "report.css")),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        script_digest=digest,
        banner=wording.banner(evidence.verdicts, evidence.comparison),
        gates=[Gate(verdict) for verdict in evidence.verdicts],
        headline=headline(evidence),
        variants=_variants(evidence),
        selection=selection,
        confusion=tables.confusion(matrix) if matrix else None,
        classes=tables.per_class(report, evidence.comparison),
        detections=found,
        tags=tags.section(evidence.tags, evidence.comparison) if evidence.tags else None,
        heads=evidence.heads,
        bins=charts.reliability(calibration.bins) if calibration else [],
        curves=charts.all_curves(evidence.history, evidence.kept_epoch),
        title=provenance.title(evidence),
        commands=provenance.commands(evidence),
        in_short=provenance.in_short(evidence),
        provenance=provenance.origins(evidence),
        recipe=provenance.recipe(evidence),
    )
    return page


def headline(evidence: Evidence) -> list[Figure]:
    """The metrics that the report puts first, in its words."""
    metrics, variants = evidence.report.metrics, _variants(evidence)
    return [
        Figure(
            name=line.title,
            hint=f"{line.description}; lower is better"
            if line.lower_is_better
            else line.description,
            estimate=metrics[line.metric],
            thresholds=_thresholds(evidence, line.metric),
            variants=tuple(
                metrics[line.variants[form]] if form in line.variants else None for form in variants
            ),
        )
        for line in evidence.report.headline
    ]


def _variants(evidence: Evidence) -> list[str]:
    """Other forms of the model that were tested too, a column each."""
    return list(dict.fromkeys(form for line in evidence.report.headline for form in line.variants))


def _thresholds(evidence: Evidence, metric: str) -> tuple[float, ...]:
    return tuple(
        verdict.threshold
        for verdict in evidence.verdicts
        if verdict.report in {None, evidence.report_name}
        and evidence.report.metric_at(verdict.json_path) == metric
    )


def _environment() -> jinja2.Environment:
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
        "breakable": breakable,
        "counted": wording.counted,
        "megabytes": wording.megabytes,
        "thousands": wording.thousands,
    }
    return environment


def breakable(name: str) -> Markup:
    """A class name that may continue on the next line after an underscore or a slash."""
    text = str(escape(name))
    for letter in "_/":
        text = text.replace(letter, f"{letter}<wbr>")
    return Markup(text)  # noqa: S704  # escaped above


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
