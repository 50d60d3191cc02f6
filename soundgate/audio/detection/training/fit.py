"""Fit a detector to a data set and write its ``model/`` folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from soundgate.audio.detection import network
from soundgate.audio.detection.training.clips import TRAIN, VAL
from soundgate.audio.detection.training.plan import ACCURACY, Plan
from soundgate.audio.detection.training.system import Detection
from soundgate.audio.formats import model as model_folder
from soundgate.audio.learning import loop
from soundgate.audio.learning.log import TrainingLog
from soundgate.audio.learning.system import never
from soundgate.audio.metrics.rounding import decimal
from soundgate.audio.networks.models import parameter_count, to_device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soundgate.audio.config.spot import SpotConfig

_SIDES = {TRAIN: "training", VAL: "validation"}


@dataclass(frozen=True)
class Asked:
    """What a training is asked besides its config."""

    name: str = ""
    """What the model is called."""
    epochs: int | None = None
    """Passes over the training clips; None takes ``config.training.epochs``."""
    classes: int | None = None
    """How many classes the data must have; None: any number."""
    workers: int = 1
    """Threads that decode."""
    checkpoints: Path | None = None
    """Folder of the checkpoint; None keeps none."""
    stop: Callable[[], bool] = never
    """Asked between batches: the epoch under way is thrown away, and resumed another time."""
    finish: Callable[[], bool] = never
    """Asked after every epoch: no further one is begun, and what was learnt is written."""
    log: Callable[[int, Mapping[str, float]], None] | None = None
    """Called with the number and the figures of each finished epoch, in the first process."""


class _Row(NamedTuple):
    """A clip as a model's list of clips names it: each is a file of its own."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


def fit(
    dataset: Path, model: Path, metrics: Path, config: SpotConfig, asked: Asked | None = None
) -> None:
    """Train, keep the best epoch, write ``model/`` and ``metrics/``.

    Under ``torchrun`` (``WORLD_SIZE`` above 1) every process calls this alike; each batch is shared
    among them, and the first process alone prints and writes.

    Args:
        dataset: folder of clips, see ``formats.datasets.variant``.
        model: where the model goes.
        metrics: where ``history.jsonl`` and TensorBoard's events go.
        config: the user config.
        asked: epochs, checkpoints, who asks to stop.

    Raises:
        Stopped: ``asked.stop`` was true.
        DataError: the data set is damaged or lacks a class.
        ConfigError: the config asks for what does not exist, or the loss left the numbers.
    """
    asked = asked or Asked()
    with loop.session(deterministic=config.general.deterministic_ops) as group:
        torch.manual_seed(config.general.global_seed)
        plan = Plan(dataset, config, asked.epochs, asked.workers)
        plan.check_classes(asked.classes)
        fresh, origin = network.fresh(config, plan.classes)
        plan.pretrained = origin.sha256 if origin else ""
        detector = to_device(fresh, group.device)
        if group.writes:
            print(_said(plan), flush=True)
        learnt = loop.train(
            Detection(plan, detector, group),
            plan.recipe(),
            group=group,
            log=TrainingLog(metrics if group.writes else None, asked.log),
            checkpoints=asked.checkpoints,
            stop=asked.stop,
            finish=asked.finish,
        )
        if group.writes:
            about = network.described(detector.settings, plan.classes).model_copy(
                update={
                    "name": asked.name,
                    "seed": plan.seed,
                    "epochs": len(learnt.history),
                    "best_epoch": learnt.epoch,
                    "parameters": parameter_count(detector),
                    "pretrained": origin,
                }
            )
            sides = [
                (_Row(entry.fn), _SIDES.get(entry.split, "test")) for entry in plan.clips.entries
            ]
            model_folder.write(model, about, learnt.weights, sides)
            if ACCURACY.figure in learnt.figures:
                accuracy = decimal(learnt.figures[ACCURACY.figure])
                print(f"Accuracy on validation set : {accuracy}", flush=True)
        group.share(None)  # nobody leaves before the model is written


def _said(plan: Plan) -> str:
    """What is learnt from, for the log."""
    counts = dict.fromkeys(plan.classes, 0)
    for clip in plan.training:
        counts[clip.entry.class_name] += 1
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"training clips: {said}; {len(plan.validation)} validation clips"
