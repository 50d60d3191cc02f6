"""The best post-processing of each class on clips that are there for this.

Each method and length is tried on all classes at once. A class takes the one with the highest PSDS
1 of its own, the first of equals.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.detection.postprocessing.applying import filtered_scores
from soundgate.audio.detection.postprocessing.boxes import Boxes, candidates
from soundgate.audio.formats.detections.postprocessing import (
    ClassPostProcessing,
    PostProcessing,
)
from soundgate.audio.metrics.events import psds
from soundgate.audio.metrics.events.intervals import Intervals
from soundgate.audio.metrics.events.levels import Levels, of_boxes, of_scores
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.audio.detection.sound_events.systems import Frames
    from soundgate.audio.detection.sound_events.truth import Truth
    from soundgate.audio.metrics.events.intervals import Floats, Ints

_EQUAL: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Grid:
    """What is tried; empty tuples leave a method out."""

    none: bool = True
    """Whether a class may stay without post-processing."""
    medians_s: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)
    steps_s: tuple[float, ...] = (0.38, 0.42, 0.46, 0.5, 0.54, 0.58, 0.62, 0.66)
    falls: tuple[float, ...] = (0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3, 0.325)
    ratios: tuple[float, ...] = (1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25)
    """Boxes are merged by their fall or by their ratio, never by both."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Clips with the same frames."""

    clips: Ints
    rows: Floats
    """Scores, float64 (clip * class, frame)."""
    edges_s: Floats


def tune(
    truth: Truth, frames: Frames, grid: Grid, truth_sha256: str | None = None
) -> PostProcessing:
    """Choose a method for each class.

    Args:
        truth: clips and events to tune on; never those of a test or a gate.
        frames: scores of these clips.
        grid: what is tried.
        truth_sha256: of the list that the events are from.

    Raises:
        DataError: boxes are asked of scores that are not finite.
    """
    groups = list(_groups(truth, frames))
    if grid.steps_s and not all(np.isfinite(each.rows).all() for each in groups):
        raise DataError("scores are infinite: give the scores of a network to find boxes")
    methods = [ClassPostProcessing(method="none")] * len(truth.classes)
    raw = _judged(truth, _filtered(truth, groups, methods[0]))
    best = raw.copy() if grid.none else np.where(np.isnan(raw), np.nan, -np.inf)
    for method, levels in chain(_filters(truth, groups, grid), _boxes(truth, groups, grid)):
        scores = _judged(truth, levels)
        better = np.flatnonzero(scores > best + _EQUAL)
        for at in better:
            methods[at] = method
        best[better] = scores[better]
    return PostProcessing(
        clips=truth.clips,
        truth_sha256=truth_sha256,
        classes={
            name: methods[at].model_copy(
                update={"score": _known(best[at]), "raw_score": _known(raw[at])}
            )
            for at, name in enumerate(truth.classes)
        },
    )


def _known(score: float) -> float | None:
    return None if np.isnan(score) else float(score)


def _judged(truth: Truth, levels: Levels) -> Floats:
    """PSDS 1 of each class by itself."""
    classes = len(truth.classes)
    return psds.evaluation(levels, truth.events, truth.clips_s, classes).score().by_class


def _groups(truth: Truth, frames: Frames) -> Iterator[_Group]:
    """Clips in groups with the same frames."""
    places = [frames.classes.index(name) for name in truth.classes]
    by_edges: dict[bytes, list[int]] = {}
    for at, clip in enumerate(truth.clips):
        by_edges.setdefault(frames.tables[clip].edges_s.tobytes(), []).append(at)
    for clips in by_edges.values():
        tables = [frames.tables[truth.clips[at]] for at in clips]
        rows = np.concatenate([table.scores[:, places].T for table in tables])
        yield _Group(np.array(clips), np.ascontiguousarray(rows), tables[0].edges_s)


def _filters(
    truth: Truth, groups: list[_Group], grid: Grid
) -> Iterator[tuple[ClassPostProcessing, Levels]]:
    """Every median filter and what it leaves."""
    for length_s in grid.medians_s:
        method = ClassPostProcessing(method="median", median_s=length_s)
        yield method, _filtered(truth, groups, method)


def _filtered(truth: Truth, groups: list[_Group], method: ClassPostProcessing) -> Levels:
    classes = len(truth.classes)
    scores: dict[int, Floats] = {}
    edges: dict[int, Floats] = {}
    for group in groups:
        rows = filtered_scores(group.rows, group.edges_s, method)
        for at, clip in enumerate(group.clips.tolist()):
            scores[clip] = rows[at * classes : (at + 1) * classes].T
            edges[clip] = group.edges_s
    ordered = [scores[clip] for clip in range(len(truth.clips))]
    peaks = np.stack([each.max(axis=0) for each in ordered])
    return of_scores(ordered, [edges[clip] for clip in range(len(ordered))], _floors(truth, peaks))


def _boxes(
    truth: Truth, groups: list[_Group], grid: Grid
) -> Iterator[tuple[ClassPostProcessing, Levels]]:
    """Every setting of boxes and what it finds; boxes of one step filter are found once."""
    mergers: list[tuple[float | None, float | None]] = [(fall, None) for fall in grid.falls]
    mergers += [(None, ratio) for ratio in grid.ratios]
    for step_s in grid.steps_s:
        found = [candidates(group.rows, group.edges_s, step_s) for group in groups]
        for fall, ratio in mergers:
            method = ClassPostProcessing(
                method="csebbs", step_s=step_s, most_fall=fall, most_ratio=ratio
            )
            limits = [np.inf if each is None else each for each in (fall, ratio)]
            merged = [each.merged(*limits) for each in found]
            yield method, _levels(truth, groups, merged)


def _levels(truth: Truth, groups: list[_Group], found: list[Boxes]) -> Levels:
    """Boxes of all groups, without those that no curve reaches."""
    classes = len(truth.classes)
    clip = np.concatenate(
        [group.clips[boxes.row // classes] for group, boxes in zip(groups, found, strict=True)]
    )
    label = np.concatenate([boxes.row for boxes in found]) % classes
    score = np.concatenate([boxes.confidence for boxes in found])
    peaks = np.full((len(truth.clips), classes), -np.inf)
    np.maximum.at(peaks, (clip, label), score)
    kept = score > _floors(truth, peaks)[label]
    start, end = (
        np.concatenate([getattr(boxes, side) for boxes in found])[kept]
        for side in ("start_s", "end_s")
    )
    return of_boxes(Intervals.of(clip[kept], label[kept], start, end), score[kept])


def _floors(truth: Truth, peaks: Floats) -> Floats:
    most = psds.PSDS1.most_false_alarms
    return psds.silence_floor(peaks, truth.events, truth.clips_s, most)
