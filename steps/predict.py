"""Score clips with a registered model: a folder, a file, or the rows of a table.

Reads   version/       version.json and model/, as ``pull`` writes them; or a model/ folder itself
        audio/         any folder, searched with all folders in it, or one audio file; or
                       audio_path.txt, which says where such a folder lies on this machine
        manifest       manifest.jsonl, or a CSV with columns path, start_s, end_s (optional)
        encoder        weights that a classifier of embeddings listens through (optional)
Writes  predictions/   clips and patches in ``format``, failures.jsonl, predictions.json

A killed attempt continues from its checkpoint with the same rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from soundgate.step import CheckpointPath, InputPath, OutputPath, cpus, graceful_stop, main

if TYPE_CHECKING:
    from soundgate.audio.prediction.choices import Format, Runtime

AUDIO_PATH_FILE = "audio_path.txt"


def predict(
    version: InputPath,
    audio: InputPath,
    predictions: OutputPath,
    manifest: InputPath | None = None,
    encoder: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    runtime: str = "torch",
    format: str = "csv",  # noqa: A002 - the word users know
    segment_s: float = 0.0,
    hop_s: float = 0.0,
    unknown_class_threshold: float = 0.0,
    batch_size: int = 256,
    strict: bool = False,
) -> None:
    """Score every clip, and cut files that are longer than the model's clips into segments.

    Args:
        version: the model.
        audio: the clips, or where they lie: a folder too large to be read twice is not made an
            artifact.
        predictions: the tables.
        manifest: which of them; all where omitted.
        encoder: a file or a folder; the model knows its digest, and refuses another.
        checkpoints: where a killed attempt left its work.
        runtime: torch, onnx or int8.
        format: csv, parquet or jsonl.
        segment_s: length of segments; 0: the longest clip of the model.
        hop_s: from segment to segment; 0: ``segment_s``.
        unknown_class_threshold: below it a clip is of an unknown class; 0: never.
        batch_size: patches scored at once.
        strict: whether a file that cannot be read is an error.
    """
    from soundgate.audio.formats.version import model_in
    from soundgate.audio.prediction import prediction
    from soundgate.audio.prediction.settings import Settings

    folder = Path(audio.read_text("utf-8")) if audio.name == AUDIO_PATH_FILE else audio
    model, card = model_in(version)
    settings = Settings(
        runtime=cast("Runtime", runtime),  # any other word is refused there
        format=cast("Format", format),
        segment_s=segment_s,
        hop_s=hop_s,
        unknown_class_threshold=unknown_class_threshold,
        batch_size=batch_size,
        strict=strict,
    )
    with graceful_stop() as stop:
        summary = prediction.predict(
            model,
            folder,
            predictions,
            settings,
            manifest=manifest,
            encoder=encoder,
            version=card,
            workers=cpus(),
            checkpoints_folder=checkpoints,
            stop=stop,
        )
    told = "".join(f", {count} {title}" for title, count in summary.remarks.items())
    print(
        f"{summary.clips} clips, {summary.patches} patches, {summary.failures} failures{told}; "
        f"{summary.clips_per_s} clips/s, {summary.audio_s_per_s} s of audio a second"
    )


if __name__ == "__main__":
    main(predict)
