"""Train a classifier on the embeddings of a frozen encoder.

Reads   embeddings/   embeddings and classes of segments, of which ``train`` is learnt
Writes  model/        weights.safetensors, model.json, split.jsonl
        metrics/      history.jsonl, a row an epoch or a round; tensorboard/ where there are epochs

``es`` says when to stop. A killed attempt continues from its checkpoint, with the result of an
undisturbed one. The segments of ``valid`` and ``test`` are left alone.
"""

from __future__ import annotations

from contextlib import nullcontext

from soundgate.step import (
    CheckpointPath,
    InputPath,
    OutputPath,
    cpus,
    graceful_finish,
    graceful_stop,
    main,
)


def train_head(
    embeddings: InputPath,
    model: OutputPath,
    metrics: OutputPath,
    checkpoints: CheckpointPath | None = None,
    *,
    head: str,
    settings: list[str] | None = None,
    variant: str = "",
    epochs: int = 150,
    patience: int = 10,
    batch_size: int = 128,
    seed: int = 0,
) -> None:
    """Fit a head; of several epochs keep the one with the best accuracy on ``es``.

    Args:
        embeddings: what ``merge`` wrote.
        model: the head.
        metrics: how the training went.
        checkpoints: where a killed attempt left its work.
        head: ``ridge``, ``linear``, ``mlp`` or ``xgboost``.
        settings: its settings as ``KEY=VALUE``; what is not named has its default.
        variant: name of the head among those that are tried.
        epochs: at most.
        patience: epochs, or rounds, without a better accuracy on ``es``.
        batch_size: segments of a step.
        seed: of the first weights and of the order of the segments.
    """
    from soundgate.audio.classification.heads.fit import Asked, fit
    from soundgate.audio.formats.models.embedding_classifier import head_settings
    from soundgate.registry.service.epochs import epoch_log

    chosen = head_settings(head, settings or [])
    # what has no epochs has no curve to track, and a grid of such heads takes a second each
    tracked = epoch_log(chosen.as_json()) if head in ("linear", "mlp") else nullcontext(None)
    with graceful_stop() as stop, graceful_finish() as finish, tracked as log:
        asked = Asked(
            name=variant or head,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            seed=seed,
            threads=cpus(),
            checkpoints=checkpoints,
            stop=stop,
            finish=finish,
            log=log,
        )
        fit(embeddings, model, metrics, chosen, asked)


if __name__ == "__main__":
    main(train_head)
