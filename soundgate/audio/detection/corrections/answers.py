"""What people wrote into the tables of a review.

Raven, column ``Correct``: ``yes`` the selection is a call, ``no`` it is none, another text is the
call's right label; empty was not looked at, unless its times were changed, which says yes.
Audacity: without the question mark at its beginning a label is a call of that name. In both, a
deleted row is no call, and a row without a number is a call that nobody had found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.clips.annotations.programs import audacity, raven
from soundgate.audio.detection.corrections.asking import (
    AUDACITY,
    CORRECT,
    NUMBER,
    RAVEN,
    UNREVIEWED,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.formats.detections.review import DetectionReview, Question

_YES: Final = frozenset({"yes", "y", "1", "true", "ok", "x"})
_NO: Final = frozenset({"no", "n", "0", "false", "noise", "-"})
_MOVED_S: Final = 1e-3
"""Programs round times when they save a table; less is no change."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of a stretch of a recording."""

    question: Question | None
    """None: nobody had asked about it."""
    path: str
    verdict: Literal["call", "none", "unreviewed"]
    label: str
    start_s: float
    end_s: float


def read_answers(folder: Path, review: DetectionReview) -> list[Answer]:
    """The answers of a review's tables, by recording and time.

    Tables that are not there were not looked at. Where both tables of a recording are there, only
    one of them may have been changed.

    Raises:
        DataError: a table cannot be read, has an unknown number or one twice, or two programs'
            tables of one recording were both changed.
    """
    by_path: dict[str, list[Question]] = {}
    for question in review.questions:
        by_path.setdefault(question.path, []).append(question)
    answers: list[Answer] = []
    for path, questions in by_path.items():
        known = {str(question.uid): question for question in questions}
        found = {}
        for program, read in ((RAVEN, _of_raven), (AUDACITY, _of_audacity)):
            table = folder / program / f"{path}.txt"
            if table.is_file():
                found[program] = _complete(table, read(table, path, known), known)
        told = {name: each for name, each in found.items() if _says_something(each)}
        if len(told) > 1:
            raise DataError(
                f"{folder}: both tables of {path} were changed, Raven's and Audacity's; remove the "
                "one that does not count"
            )
        answers += next(iter((told or found).values()), [])
    return sorted(answers, key=lambda each: (each.path, each.start_s, each.end_s))


def _says_something(answers: Iterable[Answer]) -> bool:
    return any(answer.verdict != "unreviewed" for answer in answers)


def _of_raven(table: Path, path: str, known: Mapping[str, Question]) -> list[Answer]:
    answers = []
    for event in raven.read(table):
        cells = dict(event.columns)
        number, said = (cells.get(name, "").strip() for name in (NUMBER, CORRECT))
        question = _asked(table, number, known)
        verdict: Literal["call", "none", "unreviewed"] = "call"
        label = event.label.strip()
        if said.lower() in _NO:
            verdict = "none"
        elif said and said.lower() not in _YES:
            label = said
        elif not said and question is not None and not _changed(question, event, label):
            verdict = "unreviewed"
        answers.append(Answer(question, path, verdict, label, event.start_s, event.end_s))
    return answers


def _of_audacity(table: Path, path: str, known: Mapping[str, Question]) -> list[Answer]:
    answers = []
    for event in audacity.read(table):
        text, *notes = [part.strip() for part in event.label.split("|")]
        number = next((note[1:] for note in notes if re.fullmatch(r"#\d+", note)), "")
        question = _asked(table, number, known)
        label = text.removeprefix(UNREVIEWED.strip()).strip()
        open_mark = text.startswith(UNREVIEWED.strip())
        unread = open_mark and question is not None and not _changed(question, event, label)
        verdict: Literal["call", "unreviewed"] = "unreviewed" if unread else "call"
        answers.append(Answer(question, path, verdict, label, event.start_s, event.end_s))
    return answers


def _asked(table: Path, number: str, known: Mapping[str, Question]) -> Question | None:
    if not number:
        return None
    if number not in known:
        raise DataError(
            f"{table}: {NUMBER} {number} was not asked about here; leave the numbers as they are, "
            "and new rows without one"
        )
    return known[number]


def _changed(question: Question, event: Event, label: str) -> bool:
    moved = (abs(question.start_s - event.start_s), abs(question.end_s - event.end_s))
    return max(moved) > _MOVED_S or label != question.label


def _complete(table: Path, answers: list[Answer], known: Mapping[str, Question]) -> list[Answer]:
    """The answers of a table, deleted rows among them."""
    numbers = [answer.question.uid for answer in answers if answer.question is not None]
    if twice := [number for number in numbers if numbers.count(number) > 1]:
        raise DataError(f"{table}: {NUMBER} {twice[0]} stands twice; keep the right row")
    deleted = [question for question in known.values() if question.uid not in numbers]
    return answers + [
        Answer(each, each.path, "none", each.label, each.start_s, each.end_s) for each in deleted
    ]
