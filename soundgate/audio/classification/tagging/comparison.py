"""A candidate tagger and the champion on the very same test clips; writes ``comparison/``.

A clip is compared where both models call it the same, see ``comparable_clips``. Figures are of the
labels that both know; each model decides by its own thresholds, on waveforms at its own rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.comparison.comparable_clips import Chosen, choose, obstacle
from soundgate.audio.classification.tagging import figures
from soundgate.audio.classification.tagging.inference import BATCH_SIZE, TagScorer, joined, load
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.tagger import FORMAT, REMEDY, TaggerFile, read_tagger
from soundgate.audio.formats.record import read_object
from soundgate.audio.formats.reports.clip_results import (
    PREDICTIONS,
    ClipResult,
    read_results,
    write_results,
)
from soundgate.audio.formats.reports.comparison import (
    CHAMPION_PREDICTIONS,
    NO_CHAMPION,
    Champion,
    ClassComparison,
    ClassesLeftOut,
    ClassMetrics,
    Comparison,
    Pair,
    write_comparison,
)
from soundgate.audio.formats.reports.report import Estimate
from soundgate.audio.formats.version import MODEL, VersionCard, read_version
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.metrics import multilabel
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.audio.signal.waveforms import decode
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.metrics.multilabel import Tags

    Array = npt.NDArray[Any]

# Clips that are in memory at once.
_CLIPS = 64


@dataclass(frozen=True)
class Candidate:
    """The folders of a run that a candidate came from."""

    clips: Path
    """``manifest.jsonl`` and the audio."""
    waveforms: Path
    model: Path
    report: Path


def compare(
    candidate: Candidate,
    champion: Path,
    comparison: Path,
    *,
    confidence: float = 0.95,
    batch_size: int = BATCH_SIZE,
) -> Comparison:
    """Score the champion on the candidate's test clips and write ``comparison``.

    Args:
        candidate: where its clips, waveforms, model and evaluation lie.
        champion: folder with ``version.json`` and ``model/``; its version is null where there is
            no champion yet.
        comparison: folder to write.
        confidence: level of the intervals, 0..1.
        batch_size: chunks scored at once.

    Returns:
        What ``comparison.json`` holds. Without a champion the differences are 0: there is nothing
        to be worse than. Where nothing could be compared there are none, and gates stay closed.

    Raises:
        DataError: a file is missing or damaged.
    """
    version = read_version(champion)
    results: list[ClipResult] = []
    if version.version is None:
        nothing = Pair(difference=Estimate(value=0.0, low=0.0, high=0.0))
        made = Comparison(
            compared=False,
            reason=NO_CHAMPION,
            confidence_level=confidence,
            metrics=dict.fromkeys(figures.OVERALL, nothing),
            left_out=Chosen().left_out,
        )
    else:
        made, results = _against(candidate, champion / MODEL, version, confidence, batch_size)
    comparison.mkdir(parents=True, exist_ok=True)
    write_results(comparison / CHAMPION_PREDICTIONS, results)
    write_comparison(comparison, made)
    print(_sentence(made))
    return made


def _against(
    candidate: Candidate, folder: Path, version: VersionCard, confidence: float, batch_size: int
) -> tuple[Comparison, list[ClipResult]]:
    named = Champion(name=version.name, version=str(version.version), run_id=version.run_id)
    kind = read_object(folder / DESCRIPTION, remedy=REMEDY).get("format")
    if kind != FORMAT:
        reason = f"the champion is no tagger: its model.json is of the format {kind}"
        return Comparison(champion=named, compared=False, reason=reason), []
    ours, (theirs, scorer) = read_tagger(candidate.model), load(folder)
    named = named.with_fields(classes=list(theirs.classes))
    listed = {clip.identity: clip for clip in read_manifest(candidate.clips, allow_unlabelled=True)}
    found = list(read_results(candidate.report / PREDICTIONS))
    chosen = choose(found, listed, folder, ours.classes, theirs.classes)
    reason = obstacle(chosen, ours, theirs)
    common = {
        "champion": named,
        "compared": not reason,
        "reason": reason,
        "confidence_level": confidence,
        "left_out": chosen.left_out,
        "classes_left_out": ClassesLeftOut(
            unknown_to_champion=tuple(k for k in ours.classes if k not in theirs.classes),
            unknown_to_candidate=tuple(k for k in theirs.classes if k not in ours.classes),
        ),
    }
    if reason:
        return Comparison.model_validate(common), []
    scores = _champion_scores(candidate, scorer, theirs, chosen.results, batch_size)
    pair = _Pair(candidate, ours, theirs, chosen.results, scores)
    made = Comparison.model_validate(common | _figures(pair, confidence))
    return made, list(pair.champion_results())


@dataclass(frozen=True)
class _Pair:
    """Both models on the compared clips."""

    candidate: Candidate
    ours: TaggerFile
    theirs: TaggerFile
    results: Sequence[ClipResult]
    """The candidate's."""
    scores: Array
    """The champion's float64 (clip, label of the champion)."""

    @property
    def labels(self) -> list[str]:
        """The labels that both know, in the candidate's order."""
        return [label for label in self.ours.classes if label in self.theirs.classes]

    def tags(self) -> tuple[Tags, Tags]:
        """Of the candidate and of the champion, (clip, label)."""
        labels, known = self.labels, self._known()
        truth = np.array([[label in r.truth for label in labels] for r in self.results])
        first = np.array([[r.scores[label] for label in labels] for r in self.results])
        columns = [self.theirs.classes.index(label) for label in labels]
        pairs = ((first, self.ours), (self.scores[:, columns], self.theirs))
        made = [
            multilabel.tags(truth, scores, np.array([m.thresholds[x] for x in labels]), known)
            for scores, m in pairs
        ]
        return made[0], made[1]

    def _known(self) -> Array:
        """Bool (clip, label): what is annotated."""
        clips = read_waveforms(self.candidate.waveforms)
        columns = [clips.labels.index(label) for label in self.labels]
        rows = {(row.path, row.start_s, row.end_s): row for row in clips.rows}
        return clips.mask([rows[result.identity] for result in self.results])[:, columns]

    def champion_results(self) -> Iterator[ClipResult]:
        """The champion's rows, as ``predictions.jsonl`` has them."""
        for result, scores in zip(self.results, self.scores, strict=True):
            named = dict(zip(self.theirs.classes, scores.tolist(), strict=True))
            given = tuple(k for k in named if named[k] >= self.theirs.thresholds[k])
            right = all(
                (label in given) == (label in result.truth)
                for label in {*given, *result.truth}
                if result.is_judged(label)
            )
            yield ClipResult(
                path=result.path,
                truth=result.truth,
                predicted=given,
                scores={label: round(score, 6) for label, score in named.items()},
                patches=1,
                patches_correct=int(right),
                source=result.source,
                correct=right,
                start_s=result.start_s,
                end_s=result.end_s,
                judged=result.judged,
            )


def _figures(pair: _Pair, confidence: float) -> dict[str, Any]:
    ours, theirs = pair.tags()
    groups = [result.recording for result in pair.results]
    settings: dict[str, Any] = {"seed": figures.SEED, "confidence": confidence}
    first = multilabel.intervals(ours, groups, **settings)
    second = multilabel.intervals(theirs, groups, **settings)
    gap = multilabel.differences(ours, theirs, groups, **settings)
    metrics = {
        name: Pair(
            candidate=figures.estimate(first, name),
            champion=figures.estimate(second, name),
            difference=figures.estimate(gap, name),
        )
        for name in figures.OVERALL
    }
    defined = {name: pair for name, pair in metrics.items() if pair.difference is not None}
    positives = (ours.truth & ours.mask).sum(0)
    return {
        "metrics": defined,
        "headline": figures.headline(defined),
        "clips": len(pair.results),
        "sources": len(set(groups)),
        "per_class": tuple(
            ClassComparison(
                label=label,
                clips=int(positives[k]),
                candidate=_class_metrics(first.value, k),
                champion=_class_metrics(second.value, k),
                difference=_class_metrics(gap.value, k),
            )
            for k, label in enumerate(pair.labels)
        ),
    }


def _class_metrics(found: multilabel.Figures, index: int) -> ClassMetrics:
    return ClassMetrics(
        precision=rounded(found.precision[index]),
        recall=rounded(found.recall[index]),
        f1=rounded(found.f1[index]),
    )


def _champion_scores(
    candidate: Candidate,
    scorer: TagScorer,
    description: TaggerFile,
    results: Sequence[ClipResult],
    batch_size: int,
) -> Array:
    """Scores float64 (clip, label), on the candidate's waveforms where they are at its rate."""
    ours = read_waveforms(candidate.waveforms)
    rows = {(row.path, row.start_s, row.end_s): row for row in ours.rows}
    missing = next((r.path for r in results if r.identity not in rows), None)
    if missing is not None:
        raise DataError(
            f"{candidate.waveforms}: has no clip {missing!r}; compare with the waveforms of the "
            "same run"
        )
    alike = ours.sample_rate_hz == description.sample_rate_hz
    if not alike:
        print("the champion hears another sample rate: decoding the clips again")

    def waveform(result: ClipResult) -> Array:
        if alike:
            return ours.waveform(rows[result.identity])
        return _decoded(candidate.clips, result, description.sample_rate_hz)

    scores = np.empty((len(results), len(description.classes)), np.float64)
    for first in range(0, len(results), _CLIPS):
        clips = [waveform(result) for result in results[first : first + _CLIPS]]
        for k, chunks in enumerate(scorer.chunk_scores(clips, batch_size)):
            scores[first + k] = joined(chunks, scorer.chunks.join)
    return scores


def _decoded(clips: Path, result: ClipResult, sample_rate_hz: int) -> Array:
    from soundgate.audio.extraction.waveforms import Settings

    preprocessing = Settings(sample_rate_hz=sample_rate_hz).preprocessing
    samples, _ = decode(
        clips / result.path, preprocessing, start_s=result.start_s, end_s=result.end_s
    )
    return samples


def _sentence(made: Comparison) -> str:
    if not made.compared or made.champion is None:
        return f"not compared: {made.reason}"
    line = made.headline[0]
    pair = made.metrics[line.metric]
    gap = pair.difference
    assert gap is not None
    assert pair.candidate is not None
    assert pair.champion is not None
    ends = "" if gap.low is None else f" ({gap.low:+.4f} to {gap.high:+.4f})"
    return (
        f"{line.title.lower()} {decimal(pair.candidate.value)}, champion {made.champion.name} "
        f"{made.champion.version} {decimal(pair.champion.value)} on the same {made.clips} clips: "
        f"{gap.value:+.4f}{ends}"
    )
