"""The figures of scored clips, as a classifier's report has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.scored_clips import names_of
from soundgate.audio.metrics.classification import (
    THRESHOLD,
    bootstrap_interval,
    calibration,
    mean_average_precision,
    micro_f1,
    scores_per_class,
)
from soundgate.audio.metrics.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.classification.scored_clips import ScoredClips
    from soundgate.audio.formats.record import JsonObject

    Array = npt.NDArray[Any]

WORST_CLIPS = 20

_BOOTSTRAP_SEED = 0


def figures(
    scored: ScoredClips, classes: Sequence[str], *, multi_label: bool, confidence: float
) -> JsonObject:
    """Every figure of a report but those of other forms of the model, ready for JSON.

    ``calibration`` looks at the score of the class decided for; multi-label, at every class of
    every clip, the score against whether the class is there. The rows of ``confusion_matrix`` are
    the truth; multi-label, each missed class counts against each wrongly given one of its clip.
    """
    per_class = _per_class(scored, classes)
    result: JsonObject = {
        "multiclass_classification_metrics": accuracies(scored, confidence),
        "confidence_level": confidence,
        "clips": len(scored.rows),
        "patches": int(scored.patches.sum()),
        "sources": len(set(scored.sources)),
        "multi_label": multi_label,
        "per_class": per_class,
        "macro_f1": _macro_f1(scored),
        "confusion_matrix": {"labels": list(classes), "rows": _confusion(scored).tolist()},
        "calibration": _calibration(scored, multi_label=multi_label),
        "worst_clips": worst_clips(scored, classes),
    }
    if multi_label:
        precision = mean_average_precision(scored.truth, scored.scores)
        result["multi_label_metrics"] = {
            "mean_average_precision": rounded(precision),
            "micro_f1": rounded(micro_f1(scored.truth, scored.decided)),
            "threshold": THRESHOLD,
        }
    return result


def quantized_figures(scored: ScoredClips, size_bytes: int, confidence: float) -> JsonObject:
    """The block of the int8 network; ``agreement`` is the share of patches decided alike."""
    agreed = scored.patches_agreed
    assert agreed is not None
    return {
        **accuracies(scored, confidence),
        "agreement": rounded(agreed.sum() / scored.patches.sum()),
        "size_bytes": size_bytes,
    }


def accuracies(scored: ScoredClips, confidence: float) -> JsonObject:
    """Clip-level and patch-level accuracy with their intervals."""
    ones = np.ones(len(scored.rows), np.int64)
    groups = scored.sources
    return {
        "clip_acc": _accuracy(scored.correct, ones, groups, confidence),
        "patch_acc": _accuracy(scored.patches_correct, scored.patches, groups, confidence),
    }


def worst_clips(scored: ScoredClips, classes: Sequence[str]) -> list[JsonObject]:
    """At most 20 wrong clips, those first whose wrong class (given, or missed) is surest."""
    # How sure the model is of its mistake: the score of a class wrongly given, or what is lacking
    # of the score of a class wrongly left out.
    wrong = np.where(scored.decided & ~scored.truth, scored.scores, 0.0)
    missed = np.where(scored.truth & ~scored.decided, 1.0 - scored.scores, 0.0)
    sureness = np.where(wrong.any(1), wrong.max(1), missed.max(1))
    sureness[scored.correct] = -1.0
    order = sorted(range(len(scored.rows)), key=lambda k: (-sureness[k], scored.rows[k].path))
    return [
        {
            "path": scored.rows[k].path,
            "truth": list(names_of(scored.truth[k], classes)),
            "predicted": list(names_of(scored.decided[k], classes)),
            "score": rounded(sureness[k]),
        }
        for k in order[:WORST_CLIPS]
        if not scored.correct[k]
    ]


def _per_class(scored: ScoredClips, classes: Sequence[str]) -> list[JsonObject]:
    found = scores_per_class(scored.truth, scored.decided)
    return [
        {
            "label": label,
            "precision": rounded(found.precision[k]),
            "recall": rounded(found.recall[k]),
            "f1": rounded(found.f1[k]),
            "support": int(found.support[k]),
        }
        for k, label in enumerate(classes)
    ]


def _macro_f1(scored: ScoredClips) -> float:
    return rounded(scores_per_class(scored.truth, scored.decided).f1.mean())


def _calibration(scored: ScoredClips, *, multi_label: bool) -> JsonObject:
    if multi_label:
        error, bins = calibration(scored.scores.ravel(), scored.truth.ravel())
    else:
        error, bins = calibration(scored.scores.max(1), scored.correct)
    return {"ece": rounded(error), "bins": [_bin(*values) for values in bins]}


def _bin(low: float, high: float, clips: int, confidence: float, accuracy: float) -> JsonObject:
    return {
        "low": rounded(low),
        "high": rounded(high),
        "clips": clips,
        "confidence": rounded(confidence),
        "accuracy": rounded(accuracy),
    }


def _accuracy(
    correct: Array, counts: Array, groups: Sequence[str], confidence: float
) -> JsonObject:
    low, high = bootstrap_interval(
        correct, counts, groups, seed=_BOOTSTRAP_SEED, confidence=confidence
    )
    return {
        "value": rounded(correct.sum() / counts.sum()),
        # SageMaker's model quality format wants the key; one evaluation has no deviation.
        "standard_deviation": "NaN",
        "low": rounded(low),
        "high": rounded(high),
    }


def _confusion(scored: ScoredClips) -> Array:
    """Int64 ``(truth, predicted)``; one count a clip where classes exclude one another."""
    truth, decided = scored.truth, scored.decided
    matrix = np.diag((truth & decided).sum(0))
    missed, wrong = (truth & ~decided).astype(np.int64), (decided & ~truth).astype(np.int64)
    return np.asarray(matrix + missed.T @ wrong)
