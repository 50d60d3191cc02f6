"""Fit a tagger to the training clips of a ``waveforms/`` folder, stage after stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from soundgate.audio.classification.tagging import network, validation
from soundgate.audio.classification.tagging.plan import Plan
from soundgate.audio.classification.tagging.stages import stages
from soundgate.audio.classification.tagging.system import Tagging, scorer_of
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.models.tagger import TaggerFile
from soundgate.audio.learning import loop
from soundgate.audio.learning.log import TrainingLog
from soundgate.audio.learning.rates.range_test import draw, range_test
from soundgate.audio.learning.system import never
from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.networks.models import parameter_count, to_device
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soundgate.audio.config.tagging import TaggingConfig
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.system import Learnt, Row
    from soundgate.audio.networks.tagger import Tagger


PLOT = "lr_range_test.png"


@dataclass(frozen=True)
class Asked:
    """What a training is asked besides its config."""

    epochs: int | None = None
    """Passes over the training clips; None takes ``config.training.epochs``."""
    checkpoints: Path | None = None
    """Folder of the checkpoints, one below it for each stage; None keeps none."""
    stop: Callable[[], bool] = never
    """Asked between batches: the epoch under way is thrown away, and resumed another time."""
    finish: Callable[[], bool] = never
    """Asked after every epoch: no further one is begun, and what was learnt is written."""
    plot: Path | None = None
    """Where the picture of a range test goes after which the training ends; None: nowhere."""
    log: Callable[[int, Mapping[str, float]], None] | None = None
    """Called with the number and the figures of each finished epoch, in the first process."""


def fit(
    waveforms: Path,
    model: Path,
    metrics: Path,
    config: TaggingConfig,
    asked: Asked | None = None,
) -> None:
    """Train, keep the best epoch, choose thresholds, write ``model/`` and ``metrics/``.

    Under ``torchrun`` (``WORLD_SIZE`` above 1) every process calls this alike; each batch is shared
    among them, and the first process alone prints and writes.

    Args:
        waveforms: folder that preparing wrote.
        model: where the model goes.
        metrics: where ``history.jsonl`` and TensorBoard's events go.
        config: the user config, its sections on evaluation and export apart.
        asked: epochs, checkpoints, who asks to stop.

    Raises:
        Stopped: ``asked.stop`` was true.
        DataError: the waveforms are damaged, or there is nothing to train on.
        ConfigError: the config asks for what does not exist, or the loss left the numbers.
    """
    asked = asked or Asked()
    with loop.session(deterministic=config.general.deterministic_ops) as group:
        torch.manual_seed(config.general.global_seed)
        plan = Plan(waveforms, config, asked.epochs)
        tagger = to_device(network.fresh(config, plan.clips), group.device)
        plan.pretrained = tagger.origin.sha256 if tagger.origin else ""
        _try_rates(plan, tagger, group, metrics, asked.plot)
        log = TrainingLog(metrics if group.writes else None, asked.log)
        learnt, lengths = _every_stage(plan, tagger, group, log, asked)
        description = _described(plan, tagger, group, learnt, lengths)
        if group.writes:
            split = [(row, row.split) for row in plan.clips.rows]
            network.write_encoder(model, tagger)
            model_folder.write(model, description, learnt.weights, split)
            validation.announce(learnt.figures)
        group.share(None)  # nobody leaves before the model is written


def _try_rates(plan: Plan, tagger: Tagger, group: Group, metrics: Path, plot: Path | None) -> None:
    """The range test, where it is asked for, on what learns in the last stage.

    Raises:
        ConfigError: the training is to end with it, or the loss falls at no rate.
    """
    wanted = plan.config.training.range_test
    if wanted == "off":
        return
    stage = stages(plan, tagger)[-1]
    system = Tagging(plan, tagger, stage.name, stage.merit, group)
    found = range_test(system, stage.recipe, group=group)
    if wanted == "end":
        if group.writes and plot:
            draw(found, plot)
        raise ConfigError(
            f"training.lr_range_test: suggests {found.suggested:.2e} as highest learning rate, and "
            f"the training ends here, as asked{f'; see {plot}' if plot else ''}"
        )
    if group.writes:
        metrics.mkdir(parents=True, exist_ok=True)
        draw(found, metrics / PLOT)
        print(f"range test: {found.suggested:.2e} as highest learning rate", flush=True)
    training = plan.config.training.with_highest_rate(found.suggested)
    plan.config = plan.config.model_copy(update={"training": training})


def _every_stage(
    plan: Plan, tagger: Tagger, group: Group, log: TrainingLog, asked: Asked
) -> tuple[Learnt, dict[str, int]]:
    """Train every stage; each goes on from the best epoch of the one before."""
    rows: list[Row] = []
    lengths: dict[str, int] = {}
    learnt = None
    for stage in stages(plan, tagger):
        tagger.requires_grad_(True)
        learnt = loop.train(
            Tagging(plan, tagger, stage.name, stage.merit, group),
            stage.recipe,
            group=group,
            log=log,
            checkpoints=asked.checkpoints / stage.name if asked.checkpoints else None,
            stop=asked.stop,
            finish=asked.finish,
            earlier=rows,
        )
        lengths[stage.name] = len(learnt.history) - len(rows)
        rows = learnt.history
        tagger.load_state_dict(learnt.weights)
        if group.any(asked.finish()):
            break
    assert learnt is not None
    return learnt, lengths


def _described(
    plan: Plan, tagger: Tagger, group: Group, learnt: Learnt, lengths: dict[str, int]
) -> TaggerFile:
    """``model.json``, with thresholds chosen on the validation clips."""
    labels = plan.clips.labels
    front_end, made_of = network.record_of(tagger)
    values, undecided = _thresholds(plan, tagger, group)
    return TaggerFile(
        architecture=made_of.network,
        classes=labels,
        sample_rate_hz=plan.clips.sample_rate_hz,
        front_end=front_end,
        network=made_of,
        chunks=plan.chunks,
        thresholds=dict(zip(labels, values, strict=True)),
        undecided=undecided,
        families=plan.named_families(),
        seed=plan.seed,
        stages=lengths,
        epochs=len(learnt.history),
        best_epoch=learnt.epoch,
        parameters=parameter_count(tagger),
        pretrained=network.pretrained_of(tagger),
    )


def _thresholds(
    plan: Plan, tagger: Tagger, group: Group
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """A threshold a label, and the labels that validation could not decide."""
    labels = plan.clips.labels
    if not plan.validation:
        return (THRESHOLD,) * len(labels), labels
    scorer = scorer_of(plan, tagger, group)
    batch = plan.config.general.batch_size
    scored = validation.score(scorer, plan.clips, plan.validation, batch, group)
    chosen = validation.chosen_thresholds(scored)
    return chosen.values, tuple(labels[k] for k in chosen.defaults)
