"""What ``soundgate score-events`` does: figures of one system, or of two and their difference."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.clips.annotations.dcase import read_durations, read_strong
from soundgate.audio.detection.sound_events.judging import Figure, Judged, Rules, judge
from soundgate.audio.detection.sound_events.systems import (
    Frames,
    System,
    events_of,
    read_system,
)
from soundgate.audio.detection.sound_events.truth import Reading, Truth, part_of, truth_of
from soundgate.audio.formats.detections import postprocessing
from soundgate.audio.metrics.events.changes import Criteria
from soundgate.audio.metrics.events.matching import Collar
from soundgate.audio.metrics.events.psds import PSDS1, PSDS2, Setting
from soundgate.audio.metrics.events.samples import Spread, draw, spread
from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.metrics.events.intervals import Floats, Ints


@dataclass(frozen=True, slots=True)
class Question:
    """What is scored, and how."""

    truth: Path
    scores: Path
    against: Path | None = None
    """Another system's scores of the same clips."""
    durations: Path | None = None
    reading: Reading = field(default_factory=Reading)
    rules: Rules = field(default_factory=Rules)
    draws: int = 200
    """Samples of the clips; 0: no standard errors."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Figures and their spread."""

    truth: Truth
    figures: dict[str, Figure]
    spreads: dict[str, Spread]
    """Of each figure: its value first, then its classes. Empty without samples."""
    other: dict[str, Figure]
    """Of the other system; empty without one."""
    differences: dict[str, Spread]
    """Of each figure less the other system's, on the same samples."""
    tuned_on: int = 0
    """Clips that either system's post-processing was tuned on."""


def rules(
    settings: Mapping[str, Sequence[float]],
    *,
    threshold: float,
    collar_s: float,
    segment_s: float,
    most_false_positive_rate: float,
) -> Rules:
    """What is measured, from numbers that a user gave.

    Args:
        settings: further PSDS by name: DTC, GTC, CTTC, alpha_ct, alpha_st and the most false alarms
            an hour.
        threshold: of the scores, for the F1 figures.
        collar_s: that onsets and offsets may be off.
        segment_s: of a segment.
        most_false_positive_rate: up to where mpAUC goes.

    Raises:
        ParameterError: a number is impossible.
    """
    _require(np.isfinite(threshold), "--threshold", threshold, "a finite number")
    _require(0 <= collar_s < np.inf, "--collar", collar_s, "0 s or more")
    _require(0 < segment_s < np.inf, "--segment", segment_s, "above 0 s")
    most = most_false_positive_rate
    _require(0 < most <= 1, "--max-fpr", most, "above 0 and at most 1")
    found = {"psds1": PSDS1, "psds2": PSDS2}
    for name, (dtc, gtc, cttc, alpha_ct, alpha_st, alarms) in settings.items():
        for share in (dtc, gtc, cttc):
            _require(0 < share <= 1, f"--psds {name}", share, "shares above 0 and at most 1")
        for cost in (alpha_ct, alpha_st):
            _require(0 <= cost < np.inf, f"--psds {name}", cost, "costs of 0 or more")
        _require(0 < alarms < np.inf, f"--psds {name}", alarms, "false alarms above 0")
        found[name] = Setting(Criteria(dtc, gtc, cttc), alpha_ct, alpha_st, alarms)
    return Rules(
        found, threshold, Collar(collar_s, collar_s), Rules().intersection, segment_s, most
    )


def _require(is_right: bool, option: str, value: float, expected: str) -> None:  # noqa: FBT001
    if not is_right:
        raise ParameterError(f"{option}: expected {expected}, got {value:g}")


def answer(question: Question) -> Answer:
    """Score a system.

    Raises:
        DataError: a table is wrong, or the tables do not fit together.
        ParameterError: an option contradicts the tables.
    """
    paths = [question.scores, *([question.against] if question.against else [])]
    systems = [read_system(path) for path in paths]
    truth = _truth(question, systems)
    samples = draw(len(truth.clips), draws=question.draws, seed=question.seed)
    judged = [
        judge(
            truth,
            system,
            question.rules,
            windows=question.reading.windows,
            samples=samples if len(samples) else None,
        )
        for system in systems
    ]
    figures = [each.figures() for each in judged]
    drawn = [_drawn(each, samples) for each in judged]
    differences = {}
    if len(judged) > 1 and len(samples):
        shared = [name for name in drawn[0] if name in drawn[1]]
        differences = {name: spread(drawn[0][name] - drawn[1][name]) for name in shared}
    return Answer(
        truth,
        figures[0],
        {name: spread(values) for name, values in drawn[0].items()},
        figures[1] if len(figures) > 1 else {},
        differences,
        len({clip for path in paths for clip in _tuned_on(path)} & _clips(systems, truth)),
    )


def _tuned_on(scores: Path) -> tuple[str, ...]:
    """Clips that post-processing was tuned on, where a folder of scores says that there was any."""
    has_record = (scores / postprocessing.FILE).is_file()
    return postprocessing.read(scores).clips if has_record else ()


def _clips(systems: list[System], truth: Truth) -> set[str]:
    """Clips that are judged; of recordings, their windows."""
    tables = [each.tables for each in systems if isinstance(each, Frames)]
    return set(tables[0]) if tables else set(truth.clips)


def _drawn(judged: Judged, samples: Ints) -> dict[str, Floats]:
    """Figures of each sample: their value, then their classes, float64 (sample, 1 + class)."""
    found = [judged.figures(weights) for weights in samples]
    return {
        name: np.stack([np.append(each[name].value, each[name].by_class) for each in found])
        for name in (found[0] if found else ())
    }


def _truth(question: Question, systems: list[System]) -> Truth:
    listed = read_strong(question.truth)
    reading = question.reading
    if reading.windows and not all(isinstance(each, Frames) for each in systems):
        raise ParameterError("--windows needs a folder of score tables, one for each window")
    seconds = _seconds(question, systems)
    classes = _classes(question, systems, listed.events)
    truth = truth_of(listed, seconds, classes, reading)
    if not len(truth.events):
        raise DataError(f"{question.truth}: has no event of the clips and classes that are scored")
    return truth


def _seconds(question: Question, systems: list[System]) -> dict[str, float]:
    """Length of every clip, or recording, that is judged."""
    given = read_durations(question.durations) if question.durations else None
    framed = [each for each in systems if isinstance(each, Frames)]
    for system in framed:
        if odd := sorted(set(framed[0].tables) ^ set(system.tables)):
            raise DataError(f"clip {odd[0]!r} is scored by one system only; score the same clips")
    if not framed:
        if given is None:
            raise ParameterError("detections do not tell how long clips are: --audio-durations")
        _check_clips(question, systems, given)
        return given
    tables = framed[0].tables
    if question.reading.windows:
        if given is None:
            raise ParameterError("windows do not tell how long recordings are: --audio-durations")
        names = {part_of(clip).recording for clip in tables}
    else:
        names = set(tables)
        given = {n: float(t.edges_s[-1]) for n, t in tables.items()} if given is None else given
    if missing := sorted(names - set(given)):
        raise DataError(f"{question.durations}: has no duration of clip {missing[0]!r}")
    return {name: given[name] for name in names}


def _check_clips(question: Question, systems: list[System], seconds: dict[str, float]) -> None:
    """Refuse detections in clips whose length nobody told."""
    for event in (event for system in systems for event in events_of(system)):
        if event.file not in seconds:
            raise DataError(f"{question.durations}: has no duration of clip {event.file!r}")


def _classes(
    question: Question, systems: list[System], events: tuple[Event, ...]
) -> tuple[str, ...]:
    """Classes that are known: those of score tables, else those that anybody names."""
    framed = [each.classes for each in systems if isinstance(each, Frames)]
    for name in question.reading.classes:
        for classes in framed:
            if name not in classes:
                raise ParameterError(f"--classes: no score of {name!r}{nearest(name, classes)}")
    if framed:
        return tuple(name for name in framed[0] if all(name in each for each in framed))
    detected = {event.label for each in systems for event in events_of(each)}
    return tuple(sorted({event.label for event in events} | detected))
