"""Figures of a system on clips, and on any sample of these clips."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.detection.sound_events.systems import Boxes, Frames, OperatingPoints
from soundgate.audio.detection.sound_events.truth import numbered
from soundgate.audio.metrics.events import psds, segment_scores
from soundgate.audio.metrics.events.changes import Criteria
from soundgate.audio.metrics.events.levels import (
    Levels,
    at_threshold,
    of_boxes,
    of_operating_points,
    of_scores,
)
from soundgate.audio.metrics.events.matching import Collar
from soundgate.audio.metrics.events.tally import Tally, by_collar, by_intersection, by_segment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.detection.sound_events.systems import System
    from soundgate.audio.detection.sound_events.truth import Truth
    from soundgate.audio.metrics.events.intervals import Floats, Intervals, Ints


@dataclass(frozen=True, slots=True)
class Rules:
    """What is measured."""

    settings: Mapping[str, psds.Setting] = field(
        default_factory=lambda: {"psds1": psds.PSDS1, "psds2": psds.PSDS2}
    )
    threshold: float = 0.5
    """Of the scores, for the F1 figures."""
    collar: Collar = field(default_factory=Collar)
    intersection: Criteria = field(default_factory=lambda: Criteria(0.5, 0.5))
    segment_s: float = 1.0
    most_false_positive_rate: float = 0.1
    """Up to where mpAUC goes."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a sample of clips."""

    value: float
    """NaN where it is undefined."""
    by_class: Floats
    """(class,); NaN for a class without events. Empty for a figure of all classes together."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that the figures are made of; computed once."""

    truth: Truth
    evaluations: Mapping[str, psds.Evaluation]
    tallies: Mapping[str, Tally]
    segments: segment_scores.Segments | None
    rules: Rules

    def figures(self, weights: Ints | None = None) -> dict[str, Figure]:
        """Every figure by name.

        Args:
            weights: how often each clip counts, int64 (clip,); None: once.
        """
        counts = np.ones(len(self.truth.clips), np.int64) if weights is None else weights
        found = {}
        for name, evaluation in self.evaluations.items():
            score = evaluation.score(counts)
            found[name] = Figure(score.score, score.by_class)
        for name, tally in self.tallies.items():
            tallied = tally.counts(counts)
            found[name] = Figure(tallied.macro_f1, tallied.f1)
            found[f"{name}_micro"] = Figure(tallied.micro_f1, np.empty(0))
        if self.segments is not None:
            ends = {"auroc": 1.0, "mpauc": self.rules.most_false_positive_rate}
            for name, most in ends.items():
                by_class = segment_scores.roc_aucs(self.segments, most, counts)
                found[name] = Figure(_mean(by_class), by_class)
        return found


def _mean(by_class: Floats) -> float:
    known = by_class[~np.isnan(by_class)]
    return float(known.mean()) if len(known) else float("nan")


def judge(
    truth: Truth,
    system: System,
    rules: Rules,
    *,
    windows: bool = False,
    samples: Ints | None = None,
) -> Judged:
    """Hold a system against the ground truth.

    Args:
        truth: clips, or with ``windows`` recordings, and their events.
        system: what was said of them.
        rules: what is measured.
        windows: whether the system's clips are windows of recordings, of which only segments are
            judged: windows overlap, so that there is no one sequence of frames.
        samples: how often each clip is in each sample of which figures will be asked, int64
            (sample, clip); None: only those of all clips will be. Thresholds that no curve reaches
            are left out.
    """
    if windows and isinstance(system, Frames):
        return Judged(truth, {}, {}, _segments(truth, system, rules, windows=True), rules)
    levels, detections = _found(truth, system, rules, samples)
    classes = len(truth.classes)
    evaluations = {
        name: psds.evaluation(levels, truth.events, truth.clips_s, classes, setting)
        for name, setting in rules.settings.items()
    }
    tallies = {} if detections is None else _tallies(truth, detections, rules)
    segments = None
    if isinstance(system, Frames):
        segments = _segments(truth, system, rules, windows=False)
    return Judged(truth, evaluations, tallies, segments, rules)


def _tallies(truth: Truth, detections: Intervals, rules: Rules) -> dict[str, Tally]:
    both, classes = (truth.events, detections), len(truth.classes)
    return {
        "collar_f1": by_collar(*both, classes, rules.collar),
        "intersection_f1": by_intersection(*both, classes, rules.intersection),
        "segment_f1": by_segment(*both, classes, rules.segment_s, truth.clips_s),
    }


def _found(
    truth: Truth, system: System, rules: Rules, samples: Ints | None
) -> tuple[Levels, Intervals | None]:
    """Detections at all thresholds, and those at the threshold of the rules, if that is one."""
    clips = {name: at for at, name in enumerate(truth.clips)}
    labels = {name: at for at, name in enumerate(truth.classes)}

    def intervals(events: Sequence[Event]) -> Intervals:
        return numbered([e for e in events if e.label in labels], clips, labels)

    match system:
        case Frames():
            return _of_frames(truth, system, rules, samples)
        case Boxes(events):
            kept = [event for event in events if event.label in labels]
            levels = of_boxes(intervals(kept), np.array([event.score for event in kept]))
            return levels, levels.at(rules.threshold)
        case OperatingPoints(lists, thresholds):
            numbers = [intervals(each) for each in lists]
            chosen = [
                n for n, at in zip(numbers, thresholds, strict=False) if at == rules.threshold
            ]
            at = numbers if len(numbers) == 1 else chosen
            return of_operating_points(numbers), at[0] if at else None


def _of_frames(
    truth: Truth, frames: Frames, rules: Rules, samples: Ints | None
) -> tuple[Levels, Intervals]:
    tables = [frames.tables[clip] for clip in truth.clips]
    places = [frames.classes.index(name) for name in truth.classes]
    scores = [table.scores[:, places] for table in tables]
    edges = [table.edges_s for table in tables]
    peaks = np.stack([each.max(axis=0) for each in scores])
    most = max((each.most_false_alarms for each in rules.settings.values()), default=0.0)
    once = np.ones((1, len(truth.clips)), np.int64)
    weights = once if samples is None else np.concatenate((once, samples))
    floors = psds.silence_floor(peaks, truth.events, truth.clips_s, most, weights)
    return of_scores(scores, edges, floors), at_threshold(scores, edges, rules.threshold)


def _segments(
    truth: Truth, frames: Frames, rules: Rules, *, windows: bool
) -> segment_scores.Segments:
    places = [frames.classes.index(name) for name in truth.classes]
    clips = {name: at for at, name in enumerate(truth.clips)}
    parts = {name: [(0.0, table)] for name, table in frames.tables.items()}
    found = [
        segment_scores.Window(clips[name], table.scores[:, places], table.edges_s + start_s)
        for name, tables in (frames.recordings() if windows else parts).items()
        for start_s, table in tables
    ]
    pooling = segment_scores.means if windows else segment_scores.highest
    return segment_scores.of_windows(
        found, truth.events, truth.clips_s, len(truth.classes), rules.segment_s, pooling
    )
