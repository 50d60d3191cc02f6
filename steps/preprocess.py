"""Decode every clip, resample it, remove silence, compute log-mel frames.

Reads   clips/     manifest.jsonl and the audio it lists
        config     sections dataset, preprocessing and feature_extraction of the user config
Writes  features/  frames.npy float16 (frame, mel) of all clips one after another, clips.jsonl,
                   features.json
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, cache_folder, cpus, main


def preprocess(clips: InputPath, config: InputPath, features: OutputPath) -> None:
    """Compute the features of all clips; the result does not depend on the number of workers."""
    from soundgate.audio.config import load
    from soundgate.audio.extraction.log_mel import extract

    extract(clips, features, load(config), cache=cache_folder("waveforms"), workers=cpus())


if __name__ == "__main__":
    main(preprocess)
