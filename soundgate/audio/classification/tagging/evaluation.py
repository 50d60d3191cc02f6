"""The report of a tagger on the test clips it has never seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.tagging import figures
from soundgate.audio.classification.tagging.inference import (
    BATCH_SIZE,
    joined,
    load,
    scored_rows,
)
from soundgate.audio.clips.families import members
from soundgate.audio.clips.splits import TEST
from soundgate.audio.formats.model import SPLIT, rows_of
from soundgate.audio.formats.reports.clip_results import FORMAT as CLIP_RESULTS
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, ClipResult, write_results
from soundgate.audio.formats.reports.report import Estimate, Results, write_report
from soundgate.audio.formats.reports.tags import TagReport
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.metrics import multilabel
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.tagging.inference import ClipScorer
    from soundgate.audio.formats.models.tagger import TaggerFile
    from soundgate.audio.formats.waveforms import Row, WaveformSet
    from soundgate.audio.metrics.multilabel import Tags

    Array = npt.NDArray[Any]

_SCORE_DECIMALS = 6


@dataclass(frozen=True)
class TaggedClips:
    """Clips of a split with the scores that a model gave them."""

    rows: Sequence[Row]
    labels: tuple[str, ...]
    tags: Tags
    chunks: Array
    """Int64 (clip,): how many chunks each was cut into."""
    chunks_right: Array
    """Int64 (clip,): chunks of which every annotated label is decided right."""

    @property
    def groups(self) -> list[str]:
        """The recording of each clip; clips of one are not independent of one another."""
        return [row.group for row in self.rows]

    def results(self) -> Iterator[ClipResult]:
        """Yield the rows of ``predictions.jsonl``."""
        wrong = ((self.tags.truth != self.tags.decided) & self.tags.mask).any(1)
        for k, row in enumerate(self.rows):
            scores = (round(float(score), _SCORE_DECIMALS) for score in self.tags.scores[k])
            yield ClipResult(
                path=row.path,
                truth=self._named(self.tags.truth[k]),
                predicted=self._named(self.tags.decided[k]),
                scores=dict(zip(self.labels, scores, strict=True)),
                patches=int(self.chunks[k]),
                patches_correct=int(self.chunks_right[k]),
                source=row.group,
                correct=not wrong[k],
                start_s=row.start_s,
                end_s=row.end_s,
                judged=None if self.tags.mask[k].all() else self._named(self.tags.mask[k]),
            )

    def _named(self, given: Array) -> tuple[str, ...]:
        return tuple(name for name, there in zip(self.labels, given, strict=True) if there)


@dataclass(frozen=True)
class QuantizedTagger:
    """A tagger in 8 bits, beside the one it was made of."""

    scorer: ClipScorer
    size_bytes: int
    """Of its file."""


def evaluate(
    waveforms: Path,
    model: Path,
    report: Path,
    *,
    batch_size: int = BATCH_SIZE,
    confidence: float = 0.95,
    quantized: QuantizedTagger | None = None,
) -> TagReport:
    """Score the test clips of ``model`` and write ``report``.

    Args:
        waveforms: folder with the clips that the model's ``split.jsonl`` names.
        model: folder that training wrote.
        report: folder to write.
        batch_size: chunks scored at once.
        confidence: level of the intervals, 0..1.
        quantized: the int8 network of the same model; it is scored too, on the same clips.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        DataError: the clips are not such as the model was trained with, or none is left to test.
    """
    clips = read_waveforms(waveforms)
    description, scorer = load(model)
    check_same_clips(clips, description, waveforms)
    rows = rows_of(model, clips.rows, TEST)
    if not rows:
        raise DataError(f"{model / SPLIT}: no test clips; give some, or hold out a fold")
    scored = tag(clips, scorer, description, rows, batch_size)
    made = report_of(scored, description, confidence)
    if quantized is not None:
        small = tag(clips, quantized.scorer, description, rows, batch_size)
        made = _with_quantized(made, scored, small, quantized.size_bytes)
    report.mkdir(parents=True, exist_ok=True)
    write_results(report / PREDICTIONS, scored.results())
    write_report(report, made)
    for line in made.headline:
        print(f"{line.title} on test set : {decimal(made.metrics[line.metric].value)}")
    return made


def tag(
    clips: WaveformSet,
    scorer: ClipScorer,
    description: TaggerFile,
    rows: Sequence[Row],
    batch_size: int,
) -> TaggedClips:
    """Score ``rows`` and decide by the model's own thresholds; memory holds a few clips."""
    annotated = clips.targets(rows) >= 0.5, clips.mask(rows)
    return decide(rows, description, annotated, scored_rows(scorer, clips, rows, batch_size))


def decide(
    rows: Sequence[Row],
    description: TaggerFile,
    annotated: tuple[Array, Array],
    chunk_scores: Iterable[Array],
) -> TaggedClips:
    """Join the scores of chunks and decide by the model's own thresholds.

    Args:
        rows: the clips.
        description: of the model that scored them.
        annotated: bool (clip, label) twice, which labels are there and which were looked for.
        chunk_scores: of each clip, (chunk, label).
    """
    truth, mask = annotated
    thresholds = np.array([description.thresholds[label] for label in description.classes])
    scores = np.empty(truth.shape, np.float64)
    chunks, right = np.zeros((2, len(rows)), np.int64)
    for k, of_clip in enumerate(track(chunk_scores, total=len(rows), label="scoring clips")):
        scores[k] = joined(of_clip, description.chunks.join)
        chunks[k] = len(of_clip)
        alike = (of_clip >= thresholds) == truth[k]
        right[k] = (alike | ~mask[k]).all(1).sum()
    tags = multilabel.tags(truth, scores, thresholds, mask)
    return TaggedClips(rows, description.classes, tags, chunks, right)


def report_of(scored: TaggedClips, description: TaggerFile, confidence: float) -> TagReport:
    """Every figure of a report, with intervals over recordings."""
    tags, labels = scored.tags, scored.labels
    found = multilabel.intervals(tags, scored.groups, seed=figures.SEED, confidence=confidence)
    of_labels = {
        label: figures.label_figures(tags, found, k, description.thresholds[label])
        for k, label in enumerate(labels)
    }
    metrics = figures.overall(found)
    calibration = figures.calibrated(tags)
    metrics["calibration_error"] = Estimate(value=calibration.ece)
    families = members(labels, description.families)
    of_families = {}
    if families:
        grouped = multilabel.by_family(tags, families)
        within = multilabel.intervals(
            grouped, scored.groups, seed=figures.SEED, confidence=confidence
        )
        of_families = {
            name: figures.tag_figures(grouped, within, k) for k, name in enumerate(families)
        }
        for name in figures.OF_FAMILIES:
            if (value := figures.estimate(within, name)) is not None:
                metrics[f"family_{name}"] = value
    sides = multilabel.one_sided(tags)
    lacking = {"positives": sides.without_positives, "negatives": sides.without_negatives}
    return TagReport(
        metrics=metrics,
        headline=figures.headline(metrics),
        notes=_notes(lacking, labels),
        confidence_level=confidence,
        split=TEST,
        clips=len(scored.rows),
        sources=len(set(scored.groups)),
        multi_label=True,
        results=Results(file=PREDICTIONS, format=CLIP_RESULTS),
        per_class=figures.per_class(labels, of_labels),
        calibration=calibration,
        labels=of_labels,
        families=of_families,
        curves={label: figures.curves(tags, k) for k, label in enumerate(labels)},
        one_sided={
            side: tuple(labels[k] for k in numbers) for side, numbers in lacking.items() if numbers
        },
    )


def _with_quantized(
    report: TagReport, scored: TaggedClips, small: TaggedClips, size_bytes: int
) -> TagReport:
    """The report with the int8 network's figures beside those of the network in torch."""
    confidence = report.confidence_level or 0.95
    found = multilabel.intervals(small.tags, small.groups, seed=figures.SEED, confidence=confidence)
    more = {f"quantized_{name}": value for name, value in figures.overall(found).items()}
    known = scored.tags.mask
    alike = float((scored.tags.decided == small.tags.decided)[known].mean())
    more["quantized_agreement"] = Estimate(value=rounded(alike))
    more["quantized_size_bytes"] = Estimate(value=size_bytes)
    headline = tuple(
        line.model_copy(update={"variants": {"int8": f"quantized_{line.metric}"}})
        if f"quantized_{line.metric}" in more
        else line
        for line in report.headline
    )
    note = (
        f"The int8 network takes {size_bytes / 1e6:.1f} MB and decides {alike:.1%} of the labels "
        "of the test clips as the network does that it was made of."
    )
    update = {
        "metrics": report.metrics | more,
        "headline": headline,
        "notes": (*report.notes, note),
    }
    return report.model_copy(update=update)


def check_same_clips(clips: WaveformSet, description: TaggerFile, folder: Path) -> None:
    """Refuse clips of other labels or another rate than the model's, naming both.

    Raises:
        DataError: they differ.
    """
    pairs = (
        ("labels", ", ".join(clips.labels), ", ".join(description.classes)),
        ("sample_rate_hz", str(clips.sample_rate_hz), str(description.sample_rate_hz)),
    )
    for name, found, expected in pairs:
        if found != expected:
            raise DataError(
                f"{folder}: {name} is {found}, but the model was trained with {expected}; prepare "
                "the clips with the model's settings"
            )


def _notes(lacking: Mapping[str, Sequence[int]], labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"No test clip is known to be {words} {', '.join(labels[k] for k in numbers)}: "
        "means over labels leave it out."
        for words, numbers in zip(("with", "without"), lacking.values(), strict=True)
        if numbers
    )
