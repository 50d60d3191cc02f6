"""Export the tagger as programs that run without this code, in floating point and in 8 bits.

Reads   waveforms/    samples of all clips, of which training clips calibrate the int8 network
        model/        the tagger and the split it was trained with
        config        sections quantization and dataset of the user config
        calibration/  clips to calibrate with instead (optional)
Writes  exported/     model.pt2, model.onnx, model_int8.onnx: from waveforms to scores
                      network.onnx, network_int8.onnx: from images to scores
                      labels.txt, export.json
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("export", "tagging")


def export(
    waveforms: InputPath,
    model: InputPath,
    config: InputPath,
    exported: OutputPath,
    calibration: InputPath | None = None,
) -> None:
    """Write the programs; each is compared with torch on real clips before any is written.

    Args:
        waveforms: what ``prepare`` wrote.
        model: what ``train`` wrote.
        config: the user config.
        exported: the programs.
        calibration: goes before ``dataset.quantization_audio_path``, which names a folder whose
            change nobody would notice.
    """
    from soundgate.audio.config.tagging import load_tagging
    from soundgate.audio.export import write_tagger

    settings = load_tagging(config)
    about = write_tagger(waveforms, model, exported, settings, calibration_clips=calibration)
    print(about.said)


if __name__ == "__main__":
    main(export)
