"""Cross-validation's end: the reports of all folds become one.

Every clip was tested once, by the model that had not seen it. Pooled figures are those of all test
clips together; beside them stands how much the folds differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.classification import evaluation
from soundgate.audio.classification.figures import figures
from soundgate.audio.classification.scored_clips import ScoredClips
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, ClipResult, read_results
from soundgate.audio.formats.reports.report import Report, Spread, read_report
from soundgate.audio.metrics.rounding import rounded
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Identity


def pool(reports: Sequence[Path], report: Path, *, confidence: float = 0.95) -> Report:
    """Write one report for several.

    Args:
        reports: folders that ``evaluation.evaluate`` wrote, of models with the same classes.
        report: folder to write; ``folds`` in its ``evaluation.json`` has mean and standard
            deviation (n - 1) of the headline metrics over the reports.
        confidence: level of the intervals, 0..1.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        DataError: a report is missing or damaged, a clip was tested twice, or the reports are of
            different classes.
    """
    parts = [read_report(folder) for folder in reports]
    labels = {part.confusion_matrix.labels for part in parts if part.confusion_matrix}
    if len(labels) != 1:
        raise DataError(
            f"the reports have different classes: {sorted(labels)}; pool reports of one training "
            "setup"
        )
    classes = labels.pop()
    scored = _read(reports, classes)
    first = parts[0]
    fields = {
        "model": first.as_json().get("model"),
        "split": f"{first.split}, {len(parts)} folds",
        **figures(scored, classes, multi_label=first.multi_label, confidence=confidence),
        "folds": {name: spread.as_json() for name, spread in _spreads(parts).items()},
    }
    made = evaluation.write(report, fields, scored, classes)
    for line in made.headline:
        spread = (made.folds or {}).get(line.metric)
        if spread is not None and spread.standard_deviation is not None:
            print(f"{line.title} over folds: {spread.mean} +- {spread.standard_deviation}")
    return made


def _read(reports: Sequence[Path], classes: Sequence[str]) -> ScoredClips:
    rows: list[ClipResult] = []
    seen: dict[Identity, Path] = {}
    for folder in reports:
        for row in read_results(folder / PREDICTIONS):
            if row.identity in seen:
                raise DataError(
                    f"{row.path} was tested in {seen[row.identity]} and in {folder}; "
                    "pass each fold once"
                )
            seen[row.identity] = folder
            rows.append(row)
    return ScoredClips(
        rows,
        np.array([[label in row.truth for label in classes] for row in rows], bool),
        np.array([[row.scores[label] for label in classes] for row in rows], np.float64),
        np.array([[label in row.predicted for label in classes] for row in rows], bool),
        np.array([row.patches for row in rows], np.int64),
        np.array([row.patches_correct for row in rows], np.int64),
    )


def _spreads(parts: Sequence[Report]) -> dict[str, Spread]:
    """Of the headline metrics with an interval, by name and by the key they had first."""
    found = {}
    for name in (line.metric for line in parts[0].headline):
        if parts[0].metrics[name].low is None:
            continue
        found[name] = _spread([part.metrics[name].value for part in parts])
        if name in parts[0].aliases:
            found[parts[0].aliases[name].rpartition(".")[2]] = found[name]
    return found


def _spread(values: Sequence[float]) -> Spread:
    deviation = None  # one value has none
    if len(values) > 1:
        deviation = rounded(float(np.std(values, ddof=1)))
    return Spread(
        values=tuple(values),
        mean=rounded(float(np.mean(values))),
        standard_deviation=deviation,
    )
