"""Train an audio event classifier on log-mel patches.

Reads   features/     log-mel frames and the list of clips
        config        sections general, dataset, data_augmentation and training of the user config
        pretrained/   model/ of an earlier training to start from (optional)
Writes  model/        weights.safetensors, model.json, split.jsonl
        metrics/      history.jsonl, a row an epoch; tensorboard/

A killed attempt continues from its checkpoint, with the result of an undisturbed one. The log ends
with the kept epoch's accuracies on the validation clips, where platforms that draw a training's
metrics look for them. The test clips are left to ``evaluate``.
"""

from __future__ import annotations

from soundgate.step import (
    CheckpointPath,
    InputPath,
    OutputPath,
    graceful_finish,
    graceful_stop,
    main,
)


def train(
    features: InputPath,
    config: InputPath,
    model: OutputPath,
    metrics: OutputPath,
    pretrained: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    test_fold: int = 0,
    epochs: int = 0,
) -> None:
    """Fit the classifier; keep the epoch with the best validation accuracy.

    Args:
        features: what ``preprocess`` wrote.
        config: the user config.
        model: the classifier.
        metrics: how the training went.
        pretrained: goes before ``training.model.pretrained_weights``, which names a folder whose
            change nobody would notice.
        checkpoints: where a killed attempt left its work.
        test_fold: fold held out, counted from 1; 0: as the user config says.
        epochs: passes over the training clips; 0: as the user config says.
    """
    from soundgate.audio.classification.fit import fit
    from soundgate.audio.config import load
    from soundgate.registry.service.epochs import epoch_log

    settings = load(config)
    if pretrained:
        settings = settings.starting_from(pretrained)
    with (
        graceful_stop() as stop,
        graceful_finish() as finish,
        epoch_log(settings.training.model_dump()) as log,
    ):
        fit(
            features,
            model,
            metrics,
            settings,
            test_fold=test_fold or None,
            epochs=epochs or None,
            checkpoints=checkpoints,
            stop=stop,
            finish=finish,
            log=log,
        )


if __name__ == "__main__":
    main(train)
