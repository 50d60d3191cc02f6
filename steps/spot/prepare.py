"""Cut a data set for detectors from a corpus: calls and noise, divided into train, val and test.

Reads   corpus/     corpus_index.json and the recordings it lists
        settings    JSON file: the variant's name and its strategy
Writes  dataset/    a WAV for each call and noise; train.csv, val.csv, test.csv, variant_index.json,
                    selection_tables/, and spectrograms/ where they are asked for

The same sound on two sides ends the task. The same strategy and seed give the same bytes.
"""

from __future__ import annotations

import json

from soundgate.step import InputPath, OutputPath, main


def prepare(corpus: InputPath, settings: InputPath, dataset: OutputPath) -> None:
    """Write the data set; say what it holds, and which noise was not found."""
    from soundgate.audio.datasets.corpora import preparing
    from soundgate.audio.datasets.corpora.strategies import read_strategy

    chosen = json.loads(settings.read_text("utf-8"))
    variant = preparing.prepare(
        corpus,
        dataset,
        chosen["name"],
        read_strategy(chosen["name"], chosen["strategy"]),
        spectrograms=chosen["spectrograms"],
    )
    print("\n".join(preparing.summary(variant)))


if __name__ == "__main__":
    main(prepare)
