"""Cross-validation's end: the reports of all folds become one.

Every clip was tested once, by the model that had not seen it. Pooled figures are those of all test
clips together; beside them stands how much the folds differ.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification import evaluation
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class PooledClip:
    """A row of ``predictions.jsonl``, as ``evaluation`` needs it."""

    path: str
    source: str | None
    start_s: float | None
    end_s: float | None


def pool(reports: Sequence[Path], report: Path, *, confidence: float = 0.95) -> dict[str, Any]:
    """Write one report for several.

    Args:
        reports: folders that ``evaluation.evaluate`` wrote, of models with the same classes.
        report: folder to write; ``folds`` in its ``evaluation.json`` has mean and standard
            deviation (n - 1) of the accuracies over the reports.
        confidence: level of the intervals, 0..1.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        DataError: a clip was tested twice, or the reports are of different classes.
    """
    parts = [json.loads((part / evaluation.REPORT).read_text("utf-8")) for part in reports]
    labels = {tuple(part["confusion_matrix"]["labels"]) for part in parts}
    if len(labels) != 1:
        raise DataError(
            f"the reports have different classes: {sorted(labels)}; pool reports of one training "
            "setup"
        )
    classes = list(labels.pop())
    multi_label = bool(parts[0]["multi_label"])
    judged = _read(reports, classes)
    result = {
        "model": parts[0]["model"],
        "split": f"{parts[0]['split']}, {len(parts)} folds",
        **evaluation.figures(judged, classes, multi_label=multi_label, confidence=confidence),
        "folds": {name: _spread(parts, name) for name in ("clip_acc", "patch_acc")},
    }
    evaluation.write(report, result, judged, classes)
    for name, word in (("clip_acc", "Clip"), ("patch_acc", "Patch")):
        spread = result["folds"][name]
        if spread["standard_deviation"] is not None:
            print(f"{word} accuracy over folds: {spread['mean']} +- {spread['standard_deviation']}")
    return result


def _read(reports: Sequence[Path], classes: Sequence[str]) -> evaluation.Judgement:
    rows: list[PooledClip] = []
    truth, scores, decided, patches, right = [], [], [], [], []
    index = {label: k for k, label in enumerate(classes)}
    seen: dict[tuple[Any, ...], Path] = {}
    for folder in reports:
        for line in (folder / evaluation.PREDICTIONS).read_text("utf-8").splitlines():
            entry = json.loads(line)
            clip = PooledClip(
                entry["path"], entry["source"], entry.get("start_s"), entry.get("end_s")
            )
            key = (clip.path, clip.start_s, clip.end_s)
            if key in seen:
                raise DataError(
                    f"{clip.path} was tested in {seen[key]} and in {folder}; pass each fold once"
                )
            seen[key] = folder
            rows.append(clip)
            truth.append(_one_hot(entry["truth"], index))
            decided.append(_one_hot(entry["predicted"], index))
            scores.append([entry["scores"][label] for label in classes])
            patches.append(entry["patches"])
            right.append(entry["patches_correct"])
    return evaluation.Judgement(
        rows,
        np.array(truth, bool),
        np.array(scores, np.float64),
        np.array(decided, bool),
        np.array(patches, np.int64),
        np.array(right, np.int64),
    )


def _one_hot(labels: Sequence[str], index: dict[str, int]) -> list[bool]:
    found = [False] * len(index)
    for label in labels:
        found[index[label]] = True
    return found


def _spread(parts: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    values = [part["multiclass_classification_metrics"][name]["value"] for part in parts]
    deviation = None  # one value has none
    if len(values) > 1:
        deviation = round(float(np.std(values, ddof=1)), evaluation.DECIMALS)
    return {
        "values": values,
        "mean": round(float(np.mean(values)), evaluation.DECIMALS),
        "standard_deviation": deviation,
    }
