"""Test a head on the split ``test`` and write ``report/``.

    evaluation.json        every figure; fractions of one
    predictions.jsonl      a row a clip: truth, decision, scores
    confusion_matrix.csv   of clips

A clip is a file: its scores are the means over its segments. ``accuracy`` and the macro figures are
of segments, ``clip_accuracy``, the table per class and the calibration are of clips. Intervals draw
whole recordings.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from soundgate.audio.classification.figures import figures
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.classification.heads.settled import rows_of
from soundgate.audio.classification.scored_clips import ScoredClips
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.reports.clip_results import (
    FORMAT,
    PREDICTIONS,
    write_results,
)
from soundgate.audio.formats.reports.embeddings import (
    EmbeddingReport,
    Segments,
    ZeroShot,
    read_leaderboard,
)
from soundgate.audio.formats.reports.report import (
    ConfusionMatrix,
    Estimate,
    Headline,
    Results,
    write_report,
)
from soundgate.audio.metrics.macro import Interval, confusion_counts, macro_intervals
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.heads.head import Head
    from soundgate.audio.classification.heads.settled import Rows
    from soundgate.audio.classification.heads.zero_shot import Sentences
    from soundgate.audio.formats.embeddings.segments import Segment
    from soundgate.audio.formats.record import JsonObject

    Array = npt.NDArray[Any]

SPLIT: Final = "test"
SEED: Final = 0
"""Of the draws of intervals."""
HEADLINE: Final = (
    ("clip_accuracy", "Clip accuracy", "share of clips classified correctly"),
    ("accuracy", "Accuracy", "share of segments classified correctly"),
    ("macro_f05", "Macro F0.5", "of segments, mean over classes; precision counts more"),
    ("macro_precision", "Macro precision", "of segments, mean over classes"),
    ("macro_recall", "Macro recall", "of segments, mean over classes"),
    ("zero_shot_accuracy", "Zero-shot accuracy", "of segments, by sentences, without training"),
    ("calibration_error", "Calibration error", "mean gap between score and accuracy of clips"),
)


class SegmentedClip(NamedTuple):
    """A file, or a segment where a file holds several classes."""

    path: str
    source: str
    """Its recording."""
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Tested:
    """Segments with their scores, and the clips that they make up."""

    rows: Rows
    scores: Array
    """Float64 ``(segment, class)``."""
    clips: ScoredClips

    @property
    def groups(self) -> list[str]:
        """The recording of each segment."""
        return [segment.track_id for segment in self.rows.segments]


def evaluate(
    embeddings: Path,
    model: Path,
    report: Path,
    *,
    leaderboard: Path | None = None,
    sentences: Sentences | None = None,
    confidence: float = 0.95,
) -> EmbeddingReport:
    """Score the test segments and write ``report``.

    Args:
        embeddings: folder of embeddings.
        model: folder of the head.
        report: folder to write.
        leaderboard: folder that ``choose`` wrote; its table becomes part of the report.
        sentences: of the classes, for the zero-shot baseline.
        confidence: level of the intervals, 0..1.

    Raises:
        DataError: there is no test segment, or the head is of other embeddings.
    """
    read, head = read_embeddings(embeddings), read_head(model)
    head.check_encoder(read.about.encoder, embeddings)
    rows = rows_of(read, SPLIT)
    if not len(rows):
        raise DataError(f"{embeddings}: has no segment in the split {SPLIT}; plan some")
    tested = score(head, rows)
    fields = _fields(tested, head, confidence)
    if sentences is not None:
        _add_zero_shot(fields, tested, sentences, confidence)
    if leaderboard is not None:
        fields["leaderboard"] = read_leaderboard(leaderboard)
    fields["headline"] = headline(fields["metrics"])
    made = EmbeddingReport.model_validate(fields)
    report.mkdir(parents=True, exist_ok=True)
    write_results(report / PREDICTIONS, tested.clips.results(head.about.classes))
    write_report(report, made)
    for name, words in (("accuracy", "Segment-level"), ("clip_accuracy", "Clip-level")):
        print(f"{words} accuracy on test set : {decimal(made.metrics[name].value)}")
    return made


def sentences(
    embeddings: Path, weights: Path | None, tokens: Path | None, prompt: str = ""
) -> Sentences | None:
    """What the zero-shot baseline decides by; None where no text tower is given.

    Args:
        embeddings: folder of embeddings.
        weights: of their encoder.
        tokens: folder of the text tower's config and tokens.
        prompt: with ``{}`` in the place of the class; "": the usual one.

    Raises:
        ConfigError: files of the tower do not fit one another.
        DataError: the weights are not those that made the embeddings.
    """
    if weights is None or tokens is None:
        return None
    from soundgate.audio.classification.heads import zero_shot  # torch and transformers

    about = read_embeddings(embeddings).about
    tower = zero_shot.load_tower(about.encoder, weights, tokens)
    return zero_shot.sentences_of(about.classes, tower, prompt)


def score(head: Head, rows: Rows) -> Tested:
    """Score segments, and the clips that they make up.

    Numbers of ``rows`` count the head's classes; -1 is a class that it does not know.
    """
    scores, numbers = head.scores(rows.values), rows.numbers
    members = clips_of(rows.segments)
    identity = np.eye(scores.shape[1], dtype=bool)
    means = np.array([scores[own].mean(0) for own in members.values()])
    truth = np.array([numbers[own[0]] for own in members.values()])
    right = scores.argmax(1) == numbers
    return Tested(
        rows,
        scores,
        ScoredClips(
            rows=list(members),
            truth=identity[truth] & (truth >= 0)[:, None],
            scores=means,
            decided=identity[means.argmax(1)],
            patches=np.array([len(own) for own in members.values()]),
            patches_correct=np.array([right[own].sum() for own in members.values()]),
        ),
    )


def clips_of(segments: Sequence[Segment]) -> dict[SegmentedClip, list[int]]:
    """The clips that segments make up, by path, with the places of their segments."""
    of_path: defaultdict[str, list[int]] = defaultdict(list)
    for place, segment in enumerate(segments):
        of_path[segment.path].append(place)
    found = {}
    for path, places in sorted(of_path.items()):
        if len({segments[place].class_name for place in places}) == 1:
            found[SegmentedClip(path, segments[places[0]].track_id)] = places
            continue
        for place in places:
            one = segments[place]
            end_s = one.start_s + one.duration_s
            found[SegmentedClip(path, one.track_id, one.start_s, end_s)] = [place]
    return found


def headline(metrics: JsonObject) -> tuple[Headline, ...]:
    """The words of those metrics that there are."""
    return tuple(
        Headline(
            metric=name,
            title=title,
            description=description,
            lower_is_better=name == "calibration_error",
        )
        for name, title, description in HEADLINE
        if name in metrics
    )


def _fields(tested: Tested, head: Head, confidence: float) -> JsonObject:
    classes = head.about.classes
    found = figures(tested.clips, classes, multi_label=False, confidence=confidence)
    clip = found["multiclass_classification_metrics"]["clip_acc"]
    macro = _macro(tested, tested.scores.argmax(1), len(classes), confidence)
    kept = ("confidence_level", "clips", "sources", "multi_label", "per_class", "worst_clips")
    return {
        "metrics": {
            "clip_accuracy": Estimate(value=clip["value"], low=clip["low"], high=clip["high"]),
            **{name: estimate(interval) for name, interval in macro.items()},
            "calibration_error": Estimate(value=found["calibration"]["ece"]),
        },
        "split": SPLIT,
        **{name: found[name] for name in kept},
        "confusion_matrix": found["confusion_matrix"],
        "calibration": found["calibration"],
        "results": Results(file=PREDICTIONS, format=FORMAT),
        "segments": Segments(
            count=len(tested.rows),
            confusion_matrix=confusion(tested.rows.numbers, tested.scores.argmax(1), classes),
        ),
        "model": {"head": head.about.head.as_json(), "encoder": head.about.encoder.as_json()},
    }


def _macro(tested: Tested, decided: Array, classes: int, confidence: float) -> dict[str, Interval]:
    truth = tested.rows.numbers
    return macro_intervals(truth, decided, classes, tested.groups, seed=SEED, confidence=confidence)


def _add_zero_shot(
    fields: JsonObject, tested: Tested, sentences: Sentences, confidence: float
) -> None:
    decided = sentences.scores(tested.rows.values).argmax(1)
    classes = sentences.classes
    found = _macro(tested, decided, len(classes), confidence)
    fields["metrics"]["zero_shot_accuracy"] = estimate(found["accuracy"])
    fields["metrics"]["zero_shot_macro_f05"] = estimate(found["macro_f05"])
    fields["zero_shot"] = ZeroShot(
        prompt=sentences.prompt,
        text_digest=sentences.digest,
        confusion_matrix=confusion(tested.rows.numbers, decided, classes),
    )


def confusion(truth: Array, decided: Array, classes: Sequence[str]) -> ConfusionMatrix:
    """Counts of segments."""
    counts = confusion_counts(truth, decided, len(classes))
    return ConfusionMatrix(labels=tuple(classes), rows=tuple(map(tuple, counts.tolist())))


def estimate(interval: Interval) -> Estimate:
    """A figure as reports have it."""
    return Estimate(
        value=rounded(interval.value), low=rounded(interval.low), high=rounded(interval.high)
    )
