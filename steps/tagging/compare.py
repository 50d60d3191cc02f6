"""Compare the candidate tagger with the champion on the very same test clips.

Reads   waveforms/   the candidate's clips, decoded    clips/   the audio and its manifest
        report/      the candidate's evaluation        model/   the candidate
        champion/    version.json and model/ of the registry's champion, where there is one
Writes  comparison/  comparison.json, champion_predictions.jsonl
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("tagging",)


def compare(
    waveforms: InputPath,
    clips: InputPath,
    report: InputPath,
    model: InputPath,
    champion: InputPath,
    comparison: OutputPath,
    *,
    confidence: float = 0.95,
    batch_size: int = 32,
) -> None:
    """Write the paired differences of every metric, and what had to be left out."""
    from soundgate.audio.classification.comparison.against_champion import Candidate
    from soundgate.audio.classification.tagging import comparison as taggers

    taggers.compare(
        Candidate(clips, waveforms, model, report),
        champion,
        comparison,
        confidence=confidence,
        batch_size=batch_size,
    )


if __name__ == "__main__":
    main(compare)
