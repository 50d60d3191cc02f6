"""Test the chosen head on segments that it has never seen.

Reads   embeddings/   of which ``test`` is scored
        model/        the head
        leaderboard/  what it was chosen from
Writes  report/       evaluation.json, predictions.jsonl, confusion_matrix.csv
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def evaluate(
    embeddings: InputPath,
    model: InputPath,
    report: OutputPath,
    leaderboard: InputPath | None = None,
    *,
    confidence: float = 0.95,
) -> None:
    """Write accuracies, macro precision, recall and F0.5 with intervals over recordings."""
    from soundgate.audio.classification.heads import evaluation

    evaluation.evaluate(embeddings, model, report, leaderboard=leaderboard, confidence=confidence)


if __name__ == "__main__":
    main(evaluate)
