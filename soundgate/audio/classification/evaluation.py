"""Evaluate a classifier on the clips that its training left for that, and write ``report/``.

    evaluation.json        every figure; fractions of one, never percents
    predictions.jsonl      a row a clip: truth, decision, scores
    confusion_matrix.csv   a row a true class, a column a predicted one

Two figures are gated, clip-level and patch-level accuracy, of the model and of its int8 network.
They are rounded once, and the rounded number is the one that is printed, written, and compared with
the gate.

Multi-label, a clip (a patch) counts as correct where every label is given and no other, at a
threshold of 0.5: ``clip_acc`` and ``patch_acc`` are subset accuracies. Mean average precision and
F1 stand beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.classification.figures import figures, quantized_figures
from soundgate.audio.classification.inference import BATCH_SIZE, load
from soundgate.audio.classification.scored_clips import ScoredClips, score_all
from soundgate.audio.clips.splits import TEST
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.model import SPLIT, check_same_features, read_description, rows_of
from soundgate.audio.formats.reports.classifier_metrics import with_metrics
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, write_results
from soundgate.audio.formats.reports.report import Report, write_report
from soundgate.audio.metrics.rounding import decimal
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.classification.inference import Scorer
    from soundgate.audio.formats.record import JsonObject


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
) -> Report:
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
    scorers: list[Scorer] = [load(model), *([quantized.network] if quantized else [])]
    scored, *others = score_all(clips, scorers, rows, batch_size)
    fields = {
        "model": {"architecture": description.architecture, **description.training},
        "split": TEST,
        **figures(
            scored, description.classes, multi_label=description.multi_label, confidence=confidence
        ),
    }
    if quantized is not None:
        fields["quantized"] = quantized_figures(others[0], quantized.size_bytes, confidence)
    return write(report, fields, scored, description.classes)


def write(report: Path, fields: JsonObject, scored: ScoredClips, classes: Sequence[str]) -> Report:
    """Write the files of a classifier's report; print the lines that gates on logs look for.

    Args:
        report: folder to write.
        fields: what ``figures`` made, and what was tested.
        scored: the clips.
        classes: their classes.
    """
    report.mkdir(parents=True, exist_ok=True)
    write_results(report / PREDICTIONS, scored.results(classes))
    made = Report.model_validate(with_metrics(fields))
    write_report(report, made)
    for name, words in _PRINTED.items():
        if name in made.metrics:
            print(f"{words} accuracy on test set : {decimal(made.metrics[name].value)}")
    return made


# SageMaker's metric definitions are regular expressions over these lines.
_PRINTED = {
    "quantized_patch_accuracy": "Quantized model patch-level",
    "quantized_clip_accuracy": "Quantized model clip-level",
    "patch_accuracy": "Patch-level",
    "clip_accuracy": "Clip-level",
}
