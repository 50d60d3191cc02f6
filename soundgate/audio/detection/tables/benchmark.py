"""``evaluate-benchmark`` and ``build-pred-index``: tables of runs that lie in folders.

Runs are those of a report, ``runs/<model>/<variant>/``, or of earlier tools, whose folders are the
same. What is known of a run is its ``index.json`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.clips.annotations.event import file_name
from soundgate.audio.detection.evaluation.decoding import Detections
from soundgate.audio.detection.evaluation.outcome import outcome_of
from soundgate.audio.detection.evaluation.truth import Truth, truth_of, whole
from soundgate.audio.detection.tables import metrics as tables
from soundgate.audio.detection.tables.prediction_index import (
    INDEX,
    LAYERS,
    index_of_tables,
    on_recordings,
    read_index,
    write_index,
)
from soundgate.audio.formats.datasets.corpus import CALL, CorpusIndex, read_corpus_index
from soundgate.audio.metrics.events.intervals import Intervals
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.detection.tables.prediction_index import IndexEntry, PredictionIndex
    from soundgate.audio.formats.datasets.corpus import CorpusRecording


def evaluate_runs(
    corpus: Path, runs: Path, *, iou: float, layers: Sequence[str], out: Path, per_tape: Path
) -> str:
    """Write ``metrics.csv`` and ``metrics_per_tape.csv`` of all runs of a folder.

    Args:
        corpus: the benchmark's ``corpus_index.json``, or its folder.
        runs: folder of ``<model>/<variant>/<layer>/index.json``.
        iou: least intersection over union of a hit.
        layers: ``evaluation``, ``postrf`` or both.
        out: table to write.
        per_tape: table to write.

    Returns:
        A line that says what was written.

    Raises:
        DataError: there is no run, a file is damaged, or names a recording that is not there.
    """
    if not 0 < iou <= 1:
        raise DataError(f"--iou must be above 0 and at most 1, got {iou:g}")
    index = read_corpus_index(corpus)
    found = [
        (path.parent.parent, layer)
        for layer in layers
        for path in sorted(runs.glob(f"*/*/{layer}/{INDEX}"))
    ]
    if not found:
        raise DataError(f"{runs}: has no <model>/<variant>/{layers[0]}/{INDEX}; evaluate a model")
    named = [_named(run, layer, index, iou) for run, layer in sorted(found)]
    tables.write_table(out, [tables.metrics_row(each) for each in named])
    tables.write_table(per_tape, [row for each in named for row in tables.tape_rows(each)])
    return f"{len(named)} runs: {out}, {per_tape}"


def _named(run: Path, layer: str, index: CorpusIndex, iou: float) -> tables.Named:
    path = run / layer / INDEX
    predicted = read_index(path)
    truth = _truth(index, predicted)
    try:
        outcome = outcome_of(truth, _detections(_placed(predicted, index), truth), iou)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return tables.Named(run.parent.name, run.name, layer, outcome)


def _truth(index: CorpusIndex, predicted: PredictionIndex) -> Truth:
    """The calls; classes count where the detections say of which they are."""
    labels = {entry.label for entry in predicted.entries}
    named = bool(labels) and labels <= set(index.labels)
    return truth_of(index, whole(index), index.labels if named else (CALL,))


def _placed(predicted: PredictionIndex, index: CorpusIndex) -> list[tuple[str, IndexEntry]]:
    """Each detection with its recording, on the axis of the recording's file.

    Earlier tools predicted whole tapes of which clips were annotated: an entry that names a tape
    is moved to the clip that its middle lies in. What lies in none was not annotated, so that it is
    neither right nor wrong.
    """
    known = {name for each in index.recordings for name in _names(each.path)}
    clips: dict[str, list[CorpusRecording]] = {}
    for each in index.recordings:
        for name in {*_names(each.tape), *_names(each.raw_path or each.tape)} - known:
            clips.setdefault(name, []).append(each)
    own: list[IndexEntry] = []
    moved: list[tuple[str, IndexEntry]] = []
    for entry in predicted.entries:
        of_tape = next((clips[name] for name in _names(entry.tape) if name in clips), None)
        if of_tape is None or file_name(entry.tape) in known:
            own.append(entry)
        else:
            moved += _in_clips(entry, of_tape)
    paths = [each.path for each in index.recordings]
    return on_recordings(own, paths) + moved


def _names(path: str) -> tuple[str, str]:
    """A file's name with and without its ending."""
    name = file_name(path)
    return name, name.rpartition(".")[0] or name


def _in_clips(entry: IndexEntry, clips: Sequence[CorpusRecording]) -> list[tuple[str, IndexEntry]]:
    middle = (entry.start_s + entry.end_s) / 2
    for clip in clips:
        if clip.raw_start_s <= middle < clip.raw_start_s + clip.duration_s:
            times = {
                "start_s": max(entry.start_s - clip.raw_start_s, 0.0),
                "end_s": min(entry.end_s - clip.raw_start_s, clip.duration_s),
            }
            return [(clip.path, entry.model_copy(update=times))]
    return []


def _detections(placed: Sequence[tuple[str, IndexEntry]], truth: Truth) -> Detections:
    numbers = {path: number for number, path in enumerate(truth.recordings)}
    classes = {label: number for number, label in enumerate(truth.classes)}
    unknown = np.full(len(placed), np.nan)
    events = Intervals.of(
        [numbers[path] for path, _ in placed],
        [classes.get(entry.label, 0) for _, entry in placed],
        [entry.start_s for _, entry in placed],
        [entry.end_s for _, entry in placed],
    )
    return Detections(events, unknown, unknown)


def build_index(run: Path) -> str:
    """Write ``evaluation/index.json`` of a run's tables of detections; say what was written."""
    index = index_of_tables(run)
    path = run / LAYERS[0] / INDEX
    write_index(path, index)
    return f"{path}: {index.meta.n_preds} detections"
