"""A candidate classifier and the champion on the very same test clips; writes ``comparison/``.

McNemar's test is on the clips that one of them alone has right. Each model decides among all of its
own classes, on features computed as its own config says; see ``against_champion``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.comparison.against_champion import (
    Match,
    conclude,
    match,
    rows_of,
    without_champion,
)
from soundgate.audio.classification.inference import BATCH_SIZE
from soundgate.audio.classification.scored_clips import ScoredClips, score
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.formats.feature_set import FeatureSet, read_features
from soundgate.audio.formats.features import Info
from soundgate.audio.formats.model import Description, read_description
from soundgate.audio.formats.reports.classifier_metrics import COMPARED
from soundgate.audio.formats.reports.comparison import (
    ClassComparison,
    ClassMetrics,
    Comparison,
    McNemar,
    Pair,
    as_classifier,
)
from soundgate.audio.formats.reports.report import Estimate
from soundgate.audio.formats.version import MODEL, read_version
from soundgate.audio.metrics import paired
from soundgate.audio.metrics.classification import bootstrap_interval, scores_per_class
from soundgate.audio.metrics.rounding import rounded
from soundgate.audio.signal.log_mel import clip_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.comparison.against_champion import Candidate
    from soundgate.audio.formats.features import Frames, Row
    from soundgate.audio.formats.reports.clip_results import ClipResult
    from soundgate.audio.metrics.classification import ClassScores

    Array = npt.NDArray[Any]

_SEED = 0


@dataclass(frozen=True)
class ComputedFrames(FeatureSet):
    """A feature set whose frames are computed when they are asked for, one clip at a time."""

    def clip_frames(self, row: Row) -> Frames:
        """The frames float16 ``(frame, mel)`` of one clip, from its audio below ``folder``."""
        spec, preprocessing = self.info.feature_extraction, self.info.preprocessing
        path = self.folder / row.path
        with one_torch_thread():
            mel = clip_frames(path, preprocessing, spec, start_s=row.start_s, end_s=row.end_s)
        return mel.astype(np.float16)


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
        candidate: where its clips, features, model and evaluation lie.
        champion: folder with ``version.json`` and ``model/``; its version is null where there is
            no champion yet.
        comparison: folder to write.
        confidence: level of the intervals, 0..1.
        batch_size: patches scored at once.

    Returns:
        What ``comparison.json`` holds. ``compared`` is false where there is no champion (the
        difference is then 0.0: there is nothing to be worse than) or no clip to compare on (the
        difference is then null, and a gate on it stays closed); ``reason`` says which.

    Raises:
        DataError: a file is missing or damaged.
    """
    version = read_version(champion)
    if version.version is None:
        return conclude(comparison, as_classifier(without_champion(COMPARED, confidence)))
    ours, theirs = read_description(candidate.model), read_description(champion / MODEL)
    both = match(candidate, champion / MODEL, ours, theirs)
    made = as_classifier(both.comparison(version, confidence))
    if not made.compared:
        return conclude(comparison, made)
    scored = _score_champion(candidate, champion / MODEL, theirs, both.results, batch_size)
    made = with_figures(made, both, scored)
    return conclude(comparison, made, scored.results(theirs.classes))


def with_figures(made: Comparison, both: Match, champion: ScoredClips) -> Comparison:
    """``made`` with every figure of the compared clips; ``champion`` has them in their order."""
    return as_classifier(paired_figures(made, both, champion))


def paired_figures(made: Comparison, both: Match, champion: ScoredClips) -> Comparison:
    """``made`` with clip and patch accuracy of both, McNemar's test, and the figures per class."""
    results = both.results
    confidence = made.confidence_level
    assert confidence is not None
    groups = [result.recording for result in results]
    ones = np.ones(len(results), np.int64)
    correct = np.array([result.correct for result in results])
    patches = paired.Share(
        np.array([result.patches_correct for result in results]),
        np.array([result.patches for result in results]),
    )
    shares = {
        "clip_accuracy": (paired.Share(correct, ones), paired.Share(champion.correct, ones)),
        "patch_accuracy": (patches, paired.Share(champion.patches_correct, champion.patches)),
    }
    test = paired.mcnemar(correct, champion.correct)
    return made.with_fields(
        metrics={name: _pair(*of, groups, confidence) for name, of in shares.items()},
        clips=len(results),
        sources=len(set(groups)),
        mcnemar=McNemar(
            only_candidate_right=test.only_first,
            only_champion_right=test.only_second,
            p_value=float(f"{test.p_value:.6g}"),
        ),
        per_class=_per_class(both, champion),
    )


def _score_champion(
    candidate: Candidate,
    champion: Path,
    description: Description,
    results: Sequence[ClipResult],
    batch_size: int,
) -> ScoredClips:
    """Score the champion, on the candidate's frames where they are what it was trained on."""
    ours = read_features(candidate.inputs)
    rows: list[Row] = rows_of(results, ours.rows, candidate.inputs)
    info = Info(
        description.classes,
        description.multi_label,
        description.preprocessing,
        description.feature_extraction,
    )
    if ours.info.front_end.gives_frames_of(info.front_end):
        theirs = FeatureSet(candidate.inputs, info, rows, ours.frames)
    else:
        print("the champion has features of its own: computing them from the clips")
        theirs = ComputedFrames(candidate.clips, info, rows, ours.frames[:0])
    return score(theirs, champion, rows, batch_size)


def _pair(
    ours: paired.Share, theirs: paired.Share, groups: Sequence[object], confidence: float
) -> Pair:
    def share(one: paired.Share) -> Estimate:
        ends = bootstrap_interval(*one, groups, seed=_SEED, confidence=confidence)
        return _estimate(one.value, *ends)

    ends = paired.difference_interval(ours, theirs, groups, seed=_SEED, confidence=confidence)
    gap = _estimate(ours.value - theirs.value, *ends)
    return Pair(candidate=share(ours), champion=share(theirs), difference=gap)


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=rounded(value), low=rounded(low), high=rounded(high))


def _per_class(both: Match, champion: ScoredClips) -> tuple[ClassComparison, ...]:
    """Precision, recall and F1 of both on the compared clips, for the classes that both know."""
    ours, theirs = both.ours.classes, both.theirs.classes
    truth, decided = (
        np.array([[label in names for label in ours] for names in columns])
        for columns in ([r.truth for r in both.results], [r.predicted for r in both.results])
    )
    mine = scores_per_class(truth, decided)
    other = scores_per_class(champion.truth, champion.decided)
    table = []
    for k, label in enumerate(ours):
        if label not in theirs:
            continue
        first, second = _class_metrics(mine, k), _class_metrics(other, theirs.index(label))
        row = ClassComparison(
            label=label,
            clips=int(mine.support[k]),
            candidate=first,
            champion=second,
            difference=_gap(first, second),
        )
        table.append(row)
    return tuple(table)


def _class_metrics(scores: ClassScores, index: int) -> ClassMetrics:
    return ClassMetrics(
        precision=rounded(scores.precision[index]),
        recall=rounded(scores.recall[index]),
        f1=rounded(scores.f1[index]),
    )


def _gap(first: ClassMetrics, second: ClassMetrics) -> ClassMetrics:
    """Of the rounded figures, so that a reader of the file can subtract them."""
    return ClassMetrics(
        precision=rounded(first.precision - second.precision),
        recall=rounded(first.recall - second.recall),
        f1=rounded(first.f1 - second.f1),
    )
