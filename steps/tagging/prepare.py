"""Decode the clips of a tagging data set, divide them, and report what was found.

Reads   clips/       manifest.jsonl and the audio it lists
        settings     JSON file: sample rate, labels, how clips are divided, rules of the inspection
Writes  waveforms/   waveforms.npy float32 (sample,) of all clips one after another, clips.jsonl,
                     waveforms.json
        inspection/  inspection.json, inspection.html: labels, levels, duplicates, what is refused

A recording on two sides of a division ends the task. A clip that cannot be used is left out and
reported, and so is the same sound on two sides: whether that is tolerable is for the step
``accept`` to say, so that the page is there where it is not.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, cache_folder, cpus, main


def prepare(
    clips: InputPath, settings: InputPath, waveforms: OutputPath, inspection: OutputPath
) -> None:
    """Decode and divide the clips; the result does not depend on the number of workers."""
    from soundgate.audio.extraction.waveforms import extract_waveforms, read_settings
    from soundgate.audio.inspection import Collection, report

    chosen, found = read_settings(settings), Collection()
    cache = cache_folder("waveforms")
    extract_waveforms(clips, waveforms, chosen, cache=cache, workers=cpus(), observer=found)
    report(found, chosen.inspection, inspection)


if __name__ == "__main__":
    main(prepare)
