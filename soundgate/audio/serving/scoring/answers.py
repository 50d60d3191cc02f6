"""Scores to decisions, segments and events, as clients read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from soundgate.audio.prediction.predictors.base import Decisions, PartScores
    from soundgate.audio.prediction.reading import DecodedClip

    Array = npt.NDArray[Any]

_DECIMALS: Final = 6
_PAUSE: Final = 0.5
"""Of an event, at most: a share of the length of a part. Segments end between parts."""


class Answer(BaseModel):
    """Whatever clients read; unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelScore(Answer):
    """A label and its score."""

    label: str
    score: float


class SegmentScores(Answer):
    """A part of a recording that was scored by itself."""

    start_s: float
    end_s: float
    labels: tuple[str, ...]
    """Those that are given."""
    scores: dict[str, float]


class SoundEvent(Answer):
    """A label that is given without a pause."""

    label: str
    start_s: float
    end_s: float
    score: float
    """The highest of its parts."""


class RecordingAnswer(Answer):
    """What a model says of a recording."""

    file: str
    duration_s: float
    labels: tuple[str, ...]
    """Those that are given, by the model's thresholds or the request's."""
    unknown: bool
    """Whether none is."""
    scores: dict[str, float]
    """Of every label, 0 to 1."""
    top: tuple[LabelScore, ...]
    """The highest scores, the best first."""
    segments: tuple[SegmentScores, ...] = Field(default=())
    """A file longer than the model's clips is scored in segments."""
    events: tuple[SoundEvent, ...] = ()
    remarks: tuple[str, ...] = ()
    """What is wrong with the sound: silence, clipping."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client asks for."""

    top_k: int = 5
    threshold: float | None = None
    """For every label; None: the model's own."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """For single labels."""

    def check(self, decisions: Decisions) -> None:
        """Refuse labels that the model does not have.

        Raises:
            ParameterError: names one.
        """
        for label in self.thresholds:
            if label not in decisions.classes:
                raise ParameterError(
                    f"thresholds: unknown label {label!r}{nearest(label, decisions.classes)}"
                )


def answer(
    name: str,
    heard: Sequence[tuple[DecodedClip, PartScores]],
    decisions: Decisions,
    wishes: Wishes,
) -> RecordingAnswer:
    """What is said of a recording.

    Args:
        name: what the client calls it.
        heard: its clips with the scores of their parts, in the order of time.
        decisions: how the model's scores are read.
        wishes: of the client.
    """
    parts = np.concatenate([scores.scores for _, scores in heard])
    times = np.concatenate(
        [np.minimum(clip.start_s + scores.times, clip.end_s) for clip, scores in heard]
    )
    scores = decisions.clip_scores(parts)
    (given,) = _decided(scores[None], decisions, wishes)
    best = np.argsort(-scores, kind="stable")[: wishes.top_k]
    classes = decisions.classes
    remarks = dict.fromkeys(remark for clip, _ in heard for remark in clip.remarks)
    return RecordingAnswer(
        file=name,
        duration_s=_rounded(heard[-1][0].end_s),
        labels=_names(given, classes),
        unknown=not given.any(),
        scores=_named(scores, classes),
        top=tuple(LabelScore(label=classes[k], score=_rounded(scores[k])) for k in best),
        segments=tuple(_segment(clip, own, decisions, wishes) for clip, own in heard),
        events=events(parts, times, decisions, wishes),
        remarks=tuple(remarks),
    )


def events(
    parts: Array, times: Array, decisions: Decisions, wishes: Wishes
) -> tuple[SoundEvent, ...]:
    """Neighbouring parts with the same label are one event; sorted by time.

    Args:
        parts: scores float32 (part, class).
        times: float64 (part, 2), start and end of each, seconds.
        decisions: how scores are read.
        wishes: of the client.
    """
    given = _decided(np.asarray(parts, np.float64), decisions, wishes)
    pause_s = _PAUSE * float(np.median(times[:, 1] - times[:, 0])) + 1e-6
    found = []
    for k, label in enumerate(decisions.classes):
        open_: list[float] = []
        for (start_s, end_s), score in zip(times[given[:, k]], parts[given[:, k], k], strict=True):
            if open_ and start_s <= open_[1] + pause_s:
                open_ = [open_[0], max(open_[1], end_s), max(open_[2], score)]
                continue
            found += _event(label, open_)
            open_ = [start_s, end_s, score]
        found += _event(label, open_)
    return tuple(sorted(found, key=lambda event: (event.start_s, event.label)))


def _event(label: str, spans: Sequence[float]) -> list[SoundEvent]:
    if not spans:
        return []
    start_s, end_s, score = map(_rounded, spans)
    return [SoundEvent(label=label, start_s=start_s, end_s=end_s, score=score)]


def _segment(
    clip: DecodedClip, own: PartScores, decisions: Decisions, wishes: Wishes
) -> SegmentScores:
    scores = decisions.clip_scores(own.scores)
    (given,) = _decided(scores[None], decisions, wishes)
    return SegmentScores(
        start_s=_rounded(clip.start_s),
        end_s=_rounded(clip.end_s),
        labels=_names(given, decisions.classes),
        scores=_named(scores, decisions.classes),
    )


def _decided(scores: Array, decisions: Decisions, wishes: Wishes) -> Array:
    """Which labels are given, bool (n, class), for scores (n, class).

    Of a model that gives one class, the best one is given where it reaches the threshold asked for.
    """
    decided = np.array(decisions.decide(scores))
    for k, label in enumerate(decisions.classes):
        least = wishes.thresholds.get(label, wishes.threshold)
        if least is None:
            continue
        reached = scores[:, k] >= least
        decided[:, k] = reached if decisions.multi_label else decided[:, k] & reached
    return decided


def _names(given: Array, classes: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label, is_given in zip(classes, given, strict=True) if is_given)


def _named(scores: Array, classes: Sequence[str]) -> dict[str, float]:
    return {label: _rounded(score) for label, score in zip(classes, scores, strict=True)}


def _rounded(value: Any) -> float:
    return round(float(value), _DECIMALS)
