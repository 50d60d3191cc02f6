"""Compare the candidate with the champion on the very same test clips.

Reads   features/    the candidate's log-mel frames      clips/   the audio and its manifest
        report/      the candidate's evaluation          model/   the candidate
        champion/    version.json and model/ of the registry's champion, where there is one
Writes  comparison/  comparison.json, champion_predictions.jsonl
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def compare(
    features: InputPath,
    clips: InputPath,
    report: InputPath,
    model: InputPath,
    champion: InputPath,
    comparison: OutputPath,
    *,
    confidence: float = 0.95,
    batch_size: int = 256,
) -> None:
    """Write the paired difference of both, McNemar's test, and what had to be left out."""
    from soundgate.audio.classification.comparison import comparison as classifiers
    from soundgate.audio.classification.comparison.against_champion import Candidate

    classifiers.compare(
        Candidate(clips, features, model, report),
        champion,
        comparison,
        confidence=confidence,
        batch_size=batch_size,
    )


if __name__ == "__main__":
    main(compare)
