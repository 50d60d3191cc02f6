"""Score every window of recordings with a detector.

Reads   model/        the detector
        corpus/       recordings, and corpus_index.json that lists them (or any audio)
        dataset/      variant_index.json, whose validation_regions are scored instead (optional)
Writes  scores/       scores.json, and the scores of each recording as arrays

Scores know no threshold: those of one window and hop serve any number of them. A killed attempt
continues with the recording it was at.
"""

from __future__ import annotations

from soundgate.step import CheckpointPath, InputPath, OutputPath, main


def predict(
    model: InputPath,
    corpus: InputPath,
    scores: OutputPath,
    dataset: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    window_s: float = 0.0,
    hop_s: float = 0.05,
    batch_size: int = 0,
    downsample: bool = False,
) -> None:
    """Write probabilities of all windows, with times on the axis of each file.

    Args:
        model: what ``train`` wrote.
        corpus: the recordings.
        scores: what was found.
        dataset: what the model was trained on; its corpus must be the given one.
        checkpoints: where a killed attempt left finished recordings.
        window_s: length of a window in seconds; 0: that of the model's training.
        hop_s: from the start of a window to the next one's, seconds.
        batch_size: windows scored at once; 0: 64, on a GPU 512.
        downsample: whether recordings of more than twice the model's rate are taken.
    """
    from soundgate.audio.detection.scoring import prediction, recordings

    regions = recordings.validation_regions(dataset) if dataset else recordings.recordings(corpus)
    asked = prediction.Asked(
        window_s=window_s or None,
        hop_s=hop_s,
        batch_size=batch_size or prediction.usual_batch_size(),
        downsample=downsample,
        checkpoints=checkpoints,
    )
    prediction.predict(model, corpus, scores, regions, asked)


if __name__ == "__main__":
    main(predict)
