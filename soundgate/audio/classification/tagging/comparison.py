"""A candidate tagger and the champion on the very same test clips; writes ``comparison/``.

Figures are of the labels that both know; each model decides by its own thresholds, on waveforms at
its own rate. A label that nobody looked for in a clip is neither right nor wrong there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.comparison.against_champion import (
    Match,
    conclude,
    match,
    released,
    rows_of,
    without_champion,
)
from soundgate.audio.classification.tagging import figures
from soundgate.audio.classification.tagging.evaluation import TaggedClips, decide
from soundgate.audio.classification.tagging.inference import BATCH_SIZE, in_portions, load
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.tagger import FORMAT, REMEDY, TaggerFile, read_tagger
from soundgate.audio.formats.record import read_object
from soundgate.audio.formats.reports.comparison import (
    ClassComparison,
    ClassMetrics,
    Comparison,
    Pair,
)
from soundgate.audio.formats.version import MODEL, read_version
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.metrics import multilabel
from soundgate.audio.metrics.multilabel import Tags
from soundgate.audio.metrics.rounding import rounded
from soundgate.audio.signal.waveforms import decode

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.comparison.against_champion import Candidate
    from soundgate.audio.classification.tagging.inference import TagScorer
    from soundgate.audio.formats.waveforms import Row, Waveform

    Array = npt.NDArray[Any]


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
    if version.version is None:
        return conclude(comparison, without_champion(figures.OVERALL, confidence))
    kind = read_object(champion / MODEL / DESCRIPTION, remedy=REMEDY).get("format")
    if kind != FORMAT:
        reason = f"the champion is no tagger: its model.json is of the format {kind}"
        made = Comparison(champion=released(version), compared=False, reason=reason)
        return conclude(comparison, made)
    ours, (theirs, scorer) = read_tagger(candidate.model), load(champion / MODEL)
    both = match(candidate, champion / MODEL, ours, theirs)
    made = both.comparison(version, confidence)
    if not made.compared:
        return conclude(comparison, made)
    scored = _score_champion(candidate, both, theirs, scorer, batch_size)
    return conclude(
        comparison, with_figures(made, both, (ours, scored), confidence), scored.results()
    )


def with_figures(
    made: Comparison, both: Match, taggers: tuple[TaggerFile, TaggedClips], confidence: float
) -> Comparison:
    """``made`` with every figure of the compared clips.

    ``taggers`` are the candidate, and the champion's scores in the order of the compared clips.
    """
    candidate, champion = taggers
    labels = [label for label in candidate.classes if label in champion.labels]
    ours, theirs = _tags_of_both(both, labels, candidate, champion)
    groups = [result.recording for result in both.results]
    first = multilabel.intervals(ours, groups, seed=figures.SEED, confidence=confidence)
    second = multilabel.intervals(theirs, groups, seed=figures.SEED, confidence=confidence)
    gap = multilabel.differences(ours, theirs, groups, seed=figures.SEED, confidence=confidence)
    pairs = {
        name: Pair(
            candidate=figures.estimate(first, name),
            champion=figures.estimate(second, name),
            difference=figures.estimate(gap, name),
        )
        for name in figures.OVERALL
    }
    metrics = {name: pair for name, pair in pairs.items() if pair.difference is not None}
    positives = (ours.truth & ours.mask).sum(0)
    return made.with_fields(
        metrics=metrics,
        headline=figures.headline(metrics),
        clips=len(both.results),
        sources=len(set(groups)),
        per_class=tuple(
            ClassComparison(
                label=label,
                clips=int(positives[k]),
                candidate=_class_metrics(first.value, k),
                champion=_class_metrics(second.value, k),
                difference=_class_metrics(gap.value, k),
            )
            for k, label in enumerate(labels)
        ),
    )


def _tags_of_both(
    both: Match, labels: list[str], candidate: TaggerFile, champion: TaggedClips
) -> tuple[Tags, Tags]:
    """Of the candidate and of the champion (clip, label), on the labels that both know."""
    columns = [champion.labels.index(label) for label in labels]
    theirs = champion.tags
    truth, mask = theirs.truth[:, columns], theirs.mask[:, columns]
    scores = np.array([[result.scores[label] for label in labels] for result in both.results])
    thresholds = np.array([candidate.thresholds[label] for label in labels])
    ours = multilabel.tags(truth, scores, thresholds, mask)
    return ours, Tags(truth, theirs.scores[:, columns], theirs.decided[:, columns], mask)


def _class_metrics(found: multilabel.Figures, index: int) -> ClassMetrics:
    return ClassMetrics(
        precision=rounded(found.precision[index]),
        recall=rounded(found.recall[index]),
        f1=rounded(found.f1[index]),
    )


def _score_champion(
    candidate: Candidate, both: Match, champion: TaggerFile, scorer: TagScorer, batch_size: int
) -> TaggedClips:
    """Score the champion, on the candidate's waveforms where they are at its rate."""
    ours = read_waveforms(candidate.inputs)
    rows = rows_of(both.results, ours.rows, candidate.inputs)
    alike = ours.sample_rate_hz == champion.sample_rate_hz
    if not alike:
        print("the champion hears another sample rate: decoding the clips again")

    def waveform(row: Row) -> Waveform:
        if alike:
            return ours.waveform(row)
        return _decoded(candidate.clips, row, champion.sample_rate_hz)

    chunk_scores = in_portions(scorer, rows, waveform, batch_size)
    return decide(rows, champion, _annotated(both, champion.classes), chunk_scores)


def _annotated(both: Match, labels: tuple[str, ...]) -> tuple[Array, Array]:
    """Which labels the compared clips carry, and which were looked for: bool (clip, label)."""
    # Of the manifest: the candidate's rows say nothing of labels that the champion alone knows.
    judged = [both.listed[result.identity].judged for result in both.results]
    truth = [[label in result.truth for label in labels] for result in both.results]
    mask = [[known is None or label in known for label in labels] for known in judged]
    return np.array(truth), np.array(mask)


def _decoded(clips: Path, row: Row, sample_rate_hz: int) -> Waveform:
    from soundgate.audio.extraction.waveforms import Settings

    preprocessing = Settings(sample_rate_hz=sample_rate_hz).preprocessing
    samples, _ = decode(clips / row.path, preprocessing, start_s=row.start_s, end_s=row.end_s)
    return samples
