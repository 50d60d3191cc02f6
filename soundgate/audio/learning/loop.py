"""The one training loop: it knows steps and epochs, and nothing of what is learnt.

The system gives batches, a loss and a validation (``system.System``), the recipe gives numbers
(``recipe.Recipe``). A checkpoint follows every epoch: a training that was killed at any step goes
on where its last whole epoch ended and gives the same weights, bit for bit on a CPU with the same
number of threads.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import torch

from soundgate.audio.learning import (
    checkpoints,
    distributed,
    groups,
    monitoring,
    optimisation,
    reproducibility,
)
from soundgate.audio.learning.log import EpochMeans, Pace, sentence
from soundgate.audio.learning.system import Batch, Learnt, Loss, Row, Step, System, never
from soundgate.errors import ConfigError, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.log import TrainingLog
    from soundgate.audio.learning.recipe import Recipe

# Batches between two looks at the other processes' wish to stop: each look waits for them all.
_STOP_INTERVAL = 20


@contextlib.contextmanager
def session(*, deterministic: bool = False) -> Iterator[Group]:
    """Join the processes of this training; leave torch's random numbers and settings as they were.

    The network must be made inside, so that every process draws the same weights from one seed.
    """
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(distributed.joined())
        stack.enter_context(reproducibility.own_random_numbers(group.device))
        stack.enter_context(reproducibility.deterministic_kernels(wanted=deterministic))
        yield group


def train(  # noqa: PLR0913 - what is trained, how, and who is asked and told
    system: System[Batch],
    recipe: Recipe,
    *,
    group: Group,
    log: TrainingLog,
    checkpoints: Path | None = None,
    stop: Callable[[], bool] = never,
    finish: Callable[[], bool] = never,
    earlier: Sequence[Row] = (),
) -> Learnt:
    """Train ``system`` as ``recipe`` says, from the checkpoint where there is one.

    Every process of ``group`` calls this alike; the first alone prints and writes.

    Args:
        system: what learns.
        recipe: how.
        group: this process among those that train together, see ``session``.
        log: where the epochs' figures go.
        checkpoints: folder of the checkpoint; None keeps none.
        stop: asked between batches. The epoch under way is then thrown away, and the checkpoint of
            the one before it stays.
        finish: asked after every epoch; once it is true no further epoch is begun, and what was
            learnt so far is the result.
        earlier: rows of the stages before this one: their epochs are counted and logged first.

    Raises:
        Stopped: ``stop`` was true.
        ConfigError: the recipe asks for what does not exist, or the loss left the numbers.
    """
    loop = _Loop(system, recipe, group, checkpoints, earlier)
    with log:
        log.repeat([*earlier, *loop.history])
        while not loop.finished:
            log.add(loop.epoch(stop))
            loop.keep()
            if group.any(finish()):
                break
    return loop.learnt()


def steps(system: System[Batch], recipe: Recipe, *, group: Group) -> Iterator[tuple[float, float]]:
    """Train without validation, log or checkpoint; yield rate and loss of each step.

    The loss is the mean over processes of the last batch of the step.

    Raises:
        ConfigError: the recipe asks for what does not exist.
    """
    loop = _Loop(system, recipe, group, None, ())
    for number in range(recipe.epochs):
        yield from loop.bare_steps(number)


class _Loop(Generic[Batch]):
    """A system, and everything that changes from step to step."""

    def __init__(
        self,
        system: System[Batch],
        recipe: Recipe,
        group: Group,
        folder: Path | None,
        earlier: Sequence[Row],
    ) -> None:
        self._system, self._recipe, self._group, self._folder = system, recipe, group, folder
        self._earlier = list(earlier)
        optimisation.check_schedule(recipe)
        self._parts = groups.divide(system.network, recipe)
        self._wrapped = group.wrap(system.network)
        self._evaluated = groups.evaluated(system.network, recipe)
        spec = recipe.optimiser
        self._optimiser = optimisation.optimiser(
            groups.optimiser_groups(self._parts, spec.learning_rate, spec.weight_decay), spec
        )
        self._plateau = monitoring.plateau(recipe.plateau, self._optimiser)
        self._format = optimisation.number_format(recipe.precision, group.device)
        self._scaler = torch.amp.grad_scaler.GradScaler(
            group.device.type, enabled=self._format is torch.float16
        )
        self._steps_an_epoch = math.ceil(system.batches / recipe.accumulate)
        self.history: list[Row] = []
        self._best: dict[str, Tensor] | None = None
        self._best_epoch = 0
        self._fingerprint = checkpoints.fingerprint(system.fingerprint, recipe, group.world)
        if not self._restore():
            system.start()
            if system.average:
                system.average.reset()

    @property
    def finished(self) -> bool:
        """Whether the last epoch is done, or early stopping asks to end here."""
        return len(self.history) >= self._recipe.epochs or monitoring.stops_early(
            self._recipe.early_stopping, self.history
        )

    @property
    def _total(self) -> int:
        """Epochs of all stages up to this one."""
        return len(self._earlier) + self._recipe.epochs

    def epoch(self, stop: Callable[[], bool]) -> Row:
        """One epoch and its figures, which are also appended to ``history``."""
        begun = time.monotonic()
        row = self._train(len(self.history), stop)
        for network in self._networks():
            self._group.same_buffers(network)
        row |= self._system.validate()
        if not math.isfinite(row["loss"]):
            raise ConfigError(
                f"training.learning_rate: the loss of epoch {row['epoch']:.0f} is {row['loss']}; "
                "lower it"
            )
        self.history.append(row)
        if self._plateau is not None:
            assert self._recipe.plateau is not None
            self._plateau.step(monitoring.value(self._recipe.plateau.monitor, row))
        if self._is_best():
            self._best_epoch = len(self.history)
            weights = self._system.weights()
            self._best = {name: value.detach().clone() for name, value in weights.items()}
        if self._group.writes:
            print(sentence(row, self._total, time.monotonic() - begun), flush=True)
        return row

    def keep(self) -> None:
        """Write the checkpoint of the epoch that has just ended."""
        if self._folder is None or not self._group.writes:
            return
        average = self._system.average
        state = {
            "network": self._system.network.state_dict(),
            "average": average.state() if average else None,
            "optimiser": self._optimiser.state_dict(),
            "plateau": self._plateau.state_dict() if self._plateau else None,
            "scaler": self._scaler.state_dict(),
            "system": self._system.state(),
            "history": self.history,
            "best": self._best,
            "best_epoch": self._best_epoch,
        }
        checkpoints.write(self._folder, state, self._fingerprint)

    def learnt(self) -> Learnt:
        """The weights to keep: of the best epoch, or of the last where none is called best."""
        rows, before = [*self._earlier, *self.history], len(self._earlier)
        if self._best is None:
            return Learnt(dict(self._system.weights()), len(rows), rows)
        return Learnt(self._best, before + self._best_epoch, rows)

    def _restore(self) -> bool:
        """Go on from the checkpoint; return whether there was one."""
        if self._folder is None:
            return False
        found = checkpoints.read(self._folder, self._fingerprint) if self._group.writes else None
        state: dict[str, Any] | None = self._group.share(found)
        if state is None:
            return False
        self._system.network.load_state_dict(state["network"])
        if self._system.average:
            self._system.average.restore(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        if self._plateau is not None:
            self._plateau.load_state_dict(state["plateau"])
        self._scaler.load_state_dict(state["scaler"])
        self._system.restore(state["system"])
        self.history = state["history"]
        self._best, self._best_epoch = state["best"], state["best_epoch"]
        if self._group.writes:
            print(f"resumed after epoch {len(self.history)}", flush=True)
        return True

    def _is_best(self) -> bool:
        """Whether the last epoch of ``history`` is the one to keep so far."""
        monitors = self._system.merit
        if not monitors:
            return False
        last = monitoring.merit(monitors, self.history[-1])
        return self._best is None or last > monitoring.merit(
            monitors, self.history[self._best_epoch - 1]
        )

    def _train(self, number: int, stop: Callable[[], bool]) -> Row:
        """The steps of an epoch; what its row holds before the validation."""
        rng = self._begin(number)
        means = EpochMeans(self._group)
        batches = self._system.batches
        shown = len(self._earlier) + number  # epochs before this one, of all stages
        pace = Pace(f"epoch {shown + 1} of {self._total}", batches)
        index = -1
        for index, batch in enumerate(self._system.epoch(number)):
            if self._asked_to_stop(index, stop):
                kept = (
                    f"epochs up to {shown} are kept" if self._folder and shown else "none is kept"
                )
                raise Stopped(f"training stopped in epoch {shown + 1}; {kept}")
            loss = self._learn(batch, index, number, rng)
            means.add(loss)
            if self._group.writes and pace.due():
                pace.say(index + 1, float(loss.total.detach()))
        assert index + 1 == batches, f"{index + 1} batches came, {batches} were announced"
        figures = means.result()
        row = {"epoch": shown + 1, "loss": figures.pop("loss"), "learning_rate": self._rate()}
        return row | figures

    def bare_steps(self, number: int) -> Iterator[tuple[float, float]]:
        """Yield rate and loss of each step of an epoch."""
        rng = self._begin(number)
        for index, batch in enumerate(self._system.epoch(number)):
            loss = self._learn(batch, index, number, rng)
            means = EpochMeans(self._group)
            means.add(loss)
            accumulate = self._recipe.accumulate
            if (index + 1) % accumulate == 0 or index + 1 == self._system.batches:
                yield self._rate(), means.result()["loss"]

    def _begin(self, number: int) -> np.random.Generator:
        """Let all learn that is to learn; return the random numbers of an epoch."""
        self._wrapped.train()
        for module in self._evaluated:
            module.eval()
        rng = np.random.default_rng([self._recipe.seed, number, 1 + self._group.rank])
        torch.manual_seed(int(rng.integers(2**63)))  # dropout
        return rng

    def _rate(self) -> float:
        """The base learning rate of the last step."""
        first = self._optimiser.param_groups[0]
        return float(first["lr"] / first["rate"])

    def _learn(self, batch: Batch, index: int, epoch: int, rng: np.random.Generator) -> Loss:
        """One batch: its gradients, and where it is the last of a step, the step."""
        accumulate = self._recipe.accumulate
        first = index - index % accumulate
        # The last step of an epoch may have fewer batches than the others.
        parts = min(accumulate, self._system.batches - first)
        step = epoch * self._steps_an_epoch + index // accumulate
        self._set_rate(step)
        ends_step = index == first + parts - 1
        # Processes need one another's gradients once a step.
        alone = contextlib.nullcontext() if ends_step else self._group.unshared(self._wrapped)
        with alone:
            loss = self._system.loss(batch, Step(step, epoch, rng, self._forward, self._autocast))
            if index == first:
                self._optimiser.zero_grad(set_to_none=True)
            total = loss.total if parts == 1 else loss.total / parts
            self._scaler.scale(total).backward()  # type: ignore[no-untyped-call]
        if ends_step:
            self._change_weights(step)
        return loss

    def _change_weights(self, step: int) -> None:
        clip_norm = self._recipe.optimiser.clip_norm
        if clip_norm is not None:
            self._scaler.unscale_(self._optimiser)
            torch.nn.utils.clip_grad_norm_(self._system.network.parameters(), clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._system.average:
            self._system.average.update(step)

    def _forward(self, *inputs: Any, **options: Any) -> Any:
        with self._autocast():
            return self._wrapped(*inputs, **options)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._group.device.type, dtype=self._format, enabled=self._format is not None
        )

    def _networks(self) -> list[torch.nn.Module]:
        average = self._system.average
        return [self._system.network, *([average.network] if average else [])]

    def _set_rate(self, step: int) -> None:
        steps = self._steps_an_epoch * self._recipe.epochs
        rate = optimisation.learning_rate(self._recipe, step, steps)
        if rate is not None:
            for parameters in self._optimiser.param_groups:
                parameters["lr"] = rate * parameters["rate"]

    def _asked_to_stop(self, index: int, stop: Callable[[], bool]) -> bool:
        if self._group.world == 1:
            return stop()
        return index % _STOP_INTERVAL == 0 and self._group.any(stop())
