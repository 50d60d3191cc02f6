"""Decode every clip, resample it, remove silence, compute log-mel frames; report what was found.

Reads   clips/       manifest.jsonl and the audio it lists
        config       sections dataset, inspection, preprocessing and feature_extraction
Writes  features/    frames.npy float16 (frame, mel) of all clips one after another, clips.jsonl,
                     features.json
        inspection/  inspection.json, inspection.html: classes, levels, duplicates, what is refused

A clip that cannot be used is left out and reported; whether that is tolerable is for the step
``accept`` to say, so that the page is there where it is not.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, cache_folder, cpus, main


def preprocess(
    clips: InputPath, config: InputPath, features: OutputPath, inspection: OutputPath
) -> None:
    """Compute the features of all clips; the result does not depend on the number of workers."""
    from soundgate.audio.config import load
    from soundgate.audio.extraction.log_mel import extract
    from soundgate.audio.inspection import Collection, report

    settings, found = load(config), Collection()
    cache = cache_folder("waveforms")
    extract(clips, features, settings, cache=cache, workers=cpus(), observer=found)
    report(found, settings.inspection, inspection)


if __name__ == "__main__":
    main(preprocess)
