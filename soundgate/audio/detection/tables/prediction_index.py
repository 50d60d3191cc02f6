"""``evaluation/index.json`` and the selection tables beside it: detections of one threshold.

    <run>/evaluation/index.json                    {"meta": {...}, "entries": [...]}
    <run>/evaluation/tables/<recording>.txt        selections with scores, which Raven opens

An entry has ``uid``, ``pred_path``, ``tape``, ``start_s``, ``end_s``, ``dur_s`` as in earlier
tools. ``tape`` is the whole path of the recording in its corpus and times are those of its file, so
that clips of one tape are not taken for one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.event import Event, match_recordings
from soundgate.audio.clips.annotations.files import read_annotations
from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.formats.record import OpenRecord, read_record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from soundgate.audio.detection.evaluation.decoding import Detections
    from soundgate.audio.detection.evaluation.truth import Truth

LAYERS: Final = ("evaluation", "postrf")
INDEX: Final = "index.json"
TABLES: Final = "tables"
LOGIT: Final = "CNN logit (mean)"
_DECIMALS: Final = 6


class IndexMeta(OpenRecord):
    """What an index says of itself."""

    generated_at: str = ""
    """Empty: the same detections give the same bytes."""
    n_preds: int


class IndexEntry(OpenRecord):
    """A detection."""

    uid: int | str
    pred_path: str
    """The selection table that it is in, relative to the run."""
    tape: str
    start_s: float
    end_s: float
    dur_s: float
    label: str = ""
    score: float | None = None


class PredictionIndex(OpenRecord):
    """``index.json``."""

    meta: IndexMeta
    entries: tuple[IndexEntry, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Detections of a second stage: which it keeps, and how sure it is of each."""

    probabilities: Sequence[float]
    meta: dict[str, object]


def write_run(
    run: Path, truth: Truth, found: Detections, layer: str = "evaluation", kept: Kept | None = None
) -> None:
    """Write index and selection tables of one threshold.

    Args:
        run: folder of the threshold.
        truth: recordings and classes of the detections.
        found: the detections.
        layer: ``evaluation`` or ``postrf``.
        kept: of a second stage, what it says of each detection.
    """
    by_recording: dict[str, list[Event]] = {path: [] for path in truth.recordings}
    events = [_event(truth, found, k) for k in range(len(found))]
    for event in events:
        by_recording[event.file].append(event)
    for path, of_recording in by_recording.items():
        raven.write(run / _table(layer, path), of_recording)
    probabilities = None if kept is None else kept.probabilities
    entries = [_entry(k, _table(layer, event.file), event) for k, event in enumerate(events)]
    if probabilities is not None:
        entries = [
            entry.with_fields(rf_prob=round(float(probability), _DECIMALS))
            for entry, probability in zip(entries, probabilities, strict=True)
        ]
    meta = IndexMeta.model_validate({"n_preds": len(entries), **(kept.meta if kept else {})})
    write_index(run / layer / INDEX, PredictionIndex(meta=meta, entries=tuple(entries)))


def _event(truth: Truth, found: Detections, index: int) -> Event:
    events = found.events
    return Event(
        file=truth.recordings[int(events.clip[index])],
        start_s=round(float(events.start_s[index]), _DECIMALS),
        end_s=round(float(events.end_s[index]), _DECIMALS),
        label=truth.classes[int(events.label[index])],
        score=round(float(found.scores[index]), _DECIMALS),
        columns=((LOGIT, f"{found.logits[index]:.4f}"),),
    )


def _table(layer: str, recording: str) -> str:
    return f"{layer}/{TABLES}/{recording}.txt"


def write_index(path: Path, index: PredictionIndex) -> None:
    """Write an index; it appears whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    write_record(part, index)
    part.replace(path)


def read_index(path: Path) -> PredictionIndex:
    """An index, of this or an earlier tool.

    Raises:
        DataError: it is missing or damaged.
    """
    return read_record(path, PredictionIndex, remedy="make it with 'soundgate build-pred-index'")


def index_of_tables(run: Path) -> PredictionIndex:
    """Make the index of a run's tables of detections.

    Tables are those below ``evaluation/`` in any format of annotations; the recording of one that
    names none is its own name without ``.txt`` and what earlier tools put behind it.

    Raises:
        DataError: there is no table, or one cannot be read.
    """
    folder = run / LAYERS[0]
    tables = sorted(path for path in folder.rglob("*.txt") if path.is_file())
    if not tables:
        raise DataError(f"{folder}: has no tables (*.txt) of detections; evaluate the run first")
    entries: list[IndexEntry] = []
    for table in tables:
        place = table.relative_to(run).as_posix()
        for event in read_annotations(table, recording=_recording(place)):
            entries.append(_entry(len(entries), place, event))
    return PredictionIndex(meta=IndexMeta(n_preds=len(entries)), entries=tuple(entries))


def _recording(table: str) -> str:
    """The recording that a table is called after."""
    name = table.removeprefix(f"{LAYERS[0]}/").removeprefix(f"{TABLES}/").removesuffix(".txt")
    return name.partition("_predict_output.log")[0]


def _entry(uid: int, table: str, event: Event) -> IndexEntry:
    return IndexEntry(
        uid=uid,
        pred_path=table,
        tape=event.file,
        start_s=event.start_s,
        end_s=event.end_s,
        dur_s=round(event.end_s - event.start_s, _DECIMALS),
        label=event.label,
        score=event.score,
    )


def on_recordings(
    entries: Iterable[IndexEntry], recordings: Iterable[str]
) -> list[tuple[str, IndexEntry]]:
    """Each entry with the recording of a corpus that its ``tape`` names.

    Raises:
        DataError: it names none, or could mean several.
    """
    entries = list(entries)
    named = [Event(file=entry.tape, start_s=0.0, end_s=0.0) for entry in entries]
    found = match_recordings(named, recordings)
    return [(found[entry.tape], entry) for entry in entries]
