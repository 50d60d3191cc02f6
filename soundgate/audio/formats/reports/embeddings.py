"""What only the report of an embedding classifier has: segments, leaderboard, zero-shot baseline.

Sections are further fields of ``evaluation.json``. Before the best head is tested, the leaderboard
is a folder of its own: ``leaderboard.json``, and the same as a table.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import Record, read_record, write_record
from soundgate.audio.formats.reports.report import REPORT, ConfusionMatrix, Report

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.leaderboard/1"
LEADERBOARD: Final = "leaderboard.json"
TABLE: Final = "leaderboard.csv"
REMEDY: Final = "choose the head again"

Share = Annotated[float, Field(ge=0, le=1)]


class TriedHead(Record):
    """A head, and how it did on the segments that the best one is chosen by."""

    name: str
    kind: str
    settings: str
    """In words, ``learning_rate 0.1``."""
    accuracy: Share
    macro_precision: Share
    macro_recall: Share
    macro_f05: Share
    loss: float
    """Mean cross entropy."""
    parameters: int
    chosen: bool


class Leaderboard(Record):
    """``leaderboard.json``: every head that was tried, the best first."""

    format: Literal["soundgate.leaderboard/1"] = FORMAT
    split: str
    """The segments that chose: ``valid``, or ``es`` where there are none of that."""
    segments: int
    heads: tuple[TriedHead, ...]


class Segments(Record):
    """The test segments, of which clips are made."""

    count: int
    confusion_matrix: ConfusionMatrix


class ZeroShot(Record):
    """A classifier that was never trained: the class whose sentence is nearest."""

    prompt: str
    """``this is the sound of {}``."""
    text_digest: str
    """Of the text tower."""
    confusion_matrix: ConfusionMatrix


class EmbeddingReport(Report):
    """``evaluation.json`` of an embedding classifier."""

    segments: Segments
    leaderboard: Leaderboard | None = None
    zero_shot: ZeroShot | None = None


def read_embedding_report(folder: Path) -> EmbeddingReport:
    """The report of an embedding classifier in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another system.
    """
    return read_record(folder / REPORT, EmbeddingReport, remedy="evaluate the head again")


def is_of_embeddings(report: Report) -> bool:
    """Whether a report, read without knowing its system, is an embedding classifier's."""
    return "segments" in (report.model_extra or {})


def read_leaderboard(folder: Path) -> Leaderboard:
    """The leaderboard in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return read_record(folder / LEADERBOARD, Leaderboard, remedy=REMEDY)


def write_leaderboard(folder: Path, leaderboard: Leaderboard) -> None:
    """Write ``leaderboard.json``, and the same as a table."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(TriedHead.model_fields)
        for head in leaderboard.heads:
            table.writerow(
                f"{value:.6f}" if isinstance(value, float) else value
                for value in head.as_json().values()
            )
    write_record(folder / LEADERBOARD, leaderboard)
