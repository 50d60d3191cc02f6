"""The figures of an outcome as a detector's report has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.detection.evaluation import sweep as sweeping
from soundgate.audio.detection.evaluation import tallies
from soundgate.audio.detection.evaluation.outcome import correlations, with_collar
from soundgate.audio.detection.tables.metrics import harmonic
from soundgate.audio.formats.reports.events import (
    Boundary,
    QualityFigures,
    SweepPoint,
    TapeFigures,
)
from soundgate.audio.formats.reports.report import ClassScores, Estimate, Headline
from soundgate.audio.metrics.events import psds as exact
from soundgate.audio.metrics.events.intervals import merged
from soundgate.audio.metrics.events.levels import of_operating_points
from soundgate.audio.metrics.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.audio.detection.evaluation.outcome import Outcome
    from soundgate.audio.detection.evaluation.sweep import Sweep
    from soundgate.audio.detection.evaluation.tallies import Interval
    from soundgate.audio.metrics.events.intervals import Floats

HEADLINE: Final = {
    "event_f1": ("Event F1", "calls found one to one, at the threshold of the validation tapes"),
    "event_precision": ("Event precision", "share of detections that are calls"),
    "event_recall": ("Event recall", "share of calls that are found"),
    "average_precision": ("Average precision", "precision over recall, of all thresholds"),
    "psds1": ("PSDS 1", "of all thresholds, exact times"),
    "psds2": ("PSDS 2", "of all thresholds, rough times"),
    "collar_f1": ("Collar F1", "both boundaries within the collar"),
    "false_alarms_per_hour": ("False alarms an hour", "detections that are no call"),
    "start_error_ms": ("Start error", "mean distance of starts, ms"),
    "end_error_ms": ("End error", "mean distance of ends, ms"),
}
LOWER_IS_BETTER: Final = {"false_alarms_per_hour", "start_error_ms", "end_error_ms"}
_STEPS: Final = 40
_REACHES_MS: Final = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000)


@dataclass(frozen=True, slots=True)
class Judged:
    """Everything that the figures of a report are made of."""

    outcome: Outcome
    swept: Sweep
    """Of the same recordings."""
    collar_s: float
    confidence: float


def metrics(judged: Judged) -> dict[str, Estimate]:
    """Every figure that may be gated, by name; what is undefined is left out."""
    outcome, confidence = judged.outcome, judged.confidence
    found: dict[str, Interval] = tallies.intervals(outcome.counts, confidence)
    collar = with_collar(outcome.truth, outcome.found, judged.collar_s)
    found["collar_f1"] = tallies.intervals(collar, confidence)["event_f1"]
    found["average_precision"] = sweeping.average_precision(judged.swept, confidence)
    found["psds1"], found["psds2"] = (tallies.Interval(value) for value in psds(judged))
    hours = float(outcome.truth.seconds.sum()) / 3600
    false_alarms = int((~outcome.is_right).sum())
    found["false_alarms_per_hour"] = tallies.Interval(false_alarms / hours if hours else np.nan)
    for name, errors in (
        ("start_error_ms", outcome.start_errors_ms()),
        ("end_error_ms", outcome.end_errors_ms()),
    ):
        found[name] = tallies.Interval(float(np.abs(errors).mean()) if len(errors) else np.nan)
    pearson, spearman = correlations(outcome.counts)
    found["pearson_calls"] = tallies.Interval(pearson)
    found["spearman_calls"] = tallies.Interval(spearman)
    if len(outcome.truth.classes) > 1:
        found["macro_f1"] = tallies.Interval(outcome.by_class().macro_f1)
    estimates = {name: estimate(value) for name, value in found.items()}
    return {name: value for name, value in estimates.items() if value is not None}


def psds(judged: Judged) -> tuple[float, float]:
    """PSDS 1 and 2 of the thresholds of a sweep, which bound the exact ones from below."""
    truth = judged.outcome.truth
    detections = list({id(found): found for found in judged.swept.detections}.values())
    levels = of_operating_points(detections)
    events, classes = merged(truth.events), len(truth.classes)
    one, two = (
        exact.psds(levels, events, truth.seconds, classes, setting).score
        for setting in (exact.PSDS1, exact.PSDS2)
    )
    return one, two


def estimate(found: Interval) -> Estimate | None:
    """A figure as reports have it; None where it is undefined."""
    if not np.isfinite(found.value):
        return None
    ends = (found.low, found.high)
    low, high = map(rounded, ends) if np.isfinite(ends).all() else (None, None)
    return Estimate(value=rounded(found.value), low=low, high=high)


def headline(known: Mapping[str, object]) -> tuple[Headline, ...]:
    """The words of those metrics that are known."""
    return tuple(
        Headline(
            metric=name,
            title=title,
            description=words,
            lower_is_better=name in LOWER_IS_BETTER,
        )
        for name, (title, words) in HEADLINE.items()
        if name in known
    )


def points(swept: Sweep) -> tuple[SweepPoint, ...]:
    """All thresholds."""
    totals = swept.totals
    columns = (tallies.precision(totals), tallies.recall(totals), tallies.f1(totals))
    return tuple(
        SweepPoint(
            threshold=float(swept.thresholds[k]),
            detections=int(totals[k, tallies.DETECTIONS]),
            precision=rounded(columns[0][k]),
            recall=_share(float(columns[1][k])),
            f1=_share(float(columns[2][k])),
        )
        for k in range(len(totals))
    )


def qualities(judged: Judged) -> tuple[QualityFigures, ...]:
    """Of each quality that there are calls of."""
    outcome = judged.outcome
    precision = float(tallies.precision(outcome.counts.sum(axis=0)))
    drawn = tallies.weights(len(outcome.counts))
    made = []
    for quality in sorted(set(outcome.truth.qualities.tolist())):
        counts = outcome.quality_counts(quality)
        found, calls = (int(value) for value in counts.sum(axis=0))
        draws = None
        if drawn is not None:
            of_draws = drawn @ counts
            with np.errstate(invalid="ignore"):
                draws = of_draws[:, 0] / of_draws[:, 1]
        recall = estimate(tallies.interval(found / calls, draws, judged.confidence))
        assert recall is not None  # there are calls of it
        made.append(
            QualityFigures(
                quality=quality,
                calls=calls,
                found=found,
                recall=recall,
                f1=rounded(harmonic(precision, found / calls)),
            )
        )
    return tuple(made)


def tapes(outcome: Outcome) -> tuple[TapeFigures, ...]:
    """Of each tape, in the order of the recordings."""
    truth, counts = outcome.truth, outcome.counts
    seconds = np.bincount(truth.tape_numbers, truth.seconds, len(truth.tape_names))
    return tuple(
        TapeFigures(
            tape=tape,
            seconds=rounded(seconds[k]),
            calls=int(counts[k, tallies.CALLS]),
            detections=int(counts[k, tallies.DETECTIONS]),
            hits=int(counts[k, tallies.HITS]),
            precision=rounded(float(tallies.precision(counts[k]))),
            recall=_share(float(tallies.recall(counts[k]))),
            f1=_share(float(tallies.f1(counts[k]))),
        )
        for k, tape in enumerate(truth.tape_names)
    )


def boundary(errors_ms: Floats) -> Boundary | None:
    """How starts, or ends, of hits are off; None without any hit."""
    if not len(errors_ms):
        return None
    most = float(np.abs(errors_ms).max())
    reach = next((r for r in _REACHES_MS if r >= most), _REACHES_MS[-1])
    edges = np.linspace(-reach, reach, _STEPS + 1)
    counts, _ = np.histogram(np.clip(errors_ms, -reach, reach), edges)
    low, median, high = np.quantile(errors_ms, (0.1, 0.5, 0.9))
    return Boundary(
        mean_absolute_ms=rounded(float(np.abs(errors_ms).mean())),
        median_ms=rounded(float(median)),
        low_ms=rounded(float(low)),
        high_ms=rounded(float(high)),
        histogram=tuple(counts.tolist()),
        reach_ms=reach,
    )


def per_class(outcome: Outcome) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class; 0 where undefined, as classifiers' reports."""
    counts = outcome.by_class()
    columns = [np.nan_to_num(each) for each in (counts.precision, counts.recall, counts.f1)]
    return tuple(
        ClassScores(
            label=label,
            precision=rounded(columns[0][k]),
            recall=rounded(columns[1][k]),
            f1=rounded(columns[2][k]),
            support=int(counts.events[k]),
        )
        for k, label in enumerate(outcome.truth.classes)
    )


def _share(value: float) -> float | None:
    return rounded(value) if np.isfinite(value) else None
