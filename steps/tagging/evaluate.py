"""Score a tagger on the test clips it has never seen.

Reads   waveforms/  samples of all clips and the list of them
        model/      the tagger, its thresholds and the split it was trained with
        exported/   programs of it, of which the int8 network is scored too (optional)
Writes  report/     evaluation.json, predictions.jsonl

Decisions are made by the thresholds that were chosen on the validation clips. Prints the lines that
metric definitions look for, with the very numbers the gates read.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("tagging",)


def evaluate(
    waveforms: InputPath,
    model: InputPath,
    report: OutputPath,
    exported: InputPath | None = None,
    *,
    confidence: float = 0.95,
    batch_size: int = 32,
) -> None:
    """Write F1, average precision and the like with intervals, overall and for each label."""
    from soundgate.audio.classification.tagging import evaluation
    from soundgate.audio.export import int8_tagger

    evaluation.evaluate(
        waveforms,
        model,
        report,
        batch_size=batch_size,
        confidence=confidence,
        quantized=int8_tagger(exported, model) if exported else None,
    )


if __name__ == "__main__":
    main(evaluate)
