"""The report of a detector on recordings that it has never heard.

    report/
        evaluation.json            metrics with intervals over tapes, curves, qualities, tapes
        events.jsonl               each call found or missed, and each false alarm
        metrics.csv                a row a threshold: those of the variants, and the chosen one
        metrics_per_tape.csv
        runs/<variant>/<tag>/      evaluation/index.json and tables of each threshold

The threshold is chosen on the validation regions of the data set. The thresholds of the benchmark's
variants are decoded as they always were, without trimming.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.detection.evaluation import figures, tallies
from soundgate.audio.detection.evaluation.decoding import Decoding, decode_with_scores
from soundgate.audio.detection.evaluation.leakage import Used, check_unseen
from soundgate.audio.detection.evaluation.outcome import (
    Outcome,
    outcome_of,
    with_collar,
)
from soundgate.audio.detection.evaluation.scored import Scored, read_scored
from soundgate.audio.detection.evaluation.sweep import THRESHOLDS, Choice, Sweep, choose, sweep
from soundgate.audio.detection.tables import metrics as tables
from soundgate.audio.detection.tables.prediction_index import Kept, write_run
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.audio.formats.detections.scores import SCORES
from soundgate.audio.formats.reports.events import (
    EVENTS,
    EVENTS_FORMAT,
    Detector,
    EventReport,
    OperatingPoint,
    write_events,
)
from soundgate.audio.formats.reports.report import Estimate, Results, write_report
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.detection.forest.forest import Forest
RUNS: Final = "runs"
_LAYER: Final = "evaluation"
_TOO_FEW: Final = (
    "The validation recordings have too few detections of calls, or too few false alarms, for a "
    "random forest to learn from: it keeps every detection."
)


@dataclass(frozen=True, slots=True)
class Folders:
    """What is evaluated."""

    scores: Path
    """Of the benchmark's recordings."""
    benchmark: Path
    """Their corpus."""
    validation: Path
    """Scores of the validation regions, by the same model."""
    corpus: Path
    """The corpus of these regions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How it is evaluated."""

    variant: str
    thresholds: tuple[float, ...] = ()
    """Those of the benchmark's variants with this window."""
    iou: float = 0.4
    collar_s: float = 0.2
    merge_gap_s: float = 0.0
    confidence: float = 0.95
    postrf: bool = False
    """Whether a random forest takes false alarms away, beside what the network alone finds."""

    def __post_init__(self) -> None:
        """Refuse impossible numbers.

        Raises:
            DataError: one is.
        """
        for name, values in (("iou", (self.iou,)), ("thresholds", self.thresholds)):
            for value in values:
                if not 0 < value <= 1:
                    raise DataError(f"{name} must be above 0 and at most 1, got {value:g}")
        for name in ("collar_s", "merge_gap_s"):
            if not getattr(self, name) >= 0:
                raise DataError(f"{name} must be at least 0, got {getattr(self, name):g}")


def evaluate(folders: Folders, used: Used, asked: Asked, report: Path) -> EventReport:
    """Evaluate the scores of one model with one window, and write ``report``.

    Args:
        folders: scores and corpora.
        used: what of ``corpus`` the model was trained with.
        asked: thresholds, criteria.
        report: folder to write.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        DataError: the benchmark has tapes of the training, a file is missing or damaged, or the
            two sets of scores are of different models.
    """
    check_unseen(
        (folders.benchmark, read_corpus_index(folders.benchmark)),
        (folders.corpus, read_corpus_index(folders.corpus)),
        used,
    )
    tested = read_scored(folders.scores, folders.benchmark, complete=True)
    validated = read_scored(folders.validation, folders.corpus, complete=False)
    _check_one_model(folders, tested, validated)
    choice = choose(
        validated.windows,
        validated.truth,
        asked.iou,
        merge_gap_s=asked.merge_gap_s,
        confidence=asked.confidence,
    )
    decodings = _decodings(choice, asked)
    runs = [_run(tested, decoding, choice, asked) for decoding in decodings]
    if asked.postrf:
        forest = _forest(folders, validated, choice, asked)
        runs += [_second_stage(folders, tested, run, forest, asked) for run in runs]
    levels = sorted({*THRESHOLDS, choice.decoding.threshold})
    swept = sweep(tested.windows, tested.truth, choice.decoding, asked.iou, levels)
    made = report_of(tested, runs[0].outcome, swept, choice, asked)
    if asked.postrf:
        made = with_second_stage(made, runs[len(decodings)], asked.confidence)
    _write(report, runs, made)
    said = [f"{made.metrics[name].value:.3f}" for name in ("event_precision", "event_recall")]
    print(
        f"Event F1 on benchmark : {decimal(made.metrics['event_f1'].value)} (precision {said[0]}, "
        f"recall {said[1]}) at threshold {choice.decoding.threshold:g}"
    )
    return made


def _check_one_model(folders: Folders, tested: Scored, validated: Scored) -> None:
    for name in ("model", "window_s", "hop_s", "class_names"):
        ours, theirs = getattr(tested.about, name), getattr(validated.about, name)
        if ours != theirs:
            raise DataError(
                f"{folders.validation / SCORES}: {name} is {theirs}, but the benchmark's scores "
                f"have {ours}; predict both with one model and window"
            )


def _decodings(choice: Choice, asked: Asked) -> list[Decoding]:
    """The chosen one first, then those of the variants."""
    declared = [Decoding(each, 0.0, asked.merge_gap_s) for each in sorted(set(asked.thresholds))]
    return [choice.decoding, *(each for each in declared if each != choice.decoding)]


def _run(tested: Scored, decoding: Decoding, choice: Choice, asked: Asked) -> tables.Named:
    found = decode_with_scores(tested.windows, decoding)
    chosen = decoding == choice.decoding
    name = tables.tag(tested.about.window_s, tested.about.hop_s, decoding.threshold)
    trim = f"_trim{round(1000 * decoding.trim_share):03d}" if decoding.trim_share else ""
    trim += f"_least{round(1000 * decoding.least_s):03d}" if decoding.least_s else ""
    outcome = outcome_of(tested.truth, found, asked.iou)
    return tables.Named(
        asked.variant,
        f"{name}{trim}",
        _LAYER,
        outcome,
        _more(outcome, decoding, asked, chosen=chosen),
    )


def _forest(folders: Folders, validated: Scored, choice: Choice, asked: Asked) -> Forest:
    # torch, which hears its features, takes seconds to import; without a forest none is needed
    from soundgate.audio.detection.forest.forest import fit

    indexes = [read_corpus_index(each) for each in (folders.benchmark, folders.corpus)]
    # the lowest rate is one that every recording has
    rate_hz = min(each.rate_hz for index in indexes for each in index.recordings)
    return fit(validated, folders.corpus, choice.decoding, asked.iou, rate_hz)


def _second_stage(
    folders: Folders, tested: Scored, run: tables.Named, forest: Forest, asked: Asked
) -> tables.Named:
    """What the forest keeps of a run."""
    found = run.outcome.found
    probabilities = forest.probabilities(folders.benchmark, tested.truth, found)
    keeps = probabilities >= forest.threshold
    outcome = outcome_of(tested.truth, found.where(keeps), asked.iou)
    kept = Kept(probabilities[keeps].tolist(), forest.meta)
    estimates = tallies.intervals(outcome.counts, asked.confidence)
    collar = with_collar(outcome.truth, outcome.found, asked.collar_s)
    more = {
        **run.more,
        "f1_low": estimates["event_f1"].low,
        "f1_high": estimates["event_f1"].high,
        "collar_f1": float(tallies.f1(collar.sum(axis=0))),
    }
    return tables.Named(run.model, run.variant, "postrf", outcome, more, kept)


def with_second_stage(made: EventReport, run: tables.Named, confidence: float) -> EventReport:
    """The report with the figures of what a second stage keeps, as a form of the same metrics."""
    found = tallies.intervals(run.outcome.counts, confidence)
    estimates = {f"postrf_{name}": figures.estimate(value) for name, value in found.items()}
    metrics = {name: value for name, value in estimates.items() if value is not None}
    headline = tuple(
        line.model_copy(update={"variants": {"random forest": f"postrf_{line.metric}"}})
        if f"postrf_{line.metric}" in metrics
        else line
        for line in made.headline
    )
    notes = made.notes
    if run.kept is not None and run.kept.meta.get("rf_model") == "none":
        notes = (*notes, _TOO_FEW)
    update = {"metrics": made.metrics | metrics, "headline": headline, "notes": notes}
    return made.model_copy(update=update)


def _more(outcome: Outcome, decoding: Decoding, asked: Asked, *, chosen: bool) -> tables.Row:
    """Further cells of a row of ``metrics.csv``."""
    estimates = tallies.intervals(outcome.counts, asked.confidence)
    collar = with_collar(outcome.truth, outcome.found, asked.collar_s)
    return {
        "threshold": decoding.threshold,
        "trim_share": decoding.trim_share,
        "least_s": decoding.least_s,
        "f1_low": estimates["event_f1"].low,
        "f1_high": estimates["event_f1"].high,
        "collar_f1": float(tallies.f1(collar.sum(axis=0))),
        "chosen": int(chosen),
    }


def report_of(
    tested: Scored, outcome: Outcome, swept: Sweep, choice: Choice, asked: Asked
) -> EventReport:
    """Every figure of the chosen operating point."""
    judged = figures.Judged(outcome, swept, asked.collar_s, asked.confidence)
    metrics = figures.metrics(judged)
    if (validation := figures.estimate(choice.f1)) is not None:
        metrics["validation_event_f1"] = validation
        metrics["validation_fit"] = Estimate(value=rounded(choice.fit))
    if "event_f1" not in metrics:
        raise DataError(
            "the benchmark has no call and nothing was detected: there is no event F1; give it "
            "recordings with calls"
        )
    about, truth = tested.about, tested.truth
    return EventReport(
        metrics=metrics,
        headline=figures.headline(metrics),
        notes=_notes(outcome, choice),
        confidence_level=asked.confidence,
        split="benchmark",
        clips=len(truth.recordings),
        sources=len(truth.tape_names),
        results=Results(file=EVENTS, format=EVENTS_FORMAT),
        per_class=figures.per_class(outcome) if len(truth.classes) > 1 else (),
        detector=Detector(
            variant=asked.variant,
            window=tables.tag(about.window_s, about.hop_s),
            window_s=about.window_s,
            hop_s=about.hop_s,
            digest=about.model.digest,
        ),
        operating_point=OperatingPoint(
            threshold=choice.decoding.threshold,
            trim_share=choice.decoding.trim_share,
            least_s=choice.decoding.least_s,
            merge_gap_s=asked.merge_gap_s,
            iou=asked.iou,
            collar_s=asked.collar_s,
            chosen_on_validation=choice.is_chosen,
        ),
        sweep=figures.points(swept),
        qualities=figures.qualities(judged),
        tapes=figures.tapes(outcome),
        starts=figures.boundary(outcome.start_errors_ms()),
        ends=figures.boundary(outcome.end_errors_ms()),
    )


def _notes(outcome: Outcome, choice: Choice) -> tuple[str, ...]:
    notes = []
    if not choice.is_chosen:
        notes.append(
            "No call of the validation recordings was found at any threshold; the threshold is "
            f"{choice.decoding.threshold:g}."
        )
    if len(outcome.truth.tape_names) == 1:
        notes.append("The benchmark is one tape: figures have no interval.")
    return tuple(notes)


def _write(report: Path, runs: Sequence[tables.Named], made: EventReport) -> None:
    report.mkdir(parents=True, exist_ok=True)
    for each in runs:
        folder = report / RUNS / each.model / each.variant
        write_run(folder, each.outcome.truth, each.outcome.found, each.layer, each.kept)
    tables.write_table(report / tables.METRICS, [tables.metrics_row(each) for each in runs])
    tables.write_table(
        report / tables.PER_TAPE, [row for each in runs for row in tables.tape_rows(each)]
    )
    write_events(report / EVENTS, runs[0].outcome.results())
    write_report(report, made)
