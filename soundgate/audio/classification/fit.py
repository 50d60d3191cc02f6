"""Fit a classifier to the training clips of a ``features/`` folder.

An epoch takes ``crops_per_clip`` patches of every training clip, each cut at a random place. What
an epoch draws depends on the seed and its number alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.classification import recipe, validation
from soundgate.audio.classification.plan import Outcome, Plan
from soundgate.audio.classification.system import PatchClassification
from soundgate.audio.classification.transfer import pretrained, probe_training
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.learning import loop
from soundgate.audio.learning.log import EPOCH, ROUND, TrainingLog
from soundgate.audio.learning.system import never
from soundgate.audio.networks import models

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soundgate.audio.classification.transfer.pretrained import Initialisation
    from soundgate.audio.config import UserConfig
    from soundgate.audio.learning.distributed import Group


def fit(  # noqa: PLR0913
    features: Path,
    model: Path,
    metrics: Path,
    config: UserConfig,
    *,
    test_fold: int | None = None,
    epochs: int | None = None,
    checkpoints: Path | None = None,
    stop: Callable[[], bool] = never,
    finish: Callable[[], bool] = never,
    log: Callable[[int, Mapping[str, float]], None] | None = None,
) -> None:
    """Train, keep the best epoch, write ``model/`` and ``metrics/``.

    The best epoch has the highest clip accuracy on the validation clips, of equal ones the lowest
    loss; without validation clips the last epoch is kept.

    Under ``torchrun`` (``WORLD_SIZE`` above 1) every process calls this alike; each batch is shared
    among them, and the first process alone prints and writes.

    Args:
        features: folder that preprocessing wrote.
        model: where the model goes, see ``model_folder``.
        metrics: where ``history.jsonl`` and TensorBoard's events go.
        config: sections ``training``, ``data_augmentation``, ``dataset`` and ``general``.
        test_fold: fold left out for evaluation; None takes ``config.dataset.test_fold``.
        epochs: None takes ``config.training.epochs``.
        checkpoints: folder of the checkpoint; None keeps none.
        stop: asked between batches. The epoch under way is then thrown away, and the checkpoint of
            the one before it stays.
        finish: asked after every epoch: no further one is begun, and what was learnt is written.
            A classifier on frozen layers is fitted to its end.
        log: called with the number and the figures of each finished epoch, from 1, in the first
            process; epochs restored from a checkpoint are not repeated.

    Raises:
        Stopped: ``stop`` was true.
        DataError: the features are damaged or cannot be divided.
        ConfigError: the config asks for what does not exist, or the loss left the numbers.
    """
    with loop.session(deterministic=config.general.deterministic_ops) as group:
        plan = Plan(read_features(features), config, test_fold, epochs)
        initial = pretrained.initialise(plan, group)
        if plan.frozen and group.writes:
            _say_what_has_no_effect(config, epochs)
        written = TrainingLog(
            metrics if group.writes else None, log, ROUND if plan.frozen else EPOCH
        )
        if plan.frozen:
            outcome = probe_training.every_round(plan, initial, group, written, checkpoints, stop)
        else:
            asked: dict[str, Callable[[], bool]] = {"stop": stop, "finish": finish}
            outcome = _every_epoch(plan, initial, group, written, checkpoints=checkpoints, **asked)
        if group.writes:
            model_folder.write(model, outcome.description, outcome.weights, plan.split)
            validation.announce(outcome.figures)
        group.share(None)  # nobody leaves before the model is written


def _every_epoch(  # noqa: PLR0913
    plan: Plan,
    initial: Initialisation,
    group: Group,
    log: TrainingLog,
    *,
    checkpoints: Path | None,
    stop: Callable[[], bool],
    finish: Callable[[], bool],
) -> Outcome:
    """Every epoch that is left; what there is to write afterwards."""
    training = plan.config.training
    numbers = recipe.recipe(
        training, epochs=plan.epochs, seed=plan.seed, validated=bool(plan.validation)
    )
    system = PatchClassification(plan, initial, group, stop)
    learnt = loop.train(
        system,
        numbers,
        group=group,
        log=log,
        checkpoints=checkpoints,
        stop=stop,
        finish=finish,
    )
    record = plan.origin | initial.start.record
    record |= {"epochs": len(learnt.history), "best_epoch": learnt.epoch}
    record["parameters"] = models.parameter_count(system.network)
    description = plan.description(initial.classifier.standardisation, record)
    return Outcome(description, learnt.weights, learnt.figures)


def _say_what_has_no_effect(config: UserConfig, epochs: int | None) -> None:
    if epochs is not None or "epochs" in config.training.model_fields_set:
        print(
            "training.epochs has no effect: the pretrained layers are frozen and the classifier is "
            "fitted until it converges; set training.fine_tune to train for epochs",
            flush=True,
        )
