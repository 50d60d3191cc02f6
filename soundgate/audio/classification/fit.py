"""Fit a classifier to the training clips of a ``features/`` folder.

An epoch takes ``crops_per_clip`` patches of every training clip, each cut at a random place. What
an epoch draws depends on the seed and its number alone, and a checkpoint follows every epoch: a
training that was killed goes on where its last whole epoch ended and gives the same weights, bit
for bit on a CPU with the same number of threads.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from soundgate.audio.classification import augmentation, validation
from soundgate.audio.classification.batches import FrameBank, Sampler, gathered
from soundgate.audio.classification.plan import Outcome, Plan
from soundgate.audio.classification.transfer import linear_probe, pretrained, probe_training
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.learning import (
    checkpoints,
    distributed,
    optimisation,
    reproducibility,
)
from soundgate.audio.learning import (
    log as training_log,
)
from soundgate.audio.networks import models
from soundgate.errors import ConfigError, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from soundgate.audio.classification.transfer.pretrained import Beginning
    from soundgate.audio.config import UserConfig
    from soundgate.audio.learning.distributed import Group

    Row = dict[str, float]

# Batches between two looks at the other processes' wish to stop: each look waits for them all.
_STOP_INTERVAL = 20


def never() -> bool:
    """No wish to stop."""
    return False


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
        log: called with the number and the figures of each finished epoch, from 1, in the first
            process; epochs restored from a checkpoint are not repeated.

    Raises:
        Stopped: ``stop`` was true.
        DataError: the features are damaged or cannot be divided.
        ConfigError: the config asks for what does not exist, or the loss left the numbers.
    """
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(distributed.joined())
        stack.enter_context(reproducibility.own_random_numbers(group.device))
        stack.enter_context(
            reproducibility.deterministic_kernels(wanted=config.general.deterministic_ops)
        )
        plan = Plan(read_features(features), config, test_fold, epochs)
        diary = training_log.Diary(metrics if group.writes else None, log)
        beginning = pretrained.begin(plan, group)
        train = probe_training.every_round if plan.frozen else _every_epoch
        outcome = train(plan, beginning, group, diary, checkpoints, stop)
        if group.writes:
            model_folder.write(model, outcome.description, outcome.weights, plan.split)
            validation.announce(outcome.figures)
        group.share(None)  # nobody leaves before the model is written


def _every_epoch(
    plan: Plan,
    beginning: Beginning,
    group: Group,
    diary: training_log.Diary,
    folder: Path | None,
    stop: Callable[[], bool],
) -> Outcome:
    """Every epoch that is left; what there is to write afterwards."""
    trainer = _Trainer(plan, beginning, group, folder)
    if beginning.start.origin and not beginning.start.head and not trainer.history:
        head = probe_training.fitted_head(plan, beginning, group, stop)
        linear_probe.install(trainer.network, head)
    with diary:
        diary.repeat(trainer.history)
        while not trainer.finished:
            diary.add(trainer.epoch(stop))
            trainer.keep()
    weights, best = trainer.kept()
    training = plan.origin | beginning.start.told
    training |= {"epochs": len(trainer.history), "best_epoch": best}
    training["parameters"] = models.parameter_count(trainer.network)
    description = plan.description(trainer.classifier.standardisation, training)
    return Outcome(description, weights, trainer.history[best - 1])


class _Trainer:
    """A network and what changes it from step to step."""

    def __init__(self, plan: Plan, beginning: Beginning, group: Group, folder: Path | None) -> None:
        self._plan, self._group, self._folder = plan, group, folder
        self._training = plan.config.training
        info, features = plan.features.info, plan.features
        if self._training.batch_size % group.world:
            raise ConfigError(
                f"training.batch_size {self._training.batch_size} cannot be shared among "
                f"{group.world} processes; make it a multiple"
            )
        self.classifier, self._measured = beginning.classifier, beginning.measured
        self.network = self.classifier.network
        self._wrapped = group.wrap(self.network)
        self._optimizer = optimisation.optimizer(self.network, self._training)
        validated = bool(plan.validation)
        self._plateau = optimisation.plateau(self._training, self._optimizer, validated=validated)
        optimisation.check_early_stopping(
            self._training.callbacks.early_stopping, validated=validated
        )
        self._format = optimisation.number_format(self._training.precision, group.device)
        self._scaler = torch.amp.grad_scaler.GradScaler(
            group.device.type, enabled=self._format is torch.float16
        )
        self._sampler = Sampler(
            plan.clips,
            info.feature_extraction.patch_length,
            self._training.batch_size,
            self._training.crops_per_clip,
            plan.seed,
            group.rank,
            group.world,
        )
        self._bank = FrameBank(features.frames, group.device)
        self._targets = torch.as_tensor(plan.targets, dtype=torch.float32, device=group.device)
        self.history: list[Row] = []
        self._best: dict[str, Tensor] | None = None
        self._best_epoch = 0
        self._fingerprint = plan.fingerprint(self.classifier.standardisation, group.world)
        self._restore()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or early stopping asks to end here."""
        return len(self.history) >= self._plan.epochs or optimisation.stops_early(
            self._training.callbacks.early_stopping, self.history
        )

    def epoch(self, stop: Callable[[], bool]) -> Row:
        """One epoch and its figures, which are also appended to ``history``."""
        start = time.monotonic()
        number = len(self.history)
        row: Row = {"epoch": number + 1, **self._train(number, stop)}
        if self._plan.validation:
            self._group.same_buffers(self.network)
            row |= validation.figures(
                self.classifier,
                self._plan.features,
                self._plan.validation,
                self._group,
                self._plan.config.general.batch_size,
            )
        if not math.isfinite(row["loss"]):
            raise ConfigError(
                f"training.learning_rate: the loss of epoch {number + 1} is {row['loss']}; lower it"
            )
        self.history.append(row)
        if self._plateau is not None:
            assert self._training.callbacks.reduce_lr_on_plateau is not None
            monitor = self._training.callbacks.reduce_lr_on_plateau.monitor
            self._plateau.step(optimisation.monitored(monitor, row))
        if self._is_best():
            self._best_epoch = number + 1
            state = self.network.state_dict()
            self._best = {name: value.detach().clone() for name, value in state.items()}
        if self._group.writes:
            print(
                training_log.sentence(row, self._plan.epochs, time.monotonic() - start), flush=True
            )
        return row

    def keep(self) -> None:
        """Write the checkpoint of the epoch that has just ended."""
        if self._folder is None or not self._group.writes:
            return
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "plateau": self._plateau.state_dict() if self._plateau else None,
            "scaler": self._scaler.state_dict(),
            "history": self.history,
            "best": self._best,
            "best_epoch": self._best_epoch,
        }
        checkpoints.write(self._folder, state, self._fingerprint)

    def kept(self) -> tuple[dict[str, Tensor], int]:
        """The weights to write, and the number of the epoch they are of, from 1."""
        if self._best is None:
            return self.network.state_dict(), len(self.history)
        return self._best, self._best_epoch

    def _restore(self) -> None:
        if self._folder is None:
            return
        found = checkpoints.read(self._folder, self._fingerprint) if self._group.writes else None
        state = self._group.share(found)
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._plateau is not None:
            self._plateau.load_state_dict(state["plateau"])
        self._scaler.load_state_dict(state["scaler"])
        self.history = state["history"]
        self._best, self._best_epoch = state["best"], state["best_epoch"]
        if self._group.writes:
            print(f"resumed after epoch {len(self.history)}", flush=True)

    def _is_best(self) -> bool:
        """Whether the last epoch of ``history`` is the one to keep so far."""
        stopping = self._training.callbacks.early_stopping
        if not self._plan.validation or (stopping and not stopping.restore_best_weights):
            return False

        def merit(row: Row) -> tuple[float, float]:
            figures = row["validation_clip_accuracy"], -row["validation_loss"]
            return figures[::-1] if stopping and stopping.monitor == "val_loss" else figures

        return self._best is None or merit(self.history[-1]) > merit(
            self.history[self._best_epoch - 1]
        )

    def _train(self, number: int, stop: Callable[[], bool]) -> Row:
        pretrained.train_mode(self._wrapped, self._training)
        rng = np.random.default_rng([self._plan.seed, number, 1 + self._group.rank])
        torch.manual_seed(int(rng.integers(2**63)))  # dropout
        # Summed where the network is: reading a number back would wait for the accelerator.
        sums = torch.zeros(3, dtype=torch.float64, device=self._group.device)
        steps = self._sampler.batches
        for step, (chosen, patches) in enumerate(gathered(self._bank, self._sampler.epoch(number))):
            if self._asked_to_stop(step, stop):
                kept = (
                    f"epochs up to {number} are kept" if self._folder and number else "none is kept"
                )
                raise Stopped(f"training stopped in epoch {number + 1}; {kept}")
            self._set_rate(number * steps + step)
            loss, right = self._step(chosen, patches, rng)
            sums += torch.stack([loss * len(chosen), right, torch.ones_like(right) * len(chosen)])
        loss_sum, right_sum, count = self._group.total(sums).tolist()
        return {
            "loss": loss_sum / count,
            "learning_rate": self._optimizer.param_groups[0]["lr"],
            "training_accuracy": right_sum / count,
        }

    def _step(
        self, chosen: np.ndarray[Any, Any], patches: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        config = self._plan.config.data_augmentation
        targets = self._targets[torch.as_tensor(chosen, device=self._group.device)]
        patches = augmentation.on_features(patches, config, rng)
        # What augmentation does is in units of the data, whatever the network is fed.
        patches = self._measured.apply(patches)
        patches, targets = augmentation.on_standardised(patches, targets, config, rng)
        if self.classifier.standardisation is not self._measured:
            patches = self.classifier.standardisation.apply(self._measured.undo(patches))
        with torch.autocast(
            self._group.device.type, dtype=self._format, enabled=self._format is not None
        ):
            logits = self._wrapped(patches.unsqueeze(1))
        loss = self._loss(logits.float(), targets)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self._training.optimizer.clipnorm is not None:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(
                self.network.parameters(), self._training.optimizer.clipnorm
            )
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss.detach().double(), self._right(logits.detach(), targets).double()

    def _loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing = self._training.label_smoothing
        if self.classifier.multi_label:
            smoothed = targets * (1.0 - smoothing) + smoothing / 2
            return functional.binary_cross_entropy_with_logits(logits, smoothed)
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)

    def _right(self, logits: Tensor, targets: Tensor) -> Tensor:
        """How many patches are classified right; of a blend, as the larger share is labelled."""
        if self.classifier.multi_label:
            return ((logits > 0) == (targets >= 0.5)).all(1).sum()
        return (logits.argmax(1) == targets.argmax(1)).sum()

    def _set_rate(self, step: int) -> None:
        steps = self._sampler.batches * self._plan.epochs
        rate = optimisation.learning_rate(self._training, step, steps)
        if rate is not None:
            for group in self._optimizer.param_groups:
                group["lr"] = rate

    def _asked_to_stop(self, step: int, stop: Callable[[], bool]) -> bool:
        if self._group.world == 1:
            return stop()
        return step % _STOP_INTERVAL == 0 and self._group.any(stop())
