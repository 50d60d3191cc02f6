"""Export a detector as programs that run without this code, in floating point and in 8 bits.

Reads   model/       the detector
        corpus/      recordings with calls, of which some calibrate the int8 network
        config       section quantization of the user config
Writes  exported/    model.pt2, model.onnx, model_int8.onnx: from recordings to scores of windows
                     network.onnx, network_int8.onnx: from images to scores
                     labels.txt, export.json
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("export",)


def export(
    model: InputPath,
    corpus: InputPath,
    config: InputPath,
    exported: OutputPath,
    *,
    hop_s: float = 0.05,
) -> None:
    """Write the programs; each is compared with torch on recordings before any is written.

    Args:
        model: what ``train`` wrote.
        corpus: a corpus; not the benchmark.
        config: the user config.
        exported: the programs.
        hop_s: from the start of a window to the next one's, seconds.
    """
    from soundgate.audio.config.spot import load_spot
    from soundgate.audio.export import write_detector

    about = write_detector(corpus, model, exported, load_spot(config), hop_s=hop_s)
    print(about.said)


if __name__ == "__main__":
    main(export)
