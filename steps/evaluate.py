"""Score a model on the test clips it has never seen.

Reads   features/  log-mel frames and the list of clips
        model/     the classifier and the split it was trained with
        exported/  its int8 network (optional)
Writes  report/    evaluation.json, predictions.jsonl, confusion_matrix.csv

Prints the lines that metric definitions look for, with the very numbers the gates read; those of
the int8 network too, where it is given.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def evaluate(
    features: InputPath,
    model: InputPath,
    report: OutputPath,
    exported: InputPath | None = None,
    *,
    confidence: float = 0.95,
    batch_size: int = 256,
) -> None:
    """Write clip and patch accuracy with intervals, per-class figures and the worst clips."""
    from soundgate.audio.classification import evaluation
    from soundgate.audio.export import int8_network

    evaluation.evaluate(
        features,
        model,
        report,
        batch_size=batch_size,
        confidence=confidence,
        quantized=int8_network(exported, model) if exported else None,
    )


if __name__ == "__main__":
    main(evaluate)
