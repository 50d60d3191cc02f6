"""``soundgate apply-corrections``: a new version of a corpus' annotations, and what changed.

    <recording>.txt      a selection table of every recording of the corpus, also of those without
                         calls; ``soundgate build-corpus-index`` and the pipeline read them
    changes.csv          each answer that says something, with what was there before
    version.json         the index they were made from, and how many answers of each kind

Only what somebody answered is changed; everything else is as it was.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.clips.annotations.event import Event, past_the_end
from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.clips.annotations.text import write_text
from soundgate.audio.detection.corrections.answers import Answer, read_answers
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.datasets.corpus import (
    CORPUS_INDEX,
    entries_by_recording,
    read_corpus_index,
    recordings,
)
from soundgate.audio.formats.detections.review import read_review
from soundgate.audio.formats.record import Record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusEntry, CorpusIndex

CHANGES: Final = "changes.csv"
VERSION: Final = "version.json"
FORMAT: Final = "soundgate.annotation_version/1"
KINDS: Final = ("added", "changed", "removed", "confirmed", "rejected", "unreviewed")
_ALIKE_S: Final = 1e-3


class AnnotationVersion(Record):
    """``version.json``."""

    format: Literal["soundgate.annotation_version/1"] = FORMAT
    made_from: str
    """SHA-256 of the ``corpus_index.json`` that was corrected."""
    calls: int
    """Of the new version."""
    answers: dict[str, int]
    """By what came of them: added, changed and removed calls, confirmed calls, rejected
    detections, and questions that nobody answered."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an answer."""

    kind: str
    answer: Answer
    before: CorpusEntry | None
    """The call as it was; None where there was none."""


def apply(review: Path, corpus: Path, target: Path) -> str:
    """Write a new version of a corpus' annotations.

    Args:
        review: folder that ``review-detections`` wrote, with corrected tables.
        corpus: the corpus that the detector was run on.
        target: folder to write; must be empty or missing.

    Returns:
        A line that says what changed.

    Raises:
        DataError: a table is wrong, a corrected call is not in its recording, or the corpus is
            another than the one that was reviewed.
    """
    if target.is_dir() and any(target.iterdir()):
        raise DataError(f"{target}: is not empty; give a new folder for the new version")
    index = read_corpus_index(corpus)
    answers = read_answers(review, read_review(review))
    changes = [_change(corpus, index, answer) for answer in answers]
    events = _events(index, changes)
    if told := next(iter(past_the_end(_all(events), recordings(index))), None):
        raise DataError(f"{review}: {told}; correct the table")
    for path, of_path in events.items():
        raven.write(target / f"{path}.txt", of_path)
    counts = Counter(change.kind for change in changes)
    _write_changes(target / CHANGES, changes)
    source = corpus if corpus.suffix == ".json" else corpus / CORPUS_INDEX
    made = AnnotationVersion(
        made_from=sha256_of(source),
        calls=len(_all(events)),
        answers={kind: counts[kind] for kind in KINDS},
    )
    write_record(target / VERSION, made)
    said = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
    return f"{target}: {made.calls} calls; {said}"


def _change(corpus: Path, index: CorpusIndex, answer: Answer) -> Change:
    question = answer.question
    before = None
    if question is not None and question.is_marked:
        before = _entry(corpus, index, answer)
    if answer.path not in recordings(index):
        raise DataError(
            f"{corpus}: has no recording {answer.path!r}; give the corpus of the review"
        )
    if answer.verdict == "unreviewed":
        return Change("unreviewed", answer, before)
    if answer.verdict == "none":
        return Change("rejected" if before is None else "removed", answer, before)
    if before is None:
        return Change("added", answer, None)
    same = answer.label == before.label and _alike(before, answer.start_s, answer.end_s)
    return Change("confirmed" if same else "changed", answer, before)


def _entry(corpus: Path, index: CorpusIndex, answer: Answer) -> CorpusEntry:
    """The call that a question is about."""
    question = answer.question
    assert question is not None
    for entry in index.entries:
        if entry.clip_path == question.path and _alike(entry, question.start_s, question.end_s):
            return entry
    raise DataError(
        f"{corpus}: {question.path}: has no call at {question.start_s:g} s any more; give the "
        "corpus that the detector was evaluated on"
    )


def _alike(entry: CorpusEntry, start_s: float, end_s: float) -> bool:
    off = (abs(entry.clip_start_s - start_s), abs(entry.clip_end_s - end_s))
    return max(off) <= _ALIKE_S


def _events(index: CorpusIndex, changes: Sequence[Change]) -> dict[str, list[Event]]:
    """All calls of the new version by recording, in order of time."""
    gone = {c.before.uid for c in changes if c.before and c.kind in ("changed", "removed")}
    found = {
        path: [_event(entry) for entry in entries if entry.uid not in gone]
        for path, entries in entries_by_recording(index).items()
    }
    for change in changes:
        if change.kind in ("added", "changed"):
            found[change.answer.path].append(_corrected(change))
    return {
        path: sorted(events, key=lambda each: (each.start_s, each.end_s, each.label))
        for path, events in found.items()
    }


def _event(entry: CorpusEntry) -> Event:
    quality = () if entry.quality is None else (("Comments", f"Q{entry.quality}"),)
    return Event(
        file=entry.clip_path,
        start_s=entry.clip_start_s,
        end_s=entry.clip_end_s,
        low_hz=entry.low_hz,
        high_hz=entry.high_hz,
        label=entry.label,
        columns=quality,
    )


def _corrected(change: Change) -> Event:
    answer, before = change.answer, change.before
    quality = before.quality if before else None
    return Event(
        file=answer.path,
        start_s=answer.start_s,
        end_s=answer.end_s,
        low_hz=before.low_hz if before else None,
        high_hz=before.high_hz if before else None,
        label=answer.label,
        columns=() if quality is None else (("Comments", f"Q{quality}"),),
    )


def _all(events: dict[str, list[Event]]) -> list[Event]:
    return [event for of_path in events.values() for event in of_path]


def _write_changes(path: Path, changes: Sequence[Change]) -> None:
    header = [
        *("change", "path", "label", "start_s", "end_s"),
        *("old_label", "old_start_s", "old_end_s", "reason", "score"),
    ]
    lines = io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(header)
    for change in changes:
        if change.kind != "unreviewed":
            table.writerow(_row(change))
    write_text(path, lines.getvalue())


def _row(change: Change) -> list[str | float]:
    answer, before, question = change.answer, change.before, change.answer.question
    old = ("", "", "") if before is None else (before.label, before.clip_start_s, before.clip_end_s)
    score = question.score if question and question.score is not None else math.nan
    return [
        *(change.kind, answer.path, answer.label, answer.start_s, answer.end_s),
        *old,
        question.reason if question else "found by the reader",
        "" if math.isnan(score) else score,
    ]
