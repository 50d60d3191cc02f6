"""Pool the test clips of all folds of a cross-validation into one report.

Reads   reports/   what ``evaluate`` wrote, once a fold
Writes  report/    evaluation.json, predictions.jsonl, confusion_matrix.csv

The pooled report has the same figures at the same places, so the same gates read it.
"""

from __future__ import annotations

from soundgate.step import InputPaths, OutputPath, main


def pool(reports: InputPaths, report: OutputPath, *, confidence: float = 0.95) -> None:
    """Write the figures of all test clips together, and how much the folds differ."""
    from soundgate.audio.classification import folds as pooling

    pooling.pool(reports, report, confidence=confidence)


if __name__ == "__main__":
    main(pool)
