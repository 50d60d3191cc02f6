"""``review.json``: which calls and detections somebody is asked about, and what was known of them.

It lies beside the tables that people correct. What a table lacks of it was deleted by its reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.formats.record import Record, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.detection_review/1"
REVIEW: Final = "review.json"
UNEXPECTED: Final = "unexpected"
UNCERTAIN: Final = "uncertain"
MISSED: Final = "missed"


class Question(Record):
    """A stretch of a recording that somebody should listen to."""

    uid: int
    reason: Literal["unexpected", "uncertain", "missed"]
    """Detected surely where nobody marked a call; scored close to the threshold; marked and not
    detected."""
    path: str
    """The recording, as the corpus names it."""
    label: str
    start_s: float
    """Of the call where one is marked, else of the detection."""
    end_s: float
    is_marked: bool
    """Whether the annotations have it as a call."""
    score: float | None = None


class DetectionReview(Record):
    """``review.json``."""

    format: Literal["soundgate.detection_review/1"] = FORMAT
    variant: str
    threshold: float
    questions: tuple[Question, ...]


def read_review(folder: Path) -> DetectionReview:
    """The questions of a folder.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return read_record(
        folder / REVIEW, DetectionReview, remedy="write it again with 'soundgate review-detections'"
    )


def write_review(folder: Path, review: DetectionReview) -> None:
    """Write ``review.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / REVIEW, review)
