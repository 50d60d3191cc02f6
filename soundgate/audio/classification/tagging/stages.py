"""The stages of a tagger's training: the head alone, then head and (part of) the backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.classification.tagging.validation import HAMMING, LOSS
from soundgate.audio.learning.recipe import (
    EarlyStopping,
    Monitor,
    Optimiser,
    Plateau,
    Recipe,
    Schedule,
)
from soundgate.audio.networks.parts import BACKBONE, frozen_parts
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.classification.tagging.plan import Plan
    from soundgate.audio.config.tagging import Training
    from soundgate.audio.networks.tagger import Tagger

HEAD, WHOLE = "head", "whole"

_FALLING: Final = frozenset({HAMMING, LOSS, "loss"})
# Share of the second stage in which one-cycle rises, as torch's own has it.
_RISE: Final = 0.3


@dataclass(frozen=True)
class Stage:
    """A stage: its name, what the loop goes by, and which of its epochs is kept."""

    name: str
    recipe: Recipe
    merit: tuple[Monitor, ...]


def stages(plan: Plan, tagger: Tagger) -> list[Stage]:
    """The stages in their order.

    Raises:
        ConfigError: ``head_after`` or ``backbone_after`` names no part of the network.
    """
    training = plan.config.training
    watched = _watched(training) if plan.validation else ()
    found = []
    if plan.head_epochs:
        frozen = frozen_parts(tagger, training.head_after or HEAD)
        found.append(Stage(HEAD, _head(plan, frozen), watched))
    frozen = frozen_parts(tagger, training.backbone_after or None)
    return [*found, Stage(WHOLE, _whole(plan, frozen, watched), watched)]


def _head(plan: Plan, frozen: tuple[str, ...]) -> Recipe:
    """The rate goes from ``lr_warmup`` to ``lr`` by one factor a step."""
    training = plan.config.training
    highest = max(training.lr_warmup, training.lr)
    course = Schedule(
        name="exponential", first=training.lr_warmup / highest, last=training.lr / highest
    )
    return Recipe(
        epochs=plan.head_epochs,
        seed=plan.seed,
        optimiser=_optimiser(training, highest),
        schedule=course,
        precision=training.precision,
        accumulate=training.accumulate,
        frozen=frozen,
    )


def _whole(plan: Plan, frozen: tuple[str, ...], watched: tuple[Monitor, ...]) -> Recipe:
    training = plan.config.training
    highest = training.highest_rate
    patience = training.early_stopping_metric_patience
    return Recipe(
        epochs=plan.epochs - plan.head_epochs,
        seed=plan.seed + 1,  # not the draws of the first stage again
        optimiser=_optimiser(training, highest),
        schedule=_course(training, highest),
        plateau=_plateau(training, watched),
        early_stopping=EarlyStopping(monitor=watched[0], patience=patience) if watched else None,
        precision=training.precision,
        accumulate=training.accumulate,
        frozen=frozen,
        fixed_statistics=() if training.finetune_train_bn or not plan.pretrained else (BACKBONE,),
    )


def _optimiser(training: Training, highest: float) -> Optimiser:
    return Optimiser(
        name=training.optimizer.lower(),
        learning_rate=highest,
        weight_decay=training.weight_decay,
    )


def _course(training: Training, highest: float) -> Schedule:
    if training.scheduler in ("ONECYCLE", "AUTO_LR"):
        first = min(training.lr / highest, 1.0)
        return Schedule(name="one_cycle", warmup_fraction=_RISE, first=first, last=first * 1e-4)
    return Schedule(name="cosine" if training.scheduler == "COSINEANNEALING" else "constant")


def _plateau(training: Training, watched: tuple[Monitor, ...]) -> Plateau | None:
    if training.scheduler != "PLATEAU":
        return None
    if not watched:
        raise ConfigError(
            "training.scheduler: PLATEAU watches validation clips, and there are none; give "
            "val_paths or choose another scheduler"
        )
    return Plateau(monitor=watched[0], factor=0.5, patience=training.plateau_patience)


def _watched(training: Training) -> tuple[Monitor, ...]:
    figure = training.figure
    falls = figure in _FALLING if training.metric_mode is None else training.metric_mode == "MIN"
    others = [Monitor(LOSS, rises=False)] if figure != LOSS else []
    return (Monitor(figure, rises=not falls), *others)
