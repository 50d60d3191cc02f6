"""``soundgate review-detections``: the detections worth a look, as tables with a column to correct.

    review.json                    what is asked
    raven/<recording>.txt          selection tables: Reason, Score, and Correct to be filled in
    audacity/<recording>.txt       labels: "? hum | unexpected 0.97 | #12"

People fill in one of the two, see :mod:`soundgate.audio.detection.corrections.answers`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.programs import audacity, raven
from soundgate.audio.formats.detections.review import (
    MISSED,
    REVIEW,
    UNCERTAIN,
    UNEXPECTED,
    DetectionReview,
    Question,
    write_review,
)
from soundgate.audio.formats.reports import events as rows_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from soundgate.audio.formats.reports.events import EventResult

RAVEN, AUDACITY = "raven", "audacity"
CORRECT, REASON, NUMBER = "Correct", "Reason", "Detection"
"""Columns of the selection tables beside Raven's own."""
UNREVIEWED: Final = "? "
"""Begins a label of Audacity that nobody looked at."""
MOST: Final = 50
_SMALLEST: Final = 1e-6


def ask(report: Path, target: Path, *, most: int = MOST) -> str:
    """Write what people should look at.

    Args:
        report: of a detector.
        target: folder to write; must not hold a review yet, which may be filled in already.
        most: questions of each reason.

    Returns:
        A line that says what was written.

    Raises:
        DataError: the report is missing or damaged, or the folder holds a review.
    """
    if (target / REVIEW).exists():
        raise DataError(f"{target}: holds a review already; give another folder, or remove it")
    made = rows_of.read_event_report(report)
    threshold = made.operating_point.threshold
    questions = choose(list(rows_of.read_events(report / rows_of.EVENTS)), threshold, most)
    if not questions:
        raise DataError(f"{report}: has no false alarm, no missed call and no doubtful detection")
    by_path: dict[str, list[Question]] = {}
    for question in questions:
        by_path.setdefault(question.path, []).append(question)
    for path, of_path in by_path.items():
        raven.write(target / RAVEN / f"{path}.txt", [_selection(each) for each in of_path])
        audacity.write(target / AUDACITY / f"{path}.txt", [_label(each) for each in of_path])
    review = DetectionReview(
        variant=made.detector.variant, threshold=threshold, questions=tuple(questions)
    )
    write_review(target, review)
    counts = [sum(q.reason == reason for q in questions) for reason in (UNEXPECTED, UNCERTAIN)]
    missed = len(questions) - sum(counts)
    return (
        f"{target}: {counts[0]} unexpected and {counts[1]} uncertain detections and {missed} "
        f"missed calls in {len(by_path)} recordings"
    )


def choose(rows: Sequence[EventResult], threshold: float, most: int) -> list[Question]:
    """What is asked, by recording and time; each row once."""
    detected = [row for row in rows if row.score is not None]
    false = [row for row in detected if row.kind == rows_of.FALSE_ALARM]
    chosen: dict[int, tuple[str, EventResult]] = {}

    def take(reason: str, ranked: Iterable[EventResult]) -> None:
        left = most
        for row in ranked:
            if left and id(row) not in chosen:
                chosen[id(row)] = (reason, row)
                left -= 1

    doubtful = [row for row in detected if _doubt(row, threshold) <= 1]
    take(UNCERTAIN, sorted(doubtful, key=lambda row: _doubt(row, threshold)))
    take(UNEXPECTED, sorted(false, key=lambda row: -(row.score or 0)))
    missed = (row for row in rows if row.kind == rows_of.MISSED)
    take(MISSED, sorted(missed, key=lambda row: -(row.quality or 0)))
    ordered = sorted(chosen.values(), key=lambda each: (each[1].path, _span(each[1])))
    return [_question(uid, reason, row) for uid, (reason, row) in enumerate(ordered, 1)]


def _doubt(row: EventResult, threshold: float) -> float:
    """Distance of score and threshold in logits: 1 is from 0.5 to 0.73."""
    return abs(_logit(row.score or 0) - _logit(threshold))


def _logit(score: float) -> float:
    score = min(max(score, _SMALLEST), 1 - _SMALLEST)
    return math.log(score / (1 - score))


def _span(row: EventResult) -> tuple[float, float]:
    """Of the call where one is marked, else of the detection."""
    if row.true_start_s is not None and row.true_end_s is not None:
        return row.true_start_s, row.true_end_s
    return row.span_s


def _question(uid: int, reason: str, row: EventResult) -> Question:
    start_s, end_s = _span(row)
    return Question.model_validate(
        {
            "uid": uid,
            "reason": reason,
            "path": row.path,
            "label": row.label,
            "start_s": start_s,
            "end_s": end_s,
            "is_marked": row.true_start_s is not None,
            "score": row.score,
        }
    )


def _selection(question: Question) -> Event:
    cells = ((CORRECT, ""), (REASON, _words(question)), (NUMBER, str(question.uid)))
    return Event(
        file=question.path,
        start_s=question.start_s,
        end_s=question.end_s,
        label=question.label,
        score=question.score,
        columns=cells,
    )


def _label(question: Question) -> Event:
    score = "" if question.score is None else f" {question.score:.2f}"
    text = f"{UNREVIEWED}{question.label} | {_words(question)}{score} | #{question.uid}"
    return Event(file=question.path, start_s=question.start_s, end_s=question.end_s, label=text)


def _words(question: Question) -> str:
    marked = question.reason == UNCERTAIN and question.is_marked
    return f"{question.reason}, marked" if marked else question.reason
