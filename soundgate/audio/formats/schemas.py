"""JSON Schemas of the stored formats, generated from the records that read and write them.

``python -m soundgate.audio.formats.schemas docs/schemas`` writes a file each. A schema describes
the present version; how earlier versions are read stands in the module of each format.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.formats import features, model, predictions, waveforms
from soundgate.audio.formats.datasets.card import DatasetCard
from soundgate.audio.formats.datasets.corpus import CorpusIndex
from soundgate.audio.formats.datasets.inspection import Inspection
from soundgate.audio.formats.datasets.sound_events import ClipRow, EventRow, SoundEventSet
from soundgate.audio.formats.datasets.variant import VariantIndex
from soundgate.audio.formats.detections.postprocessing import PostProcessing
from soundgate.audio.formats.detections.review import DetectionReview
from soundgate.audio.formats.detections.scores import ScoresFile
from soundgate.audio.formats.embeddings.levels import BandsFile
from soundgate.audio.formats.embeddings.segments import RecordsFile
from soundgate.audio.formats.embeddings.vectors import EmbeddingsFile
from soundgate.audio.formats.exported import Export
from soundgate.audio.formats.models.detector import DetectorFile
from soundgate.audio.formats.models.embedding_classifier import EmbeddingClassifierFile
from soundgate.audio.formats.models.tagger import TaggerFile
from soundgate.audio.formats.reports.clip_results import ClipResult
from soundgate.audio.formats.reports.comparison import Comparison
from soundgate.audio.formats.reports.embeddings import EmbeddingReport, Leaderboard
from soundgate.audio.formats.reports.event_scores import EventScores
from soundgate.audio.formats.reports.events import EventReport, EventResult
from soundgate.audio.formats.reports.report import Report
from soundgate.audio.formats.reports.review_page import PageSummary
from soundgate.audio.formats.reports.tags import TagReport
from soundgate.audio.formats.version import VersionCard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.formats.record import JsonObject

FORMATS: Final[dict[str, type[Any]]] = {
    "dataset": DatasetCard,
    "manifest_row": Clip,
    "inspection": Inspection,
    "corpus_index": CorpusIndex,
    "variant_index": VariantIndex,
    "sound_events": SoundEventSet,
    "sound_events_clip_row": ClipRow,
    "sound_events_event_row": EventRow,
    "features": features.InfoFile,
    "features_row": features.Row,
    "waveforms": waveforms.WaveformsFile,
    "waveforms_row": waveforms.Row,
    "model": model.ModelFile,
    "split_row": model.SplitRow,
    "tagger": TaggerFile,
    "detector": DetectorFile,
    "embedding_classifier": EmbeddingClassifierFile,
    "report": Report,
    "tag_report": TagReport,
    "event_report": EventReport,
    "embedding_report": EmbeddingReport,
    "leaderboard": Leaderboard,
    "event_result_row": EventResult,
    "event_scores": EventScores,
    "postprocessing": PostProcessing,
    "detection_review": DetectionReview,
    "clip_result_row": ClipResult,
    "comparison": Comparison,
    "review_page": PageSummary,
    "export": Export,
    "version": VersionCard,
    "scores": ScoresFile,
    "records": RecordsFile,
    "embeddings": EmbeddingsFile,
    "bands": BandsFile,
    "predictions": predictions.Predictions,
    "predicted_clip_row": predictions.ClipRow,
    "predicted_patch_row": predictions.PatchRow,
    "failure_row": predictions.Failure,
}
"""By the name of the schema's file; a row is an object a line."""


def schema_of(kind: type[Any]) -> JsonObject:
    """The JSON Schema (draft 2020-12) of a record; a file without its ``format`` does not fit."""
    schema = TypeAdapter(kind).json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    if "format" in schema["properties"]:
        # pydantic counts a field with a default as optional; readers refuse a file without it.
        schema["required"] = ["format", *schema.get("required", ())]
    _close_patterns(schema)
    return schema


def _close_patterns(part: object) -> None:
    """Refuse names that match no pattern, as pydantic does when it reads; its schema lets them."""
    if isinstance(part, dict):
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for value in part.values():
            _close_patterns(value)
    elif isinstance(part, list):
        for value in part:
            _close_patterns(value)


def write_schemas(folder: Path) -> None:
    """Write ``<name>.schema.json`` of every format into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in FORMATS.items():
        text = json.dumps(schema_of(kind), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{name}.schema.json").write_text(text, "utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the schemas into the folder that is the only argument."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    write_schemas(Path(folder))


if __name__ == "__main__":
    main()
