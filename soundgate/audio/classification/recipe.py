"""From the user config's section ``training`` to what the training loop goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.learning.recipe import (
    EarlyStopping,
    Monitor,
    Optimiser,
    Plateau,
    Recipe,
    Schedule,
)
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.config import Training

CLIP_ACCURACY = Monitor("validation_clip_accuracy", rises=True)
LOSS = Monitor("validation_loss", rises=False)
_KERAS = {"val_accuracy": CLIP_ACCURACY, "val_loss": LOSS}


def recipe(training: Training, *, epochs: int, seed: int, validated: bool) -> Recipe:
    """The loop's numbers.

    Args:
        training: the section.
        epochs: goes before the section's own.
        seed: of everything random.
        validated: whether there are validation clips to watch.

    Raises:
        ConfigError: a callback stands beside another schedule, or there is nothing to watch.
    """
    by_plateau = training.schedule == "plateau"
    schedule = Schedule(
        name="constant" if by_plateau else training.schedule,
        warmup_fraction=training.warmup_fraction,
    )
    return Recipe(
        epochs=epochs,
        seed=seed,
        optimiser=_optimiser(training),
        schedule=schedule,
        plateau=_plateau(training, validated=validated),
        early_stopping=_early_stopping(training, validated=validated),
        precision=training.precision,
        # Running means that follow a small set of clips would undo what pretrained layers learnt.
        fixed_statistics=("*",) if training.model.pretrained_weights else (),
    )


def merit(training: Training, *, validated: bool) -> tuple[Monitor, ...]:
    """Which epoch is kept: by clip accuracy and then loss, or by what early stopping watches."""
    stopping = training.callbacks.early_stopping
    if not validated or (stopping and not stopping.restore_best_weights):
        return ()
    if stopping and stopping.monitor == "val_loss":
        return (LOSS, CLIP_ACCURACY)
    return (CLIP_ACCURACY, LOSS)


def _optimiser(training: Training) -> Optimiser:
    spec = training.optimizer
    return Optimiser(
        name=spec.name,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        momentum=spec.momentum,
        nesterov=spec.nesterov,
        betas=(spec.beta_1, spec.beta_2),
        epsilon=spec.epsilon,
        clip_norm=spec.clipnorm,
    )


def _plateau(training: Training, *, validated: bool) -> Plateau | None:
    callback = training.callbacks.reduce_lr_on_plateau
    if training.schedule != "plateau":
        if callback is not None:
            raise ConfigError(
                f"training.schedule is {training.schedule!r}, which ignores callbacks."
                "ReduceLROnPlateau; set schedule to plateau, or remove the callback"
            )
        return None
    if callback is None:
        raise ConfigError("training.schedule: plateau needs callbacks.ReduceLROnPlateau")
    _require_validation("ReduceLROnPlateau", validated=validated)
    return Plateau(
        monitor=_monitor(callback.monitor, callback.mode),
        factor=callback.factor,
        patience=callback.patience,
        min_delta=callback.min_delta,
        cooldown=callback.cooldown,
        min_learning_rate=callback.min_lr,
    )


def _early_stopping(training: Training, *, validated: bool) -> EarlyStopping | None:
    callback = training.callbacks.early_stopping
    if callback is None:
        return None
    _require_validation("EarlyStopping", validated=validated)
    return EarlyStopping(
        monitor=_monitor(callback.monitor, callback.mode),
        patience=callback.patience,
        min_delta=callback.min_delta,
        start_from_epoch=callback.start_from_epoch,
    )


def _monitor(name: str, mode: str) -> Monitor:
    """A figure in Keras's spelling; accuracies are of clips."""
    known = _KERAS[name]
    return known if mode == "auto" else Monitor(known.figure, rises=mode == "max")


def _require_validation(callback: str, *, validated: bool) -> None:
    if not validated:
        raise ConfigError(
            f"training.callbacks.{callback} needs validation clips; set "
            "dataset.validation_split above 0"
        )
