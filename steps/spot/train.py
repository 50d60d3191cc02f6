"""Train a detector of calls on a data set of short clips.

Reads   dataset/      WAVs of calls and noise, variant_index.json or train.csv, val.csv, test.csv
        config        sections general, audio, model, augmentation and training
        pretrained    weights to start from: a model/ folder or ANIMAL-SPOT's .pk (optional)
        cfg           a configuration of ANIMAL-SPOT, whose keys go before the config's (optional)
Writes  model/        weights.safetensors, model.json, split.jsonl
        metrics/      history.jsonl, a row an epoch; tensorboard/

A killed attempt continues from its checkpoint, with the result of an undisturbed one. The clips of
test.csv are left alone.
"""

from __future__ import annotations

from soundgate.step import (
    CheckpointPath,
    InputPath,
    OutputPath,
    cpus,
    graceful_finish,
    graceful_stop,
    main,
)


def train(
    dataset: InputPath,
    config: InputPath,
    model: OutputPath,
    metrics: OutputPath,
    pretrained: InputPath | None = None,
    cfg: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    variant: str = "",
    epochs: int = 0,
    sequence_len: float = 0.0,
    n_fft: int = 0,
    hop_length: int = 0,
    settings: list[str] | None = None,
) -> None:
    """Fit the detector; keep the epoch with the best accuracy on the validation clips.

    Args:
        dataset: what ``prepare`` wrote, or a data set of ANIMAL-SPOT's naming.
        config: the user config.
        model: the detector.
        metrics: how the training went.
        pretrained: goes before ``model.pretrained_weights``, which names a file or folder whose
            change nobody would notice.
        cfg: ``key=value`` a line.
        checkpoints: where a killed attempt left its work.
        variant: its name, which the model keeps.
        epochs: passes over the training clips; 0: as the user config says.
        sequence_len: length of a window in milliseconds; 0: as the user config says.
        n_fft: length of the Fourier transform; 0: as the user config says.
        hop_length: distance between frames in samples; 0: as the user config says.
        settings: further keys of ANIMAL-SPOT's configurations, ``freq_compression=mel``.
    """
    from soundgate.audio.config import animal_spot
    from soundgate.audio.config.spot import load_spot
    from soundgate.audio.detection.training.fit import Asked, fit
    from soundgate.registry.service.epochs import epoch_log

    values = animal_spot.read_cfg(cfg.read_text("utf-8"), str(cfg)) if cfg else {}
    values |= animal_spot.read_settings(settings or [])
    for name, value in (
        ("sequence_len", sequence_len),
        ("n_fft", n_fft),
        ("hop_length", hop_length),
    ):
        if value:
            values[name] = str(value)
    chosen = animal_spot.apply(load_spot(config), values)
    if pretrained:
        chosen = chosen.starting_from(pretrained)
    with (
        graceful_stop() as stop,
        graceful_finish() as finish,
        epoch_log(chosen.training.model_dump()) as log,
    ):
        asked = Asked(
            name=variant,
            epochs=epochs or None,
            classes=animal_spot.classes_of(values),
            workers=cpus(),
            checkpoints=checkpoints,
            stop=stop,
            finish=finish,
            log=log,
        )
        fit(dataset, model, metrics, chosen, asked)


if __name__ == "__main__":
    main(train)
