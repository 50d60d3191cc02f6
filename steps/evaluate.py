"""Score a model on the test clips it has never seen.

Reads   features/  log-mel frames and the list of clips
        model/     the classifier and the split it was trained with
Writes  report/    evaluation.json, predictions.jsonl, confusion_matrix.csv

Prints the two lines that metric definitions look for, with the very numbers the gates read.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def evaluate(
    features: InputPath,
    model: InputPath,
    report: OutputPath,
    *,
    confidence: float = 0.95,
    batch_size: int = 256,
) -> None:
    """Write clip and patch accuracy with intervals, per-class figures and the worst clips."""
    from soundgate.audio import evaluation

    evaluation.evaluate(features, model, report, confidence=confidence, batch_size=batch_size)


if __name__ == "__main__":
    main(evaluate)
