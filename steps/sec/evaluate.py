"""Test the chosen head on segments that it has never seen.

Reads   embeddings/   of which ``test`` is scored
        model/        the head
        leaderboard/  what it was chosen from (optional)
        weights       of the encoder, and
        text/         config and tokens of its text tower: for the zero-shot baseline (optional)
Writes  report/       evaluation.json, predictions.jsonl, confusion_matrix.csv
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def evaluate(
    embeddings: InputPath,
    model: InputPath,
    report: OutputPath,
    leaderboard: InputPath | None = None,
    weights: InputPath | None = None,
    text: InputPath | None = None,
    *,
    confidence: float = 0.95,
    prompt: str = "",
) -> None:
    """Write accuracies, macro precision, recall and F0.5 with intervals over recordings.

    Args:
        embeddings: what ``merge`` wrote.
        model: what ``choose`` wrote.
        report: the report.
        leaderboard: likewise of ``choose``.
        weights: of the encoder.
        text: folder of its text tower's config and tokens.
        confidence: level of the intervals, 0..1.
        prompt: sentence about a class, ``{}`` in its place; "": ``this is the sound of {}``.
    """
    from soundgate.audio.classification.heads import evaluation

    evaluation.evaluate(
        embeddings,
        model,
        report,
        leaderboard=leaderboard,
        sentences=evaluation.sentences(embeddings, weights, text, prompt),
        confidence=confidence,
    )


if __name__ == "__main__":
    main(evaluate)
