"""Judge a model on the clips that its training left for that, and write ``report/``.

    evaluation.json        every figure; fractions of one, never percents
    predictions.jsonl      a row a clip: truth, decision, scores
    confusion_matrix.csv   a row a true class, a column a predicted one

Two figures are gated, clip-level and patch-level accuracy, of the model and of its int8 network.
They are rounded once, and the rounded number is the one that is printed, written, and compared with
the gate.

Multi-label, a clip (a patch) counts as right where every label is given and none besides, at a
threshold of 0.5: ``clip_acc`` and ``patch_acc`` are subset accuracies. Mean average precision and
F1 stand beside them.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.inference import BATCH_SIZE, load
from soundgate.audio.classification.scored_clips import Judgement, judge, judge_all
from soundgate.audio.clips.splits import TEST
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.model import (
    SPLIT,
    check_same_features,
    read_description,
    rows_of,
)
from soundgate.audio.metrics import classification as metrics
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.inference import Scorer

    Array = npt.NDArray[Any]

__all__ = [
    "CONFUSION",
    "DECIMALS",
    "PREDICTIONS",
    "REPORT",
    "WORST_CLIPS",
    "Judgement",
    "decimal",
    "evaluate",
    "figures",
    "judge",
    "worst_clips",
    "write",
    "write_predictions",
]

REPORT = "evaluation.json"
PREDICTIONS = "predictions.jsonl"
CONFUSION = "confusion_matrix.csv"
DECIMALS = 6
WORST_CLIPS = 20

_BOOTSTRAP_SEED = 0
_SCORE_DECIMALS = 6


@dataclass(frozen=True)
class Quantized:
    """A model in 8 bits, beside the one it was made of."""

    network: Scorer
    size_bytes: int
    """Of its file."""


def evaluate(
    features: Path,
    model: Path,
    report: Path,
    *,
    batch_size: int = BATCH_SIZE,
    confidence: float = 0.95,
    quantized: Quantized | None = None,
) -> dict[str, Any]:
    """Score the test clips of ``model`` and write ``report``.

    Args:
        features: folder with the clips that the model's ``split.jsonl`` names.
        model: folder that training wrote.
        report: folder to write.
        batch_size: patches scored at once.
        confidence: level of the intervals, 0..1.
        quantized: the int8 network of the same model; it is scored too, on the same patches.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        DataError: the features are not such as the model was trained with, or no clip is left for
            the test.
    """
    clips = read_features(features)
    description = read_description(model)
    check_same_features(clips, description, model)
    rows = rows_of(model, clips.rows, TEST)
    if not rows:
        raise DataError(
            f"{model / SPLIT}: no test clips; train with "
            "dataset.test_fold set to a fold that has clips"
        )
    scorers: list[Scorer] = [load(model)]
    if quantized is not None:
        scorers.append(quantized.network)
    judged, *others = judge_all(clips, scorers, rows, batch_size)
    result = {
        "model": {"architecture": description.architecture, **description.training},
        "split": TEST,
        **figures(
            judged,
            description.classes,
            multi_label=description.multi_label,
            confidence=confidence,
        ),
    }
    if quantized is not None:
        result["quantized"] = _quantized(others[0], quantized.size_bytes, confidence)
    write(report, result, judged, description.classes)
    return result


def write(report: Path, result: dict[str, Any], judged: Judgement, classes: Sequence[str]) -> None:
    """Write the files of a report; print the lines that metric definitions look for."""
    report.mkdir(parents=True, exist_ok=True)
    write_predictions(report / PREDICTIONS, judged, classes)
    _write_confusion(report / CONFUSION, result["confusion_matrix"])
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (report / REPORT).write_text(text, encoding="utf-8", newline="\n")
    if "quantized" in result:
        for level in ("patch", "clip"):
            value = decimal(result["quantized"][f"{level}_acc"]["value"])
            print(f"Quantized model {level}-level accuracy on test set : {value}")
    accuracies = result["multiclass_classification_metrics"]
    _say(clip=accuracies["clip_acc"]["value"], patch=accuracies["patch_acc"]["value"])


def _say(*, clip: float, patch: float) -> None:
    """Print the lines that metric definitions look for."""
    print(f"Patch-level accuracy on test set : {decimal(_rounded(patch))}")
    print(f"Clip-level accuracy on test set : {decimal(_rounded(clip))}")


def figures(
    judged: Judgement, classes: Sequence[str], *, multi_label: bool, confidence: float
) -> dict[str, Any]:
    """Every figure of a report, ready for JSON.

    ``calibration`` looks at the score of the class decided for; multi-label, at every class of
    every clip, the score against whether the class is there. The rows of ``confusion_matrix`` are
    the truth; multi-label, each missed class counts against each wrongly given one of its clip.
    """
    groups = judged.sources
    per_class = metrics.scores_per_class(judged.truth, judged.decided)
    if multi_label:
        error, bins = metrics.calibration(judged.scores.ravel(), judged.truth.ravel())
    else:
        error, bins = metrics.calibration(judged.scores.max(1), judged.right)
    result: dict[str, Any] = {
        "multiclass_classification_metrics": _accuracies(judged, confidence),
        "confidence_level": confidence,
        "clips": len(judged.rows),
        "patches": int(judged.patches.sum()),
        "sources": len(set(groups)),
        "multi_label": multi_label,
        "per_class": [
            {
                "label": label,
                "precision": _rounded(per_class.precision[k]),
                "recall": _rounded(per_class.recall[k]),
                "f1": _rounded(per_class.f1[k]),
                "support": int(per_class.support[k]),
            }
            for k, label in enumerate(classes)
        ],
        "macro_f1": _rounded(per_class.f1.mean()),
        "confusion_matrix": {"labels": list(classes), "rows": _confusion(judged).tolist()},
        "calibration": {"ece": _rounded(error), "bins": [_bin(*values) for values in bins]},
        "worst_clips": worst_clips(judged, classes),
    }
    if multi_label:
        result["multi_label_metrics"] = {
            "mean_average_precision": _rounded(
                metrics.mean_average_precision(judged.truth, judged.scores)
            ),
            "micro_f1": _rounded(metrics.micro_f1(judged.truth, judged.decided)),
            "threshold": metrics.THRESHOLD,
        }
    return result


def worst_clips(judged: Judgement, classes: Sequence[str]) -> list[dict[str, Any]]:
    """At most 20 wrong clips, those first whose wrong class (given, or missed) is surest."""
    # How sure the model is of its mistake: the score of a class wrongly given, or what is lacking
    # of the score of a class wrongly left out.
    wrong = np.where(judged.decided & ~judged.truth, judged.scores, 0.0)
    missed = np.where(judged.truth & ~judged.decided, 1.0 - judged.scores, 0.0)
    sureness = np.where(wrong.any(1), wrong.max(1), missed.max(1))
    sureness[judged.right] = -1.0
    order = sorted(range(len(judged.rows)), key=lambda k: (-sureness[k], judged.rows[k].path))
    return [
        {
            "path": judged.rows[k].path,
            "truth": _names(judged.truth[k], classes),
            "predicted": _names(judged.decided[k], classes),
            "score": _rounded(sureness[k]),
        }
        for k in order[:WORST_CLIPS]
        if not judged.right[k]
    ]


def decimal(value: float) -> str:
    """A rounded fraction in plain decimals: never an exponent, always a point, "1.0", "0.9125".

    >>> decimal(1e-06), decimal(1.0), decimal(0.9125)
    ('0.000001', '1.0', '0.9125')
    """
    whole, _, rest = f"{value:.{DECIMALS}f}".partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def _quantized(judged: Judgement, size_bytes: int, confidence: float) -> dict[str, Any]:
    """The block of the int8 network; ``agreement`` is the share of patches decided alike."""
    agreed = judged.patches_agreed
    assert agreed is not None
    return {
        **_accuracies(judged, confidence),
        "agreement": _rounded(agreed.sum() / judged.patches.sum()),
        "size_bytes": size_bytes,
    }


def _accuracies(judged: Judgement, confidence: float) -> dict[str, Any]:
    ones = np.ones(len(judged.rows), np.int64)
    groups = judged.sources
    return {
        "clip_acc": _accuracy(judged.right, ones, groups, confidence),
        "patch_acc": _accuracy(judged.patches_right, judged.patches, groups, confidence),
    }


def _accuracy(
    right: Array, counts: Array, groups: Sequence[str], confidence: float
) -> dict[str, Any]:
    low, high = metrics.bootstrap_interval(
        right, counts, groups, seed=_BOOTSTRAP_SEED, confidence=confidence
    )
    return {
        "value": _rounded(right.sum() / counts.sum()),
        # SageMaker's model quality format wants the key; one evaluation has no deviation.
        "standard_deviation": "NaN",
        "low": _rounded(low),
        "high": _rounded(high),
    }


def _confusion(judged: Judgement) -> Array:
    """Int64 ``(truth, predicted)``; one count a clip where classes exclude one another."""
    truth, decided = judged.truth, judged.decided
    matrix = np.diag((truth & decided).sum(0))
    missed, wrong = (truth & ~decided).astype(np.int64), (decided & ~truth).astype(np.int64)
    return np.asarray(matrix + missed.T @ wrong)


def write_predictions(path: Path, judged: Judgement, classes: Sequence[str]) -> None:
    """Write a row a clip: truth, decision, scores; ``clip_results`` reads them."""
    right = judged.right
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for k, row in enumerate(judged.rows):
            entry: dict[str, Any] = {
                "path": row.path,
                "truth": _names(judged.truth[k], classes),
                "predicted": _names(judged.decided[k], classes),
                "scores": {
                    label: round(float(judged.scores[k, n]), _SCORE_DECIMALS)
                    for n, label in enumerate(classes)
                },
                "patches": int(judged.patches[k]),
                "patches_correct": int(judged.patches_right[k]),
                "source": row.source,
                "correct": bool(right[k]),
            }
            if row.start_s is not None or row.end_s is not None:
                entry |= {"start_s": row.start_s, "end_s": row.end_s}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _write_confusion(path: Path, matrix: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["truth", *matrix["labels"]])
        for label, row in zip(matrix["labels"], matrix["rows"], strict=True):
            table.writerow([label, *row])


def _bin(low: float, high: float, clips: int, confidence: float, accuracy: float) -> dict[str, Any]:
    return {
        "low": _rounded(low),
        "high": _rounded(high),
        "clips": clips,
        "confidence": _rounded(confidence),
        "accuracy": _rounded(accuracy),
    }


def _names(given: Array, classes: Sequence[str]) -> list[str]:
    return [name for name, is_given in zip(classes, given, strict=True) if is_given]


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)
