"""The ``predictions/`` folder: what a model says about clips without a truth.

    predictions.json              model, columns, settings, counts, throughput
    clips.{csv,parquet,jsonl}     a ``ClipRow`` a clip
    patches.{csv,parquet,jsonl}   a ``PatchRow`` a patch
    failures.jsonl                a ``Failure`` for what could not be read

The columns of class scores are named by ``columns``, because a class may be called "score".
Version 1 said nothing about the sound of a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import (
    JsonObject,
    OpenRecord,
    Record,
    read_record,
    write_record,
)

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.predictions/2"
PREDICTIONS: Final = "predictions.json"


class PredictedBy(Record):
    """The model; name, version and run where it comes from a registry."""

    digest: str
    """SHA-256, of its files."""
    name: str | None = None
    version: str | None = None
    run_id: str | None = None


class PredictionSettings(Record):
    """How it was asked to predict."""

    runtime: Literal["torch", "onnx", "int8"]
    format: Literal["csv", "parquet", "jsonl"]
    """Of the tables."""
    segment_s: float
    """Length of the segments of a long file; 0: the longest clip of the model."""
    hop_s: float
    """From the start of a segment to the next one's; 0: ``segment_s``."""
    unknown_class_threshold: float
    """A clip whose best score is below it is of an unknown class; 0: none is."""
    batch_size: int
    strict: bool
    """Whether a file that cannot be read was an error."""


class Predictions(Record):
    """``predictions.json``."""

    format: Literal["soundgate.predictions/2"] = FORMAT
    classes: tuple[str, ...]
    multi_label: bool
    columns: dict[str, str]
    """The column of each class."""
    settings: PredictionSettings
    files: int
    """Files and segments that were asked for."""
    clips: int
    patches: int
    unknown: int
    """Clips of an unknown class."""
    remarks: dict[str, int]
    """Clips by what is wrong with their sound: silent, mis-scaled, clipped, with a dead channel."""
    failures: int
    audio_s: float
    """Length of the clips together."""
    took_s: float
    clips_per_s: float
    audio_s_per_s: float
    model: PredictedBy


class ClipRow(OpenRecord):
    """A clip; further columns are the scores of classes, means over its patches."""

    __pydantic_extra__: dict[str, float] = Field(init=False)

    path: str
    start_s: float
    end_s: float
    predicted: str | tuple[str, ...]
    """A list where the model is multi-label."""
    score: float
    """The best one."""
    unknown: bool
    remark: str = ""
    """What is wrong with its sound, "silent: no sound in any channel"; empty where nothing is."""


class PatchRow(OpenRecord):
    """A patch; further columns are the scores of classes."""

    __pydantic_extra__: dict[str, float] = Field(init=False)

    path: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or a segment that could not be read; a row of ``failures.jsonl``."""

    path: str
    start_s: float | None
    """None: from the beginning of the file."""
    end_s: float | None
    """None: to its end."""
    reason: str


def read_predictions(folder: Path) -> Predictions:
    """What the folder holds.

    Raises:
        DataError: ``predictions.json`` is missing, damaged or of another format.
    """
    return read_record(
        folder / PREDICTIONS, Predictions, remedy="predict again", upgrade=_from_version_1
    )


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write ``predictions.json``, which says that the folder is whole."""
    write_record(folder / PREDICTIONS, predictions)


def _from_version_1(fields: JsonObject) -> JsonObject:
    if fields.get("format") != "soundgate.predictions/1":
        return fields
    return {**fields, "format": FORMAT, "remarks": {}}
