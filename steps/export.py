"""Export the classifier as programs that run without this code, in floating point and in 8 bits.

Reads   features/     log-mel frames, of which training clips calibrate the int8 network
        model/        the classifier and the split it was trained with
        config        sections quantization and dataset of the user config
        calibration/  clips to calibrate with instead (optional)
Writes  exported/     model.pt2, model.onnx, model_int8.onnx: from waveforms to scores
                      network.onnx, network_int8.onnx: from log-mel patches to scores
                      labels.txt, export.json
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("export",)


def export(
    features: InputPath,
    model: InputPath,
    config: InputPath,
    exported: OutputPath,
    calibration: InputPath | None = None,
) -> None:
    """Write the programs; each is compared with torch before any of them is written.

    Args:
        features: what ``preprocess`` wrote.
        model: what ``train`` wrote.
        config: the user config.
        exported: the programs.
        calibration: goes before ``dataset.quantization_audio_path``, which names a folder whose
            change nobody would notice.
    """
    from soundgate.audio.config import load
    from soundgate.audio.export import write

    about = write(features, model, exported, load(config), calibration_clips=calibration)
    print(about.said)


if __name__ == "__main__":
    main(export)
