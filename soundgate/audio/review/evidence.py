"""What a review page is made of: the folders of a run, read and checked once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.audio.classification import evaluation
from soundgate.audio.classification.comparison import comparison
from soundgate.audio.formats.clip_results import ClipResult, read_results
from soundgate.audio.formats.model import Description, read_description
from soundgate.audio.learning.log import HISTORY
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Identity

CARD = "dataset.json"
EXPORT = "export.json"


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Where a candidate's run left what the page shows."""

    report: Path
    model: Path
    metrics: Path
    clips: Path
    card: Path
    comparison: Path
    exported: Path | None = None
    report_name: str = ""
    """What verdicts call the report: ``task/output``."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All of it, in memory; audio stays on disk."""

    clips: Path
    figures: Mapping[str, Any]
    """``evaluation.json``."""
    results: Sequence[ClipResult]
    comparison: Mapping[str, Any]
    champion: Mapping[Identity, ClipResult]
    """The champion's results on the compared clips."""
    model: Description
    history: Sequence[Mapping[str, Any]]
    """A row an epoch; empty where the training left none."""
    card: Mapping[str, Any]
    export: Mapping[str, Any]
    verdicts: Sequence[Mapping[str, Any]]
    """As ``verdict.json`` has them, with ``json_path`` of the number judged."""
    report_name: str = ""
    """What verdicts call the report of ``figures``."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Run, pipeline, commit, versions: what the folders do not know."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The candidate's classes."""
        return tuple(self.figures["confusion_matrix"]["labels"])


def gather(
    folders: Folders, verdicts: Sequence[Mapping[str, Any]], provenance: Mapping[str, str]
) -> Evidence:
    """Read the folders of a run.

    Raises:
        DataError: a file is missing or damaged. A missing history is none: the page says so.
    """
    rows = read_results(folders.comparison / comparison.CHAMPION_PREDICTIONS)
    export = folders.exported / EXPORT if folders.exported else None
    return Evidence(
        clips=folders.clips,
        figures=comparison.read_json(folders.report / evaluation.REPORT),
        results=list(read_results(folders.report / evaluation.PREDICTIONS)),
        comparison=comparison.read_json(folders.comparison / comparison.COMPARISON),
        champion={row.identity: row for row in rows},
        model=read_description(folders.model),
        history=_history(folders.metrics / HISTORY),
        card=comparison.read_json(folders.card / CARD),
        export=comparison.read_json(export) if export and export.exists() else {},
        verdicts=verdicts,
        report_name=folders.report_name,
        provenance=provenance,
    )


def _history(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged; train the model again: {error}") from error
