"""Compare the candidate head with the champion on the very same test clips.

Reads   embeddings/   the candidate's        report/   its evaluation
        model/        the candidate
        champion/     version.json and model/ of the registry's champion, where there is one
Writes  comparison/   comparison.json, champion_predictions.jsonl

A champion of another encoder cannot be scored on these embeddings: its figures are then those that
it was registered with.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def compare(
    embeddings: InputPath,
    report: InputPath,
    model: InputPath,
    champion: InputPath,
    comparison: OutputPath,
    *,
    confidence: float = 0.95,
) -> None:
    """Write the paired differences of both accuracies, and what had to be left out."""
    from soundgate.audio.classification.heads import comparison as heads

    heads.compare(embeddings, report, model, champion, comparison, confidence=confidence)


if __name__ == "__main__":
    main(compare)
