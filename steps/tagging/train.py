"""Train a tagger on waveforms: the head first, then more of the network.

Reads   waveforms/    samples of all clips and the list of them
        config        sections general, audio_transform, model, augmentation and training
        pretrained/   weights to start from: a model/ folder, a file or a folder (optional)
Writes  model/        weights.safetensors, model.json with the thresholds, split.jsonl
        metrics/      history.jsonl, a row an epoch; tensorboard/; lr_range_test.png where rates
                      were tried out first

A killed attempt continues from its checkpoint, with the result of an undisturbed one. The log ends
with the kept epoch's figures on the validation clips, where platforms that draw a training's
metrics look for them. The test clips are left to ``evaluate``.
"""

from __future__ import annotations

from pathlib import Path

from soundgate.step import (
    CheckpointPath,
    InputPath,
    OutputPath,
    graceful_finish,
    graceful_stop,
    main,
)

EXTRAS = ("tagging",)


def train(
    waveforms: InputPath,
    config: InputPath,
    model: OutputPath,
    metrics: OutputPath,
    pretrained: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    epochs: int = 0,
) -> None:
    """Fit the tagger; keep the epoch with the best figure on the validation clips.

    Args:
        waveforms: what ``prepare`` wrote.
        config: the user config.
        model: the tagger.
        metrics: how the training went.
        pretrained: goes before ``model.pretrained_weights``, which names a file or folder whose
            change nobody would notice.
        checkpoints: where a killed attempt left its work.
        epochs: passes over the training clips in all stages; 0: as the user config says.
    """
    from soundgate.audio.classification.tagging.fit import PLOT, Asked, fit
    from soundgate.audio.config.tagging import load_tagging
    from soundgate.registry.service.epochs import epoch_log
    from soundgate.runs import Context

    settings = load_tagging(config)
    if pretrained:
        settings = settings.starting_from(pretrained)
    with (
        graceful_stop() as stop,
        graceful_finish() as finish,
        epoch_log(settings.training.model_dump()) as log,
    ):
        asked = Asked(
            epochs=epochs or None,
            checkpoints=checkpoints,
            stop=stop,
            finish=finish,
            # the outputs of a training that ends with its range test are not kept
            plot=Path(Context.from_environment().task_folder or ".") / PLOT,
            log=log,
        )
        fit(waveforms, model, metrics, settings, asked)


if __name__ == "__main__":
    main(train)
