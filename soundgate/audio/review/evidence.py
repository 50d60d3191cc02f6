"""What a review page is made of: the folders of a run, read and checked once.

Report and data card are needed; everything else is shown where a system has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.formats.datasets.card import DatasetCard, read_card
from soundgate.audio.formats.exported import INFO, Export, read_export
from soundgate.audio.formats.front_end import FrontEnd, front_end_of
from soundgate.audio.formats.history import read_history
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.record import JsonObject, Record, read_object
from soundgate.audio.formats.reports.clip_results import FORMAT as CLIP_RESULTS
from soundgate.audio.formats.reports.clip_results import ClipResult, read_results
from soundgate.audio.formats.reports.comparison import (
    CHAMPION_PREDICTIONS,
    Comparison,
    read_comparison,
)
from soundgate.audio.formats.reports.embeddings import (
    EmbeddingReport,
    is_of_embeddings,
    read_embedding_report,
)
from soundgate.audio.formats.reports.events import (
    EVENTS_FORMAT,
    EventReport,
    EventResult,
    is_of_events,
    read_event_report,
    read_events,
)
from soundgate.audio.formats.reports.report import Report, read_report
from soundgate.audio.formats.reports.tags import TagReport, is_of_tags, read_tag_report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Identity

# As much of a clip as a tagger reads is not in its description.
_LONGEST_S = 3600.0


class Verdict(Record):
    """A gate with what it said, as a page shows it."""

    model_config = ConfigDict(extra="ignore")

    metric: str
    value: float | None
    """None where the gate could not be judged, which is a miss."""
    bound: Literal["at_least", "at_most"]
    threshold: float
    passed: bool
    advisory: bool = False
    message: str = ""
    json_path: str = ""
    """Where the number stands in its report."""
    label: str = ""
    """What the gate is called where several judge by one metric; empty: its metric."""
    report: str | None = None
    """The output it was read from, ``task/output``."""
    low: float | None = None
    """Lower end of the number's interval."""
    high: float | None = None
    """Upper end of the number's interval."""


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where a candidate's run left what the page shows."""

    report: Path
    card: Path
    model: Path | None = None
    metrics: Path | None = None
    clips: Path | None = None
    comparison: Path | None = None
    exported: Path | None = None
    report_name: str = ""
    """What verdicts call the report: ``task/output``."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All of it, in memory; audio stays on disk."""

    report: Report
    card: DatasetCard
    verdicts: Sequence[Verdict] = ()
    comparison: Comparison | None = None
    """None where the pipeline compares with no champion."""
    clips: Path | None = None
    """Folder of the audio that ``results`` name."""
    results: Sequence[ClipResult] = ()
    """Empty where the report has no rows of clips."""
    events: Sequence[EventResult] = ()
    """Calls and detections in the recordings of ``clips``; empty where it has no such rows."""
    champion: Mapping[Identity, ClipResult] = field(default_factory=dict)
    """The champion's results on the compared clips."""
    model: JsonObject = field(default_factory=dict)
    """``model.json`` of whatever system."""
    history: Sequence[Mapping[str, float]] = ()
    """A row an epoch; empty where the training left none."""
    report_name: str = ""
    """What verdicts call ``report``."""
    export: Export | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Run, pipeline, commit, versions: what the folders do not know."""

    @property
    def front_end(self) -> FrontEnd | None:
        """How the model hears a clip; None where it does not say."""
        return front_end_of(self.model)

    @property
    def pictured(self) -> FrontEnd | None:
        """What spectrograms show: the front end, or else the usual one at the model's rate."""
        rate_hz = self.model.get("sample_rate_hz")
        if self.front_end is not None or not isinstance(rate_hz, int):
            return self.front_end
        return FrontEnd(
            Preprocessing(target_rate=rate_hz, max_length=_LONGEST_S),
            FeatureExtraction(fmax=min(7500.0, rate_hz / 2)),
        )

    @property
    def tags(self) -> TagReport | None:
        """The report, where a tagger was tested."""
        return self.report if isinstance(self.report, TagReport) else None

    @property
    def detector(self) -> EventReport | None:
        """The report, where a detector was tested."""
        return self.report if isinstance(self.report, EventReport) else None

    @property
    def heads(self) -> EmbeddingReport | None:
        """The report, where a classifier of embeddings was tested."""
        return self.report if isinstance(self.report, EmbeddingReport) else None

    @property
    def kept_epoch(self) -> int | None:
        """The epoch, or round, whose weights are the model's."""
        kept = self.model.get("best_epoch", self.model.get("rounds"))
        return kept if isinstance(kept, int) else None


def gather(
    folders: Folders, verdicts: Sequence[Mapping[str, object]], provenance: Mapping[str, str]
) -> Evidence:
    """Read the folders of a run.

    Raises:
        DataError: a file is missing or damaged. A missing history is none: the page says so.
    """
    report = read_report(folders.report)
    if is_of_tags(report):
        report = read_tag_report(folders.report)
    elif is_of_events(report):
        report = read_event_report(folders.report)
    elif is_of_embeddings(report):
        report = read_embedding_report(folders.report)
    return Evidence(
        report=report,
        card=read_card(folders.card),
        verdicts=[Verdict.model_validate(verdict) for verdict in verdicts],
        comparison=read_comparison(folders.comparison) if folders.comparison else None,
        clips=folders.clips,
        results=_results(folders.report, report),
        events=_events(folders.report, report),
        champion=_champion(folders.comparison),
        model=_model(folders.model),
        history=read_history(folders.metrics) if folders.metrics else (),
        export=_export(folders.exported),
        report_name=folders.report_name,
        provenance=provenance,
    )


def _results(folder: Path, report: Report) -> list[ClipResult]:
    if report.results is None or report.results.format != CLIP_RESULTS:
        return []  # rows of another kind, which this page cannot show yet
    return list(read_results(folder / report.results.file))


def _events(folder: Path, report: Report) -> list[EventResult]:
    if report.results is None or report.results.format != EVENTS_FORMAT:
        return []
    return list(read_events(folder / report.results.file))


def _champion(comparison: Path | None) -> dict[Identity, ClipResult]:
    rows = comparison / CHAMPION_PREDICTIONS if comparison else None
    if rows is None or not rows.exists():
        return {}
    return {row.identity: row for row in read_results(rows)}


def _model(folder: Path | None) -> JsonObject:
    return read_object(folder / DESCRIPTION, remedy="train the model again") if folder else {}


def _export(folder: Path | None) -> Export | None:
    return read_export(folder) if folder and (folder / INFO).exists() else None
