"""The clips of a split, and what a model, or several of them, made of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from soundgate.audio.classification.inference import clip_scores, decide, load, score_clips
from soundgate.progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.inference import Scorer
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.features import Row

    Array = npt.NDArray[Any]


class TestedClip(Protocol):
    """What a report says of a clip; a row of the features, or of an earlier report."""

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
class Judgement:
    """The clips of a split, and what a model made of them; arrays have a row a clip."""

    rows: Sequence[TestedClip]
    truth: Array
    """Bool ``(clip, class)``."""
    scores: Array
    """Float64 ``(clip, class)``: means over patches."""
    decided: Array
    """Bool ``(clip, class)``."""
    patches: Array
    """Int64 ``(clip,)``: how many patches."""
    patches_right: Array
    """Int64 ``(clip,)``: how many of them are right."""
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
    def right(self) -> Array:
        """Bool ``(clip,)``: every label is given and none besides."""
        return np.asarray((self.decided == self.truth).all(1))


def judge(clips: FeatureSet, model: Path, rows: Sequence[Row], batch_size: int) -> Judgement:
    """Let the model in ``model`` decide on ``rows``."""
    return judge_all(clips, [load(model)], rows, batch_size)[0]


def judge_all(
    clips: FeatureSet, scorers: Sequence[Scorer], rows: Sequence[Row], batch_size: int
) -> list[Judgement]:
    """Let several models decide on the same patches; each is compared with the first.

    They take turns clip by clip, so that memory holds the patches of a few clips.
    """
    truth = clips.targets(rows)
    scores = np.empty((len(scorers), *truth.shape), np.float64)
    patches, right, agreed = np.zeros((3, len(scorers), len(rows)), np.int64)
    scored = zip(*(score_clips(scorer, clips, rows, batch_size) for scorer in scorers), strict=True)
    for k, of_models in enumerate(track(scored, total=len(rows), label="scoring clips")):
        first = decide(of_models[0], multi_label=scorers[0].multi_label)
        for n, patch_scores in enumerate(of_models):
            scores[n, k] = clip_scores(patch_scores)
            given = decide(patch_scores, multi_label=scorers[n].multi_label)
            patches[n, k] = len(given)
            right[n, k] = (given == truth[k]).all(1).sum()
            agreed[n, k] = (given == first).all(1).sum()
    return [
        Judgement(
            rows,
            truth,
            scores[n],
            decide(scores[n], multi_label=scorer.multi_label),
            patches[n],
            right[n],
            agreed[n],
        )
        for n, scorer in enumerate(scorers)
    ]
