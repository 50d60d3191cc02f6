"""What ``soundgate tune-events`` and ``postprocess-events`` do with files."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.dcase import (
    ScoreTable,
    read_durations,
    read_strong,
    write_scores,
    write_strong,
)
from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.files import format_named, write_annotations
from soundgate.audio.detection.postprocessing.applying import apply
from soundgate.audio.detection.postprocessing.tuning import Grid, tune
from soundgate.audio.detection.sound_events.systems import Frames, read_system
from soundgate.audio.detection.sound_events.truth import Reading, truth_of
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.detections import postprocessing
from soundgate.audio.metrics.events.levels import at_threshold
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.formats.detections.postprocessing import PostProcessing

METHODS: Final = ("none", "median", "csebbs")


@dataclass(frozen=True, slots=True)
class Export:
    """A file of detections at a threshold."""

    target: Path
    kind: str
    """``dcase``, ``raven`` or ``audacity``."""
    threshold: float


def tune_files(
    truth: Path,
    scores: Path,
    target: Path,
    *,
    durations: Path | None = None,
    classes: Sequence[str] = (),
    methods: Sequence[str] = METHODS,
) -> Iterator[str]:
    """Tune post-processing on score tables and write it.

    Args:
        truth: strong list of the events.
        scores: folder of score tables.
        target: ``postprocessing.json``, or where else to write it.
        durations: seconds of each clip; None: as the score tables tell.
        classes: those that are tuned; empty: all of the score tables.
        methods: what is tried.

    Yields:
        What was chosen, a line a class.

    Raises:
        DataError: a table is wrong.
        ParameterError: a method or class is unknown.
    """
    frames = frames_in(scores)
    lengths = read_durations(durations) if durations else {}
    seconds = {
        clip: lengths.get(clip, float(table.edges_s[-1])) for clip, table in frames.tables.items()
    }
    listed = read_strong(truth)
    known = truth_of(listed, seconds, frames.classes, Reading(tuple(classes)))
    if missing := [name for name in classes if name not in frames.classes]:
        raise ParameterError(f"--classes: no score of {missing[0]!r}")
    record = tune(known, frames, grid_of(methods), sha256_of(truth))
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        postprocessing.write(part, record)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    for name, how in record.classes.items():
        lengths_s = how.model_dump(exclude_none=True, exclude={"method", "score", "raw_score"})
        told = ", ".join(f"{key} {value:g}" for key, value in lengths_s.items())
        gain = (
            "no events to tune on"
            if how.score is None or how.raw_score is None
            else f"psds1 {how.raw_score:.4f} to {how.score:.4f}"
        )
        yield f"{name}: {how.method}{f' ({told})' if told else ''}, {gain}"


def grid_of(methods: Sequence[str]) -> Grid:
    """The grid of some methods.

    Raises:
        ParameterError: a method is unknown.
    """
    for name in methods:
        if name not in METHODS:
            raise ParameterError(f"--methods: {name!r} is none of {', '.join(METHODS)}")
    whole = Grid()
    return Grid(
        none="none" in methods,
        medians_s=whole.medians_s if "median" in methods else (),
        steps_s=whole.steps_s if "csebbs" in methods else (),
    )


def frames_in(scores: Path) -> Frames:
    """The score tables of a folder.

    Raises:
        DataError: it holds something else.
    """
    frames = read_system(scores)
    if not isinstance(frames, Frames):
        raise DataError(f"{scores}: holds detections; post-processing needs scores of frames")
    return frames


def postprocess_files(
    scores: Path, record: Path, out: Path, *, oracle: bool = False, export: Export | None = None
) -> Iterator[str]:
    """Write post-processed score tables, and detections at a threshold.

    Args:
        scores: folder of score tables.
        record: ``postprocessing.json``; a copy is written into ``out``.
        out: a folder that is empty or does not exist.
        oracle: whether clips may be those that it was tuned on.
        export: detections to write, too.

    Yields:
        What was written, a line a file or folder.

    Raises:
        DataError: a table is wrong, or a clip is one that the post-processing was tuned on.
    """
    how = postprocessing.read(record)
    frames = frames_in(scores)
    shared = sorted(set(how.clips) & set(frames.tables))
    if shared and not oracle:
        raise DataError(
            f"{record}: was tuned on {len(shared)} of these clips, {shared[0]!r} among them: take "
            "other clips, or --oracle to see what it gives at best"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: is not an empty folder")
    tables = {clip: apply(clip, table, how) for clip, table in frames.tables.items()}
    _write(out, tables, how)
    yield f"{out}: {len(tables)} score tables"
    if export:
        yield from _export(export, tables)


def _write(out: Path, tables: Mapping[str, ScoreTable], how: PostProcessing) -> None:
    """Write a folder, whole or not at all."""
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        for clip, table in tables.items():
            write_scores(part / f"{clip}.tsv", table)
        postprocessing.write(part / postprocessing.FILE, how)
        if out.exists():
            out.rmdir()
        part.replace(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def detections(clip: str, table: ScoreTable, threshold: float) -> list[Event]:
    """Detections of a clip at a threshold, by time; each has its highest score."""
    found = at_threshold([table.scores], [table.edges_s], threshold)
    events = []
    for label, start_s, end_s in zip(
        found.label.tolist(), found.start_s.tolist(), found.end_s.tolist(), strict=True
    ):
        inside = slice(*np.searchsorted(table.edges_s, (start_s, end_s)).tolist())
        score = float(table.scores[inside, label].max())
        events.append(
            Event(file=clip, start_s=start_s, end_s=end_s, label=table.classes[label], score=score)
        )
    return sorted(events, key=lambda event: (event.start_s, event.label))


def _export(export: Export, tables: Mapping[str, ScoreTable]) -> Iterator[str]:
    events = [
        event for clip, t in tables.items() for event in detections(clip, t, export.threshold)
    ]
    if export.kind == "dcase":
        write_strong(export.target, events, tuple(tables))
        yield f"{export.target}: {len(events)} events"
        return
    if export.kind == "audacity":
        export.target.mkdir(parents=True, exist_ok=True)  # a file holds one recording
    for path in write_annotations(export.target, events, format_named(export.kind)):
        yield f"{path}: written"
