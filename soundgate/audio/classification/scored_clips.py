"""The clips of a split, scored by a model or by several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from soundgate.audio.classification.inference import clip_scores, decide, load, score_clips
from soundgate.audio.formats.reports.clip_results import ClipResult
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.inference import Scorer
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.features import Row

    Array = npt.NDArray[Any]


_SCORE_DECIMALS = 6


class TestedClip(Protocol):
    """Which clip it is: a row of the features, or of an earlier report."""

    @property
    def path(self) -> str:
        """Path below the ``clips/`` folder."""

    @property
    def source(self) -> str | None:
        """The recording it was cut from."""

    @property
    def start_s(self) -> float | None:
        """Where the clip begins in its file."""

    @property
    def end_s(self) -> float | None:
        """Where it ends."""


@dataclass(frozen=True)
class ScoredClips:
    """The clips of a split, and how a model scored them; arrays have a row a clip."""

    rows: Sequence[TestedClip]
    truth: Array
    """Bool ``(clip, class)``."""
    scores: Array
    """Float64 ``(clip, class)``: means over patches."""
    decided: Array
    """Bool ``(clip, class)``."""
    patches: Array
    """Int64 ``(clip,)``: how many patches."""
    patches_correct: Array
    """Int64 ``(clip,)``: how many of them are classified correctly."""
    patches_agreed: Array | None = None
    """Int64 ``(clip,)``: how many of them are decided as the first of several models does."""

    @property
    def sources(self) -> list[str]:
        """What each clip was cut from; clips of one source are not independent of one another."""
        return [
            f"file:{row.path}" if row.source is None else f"source:{row.source}"
            for row in self.rows
        ]

    @property
    def correct(self) -> Array:
        """Bool ``(clip,)``: every label is given and no other."""
        return np.asarray((self.decided == self.truth).all(1))

    def results(self, classes: Sequence[str]) -> Iterator[ClipResult]:
        """Yield the rows of ``predictions.jsonl``."""
        correct = self.correct
        for k, row in enumerate(self.rows):
            scores = (round(float(score), _SCORE_DECIMALS) for score in self.scores[k])
            yield ClipResult(
                path=row.path,
                truth=names_of(self.truth[k], classes),
                predicted=names_of(self.decided[k], classes),
                scores=dict(zip(classes, scores, strict=True)),
                patches=int(self.patches[k]),
                patches_correct=int(self.patches_correct[k]),
                source=row.source,
                correct=bool(correct[k]),
                start_s=row.start_s,
                end_s=row.end_s,
            )


def names_of(given: Array, classes: Sequence[str]) -> tuple[str, ...]:
    """The classes of which ``given``, bool ``(class,)``, is true."""
    return tuple(name for name, is_given in zip(classes, given, strict=True) if is_given)


def score(clips: FeatureSet, model: Path, rows: Sequence[Row], batch_size: int) -> ScoredClips:
    """Score ``rows`` with the model in ``model``."""
    return score_all(clips, [load(model)], rows, batch_size)[0]


def score_all(
    clips: FeatureSet, scorers: Sequence[Scorer], rows: Sequence[Row], batch_size: int
) -> list[ScoredClips]:
    """Score the same patches with several models; each is compared with the first.

    They take turns clip by clip, so that memory holds the patches of a few clips.
    """
    truth = clips.targets(rows)
    scores = np.empty((len(scorers), *truth.shape), np.float64)
    patches, correct, agreed = np.zeros((3, len(scorers), len(rows)), np.int64)
    scored = zip(*(score_clips(scorer, clips, rows, batch_size) for scorer in scorers), strict=True)
    for k, of_models in enumerate(track(scored, total=len(rows), label="scoring clips")):
        first = decide(of_models[0], multi_label=scorers[0].multi_label)
        for n, patch_scores in enumerate(of_models):
            scores[n, k] = clip_scores(patch_scores)
            given = decide(patch_scores, multi_label=scorers[n].multi_label)
            patches[n, k] = len(given)
            correct[n, k] = (given == truth[k]).all(1).sum()
            agreed[n, k] = (given == first).all(1).sum()
    return [
        ScoredClips(
            rows,
            truth,
            scores[n],
            decide(scores[n], multi_label=scorer.multi_label),
            patches[n],
            correct[n],
            agreed[n],
        )
        for n, scorer in enumerate(scorers)
    ]
