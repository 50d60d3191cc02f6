"""The learning-rate range test (Smith 2017, arXiv:1506.01186): rates tried out before a training.

The rate rises by one factor from step to step while the network learns. The loss first stays, then
falls, then rises again; the suggested rate is where it falls most steeply over the logarithm of the
rate. Afterwards weights and random numbers are what they were.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.learning import loop
from soundgate.audio.learning.recipe import Schedule
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.recipe import Recipe
    from soundgate.audio.learning.system import Batch, System

# Beyond this many times the lowest loss, higher rates only do harm.
_DIVERGED = 4.0
_FEWEST = 5


@dataclass(frozen=True, kw_only=True)
class Range:
    """What is tried."""

    first: float = 1e-7
    """Lowest rate."""
    last: float = 1.0
    """Highest rate."""
    steps: int = 100
    smoothing: float = 0.9
    """Share of the earlier losses in the mean that a loss is replaced by; 0: none."""


@dataclass(frozen=True)
class Course:
    """What was found: a row a step that was taken."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """Smoothed."""
    suggested: float


def range_test(
    system: System[Batch], recipe: Recipe, *, group: Group, tried: Range | None = None
) -> Course:
    """Try rates out; every process of ``group`` calls this alike.

    Args:
        system: what learns; its network and torch's random numbers are left as they were.
        recipe: how it is to be trained; its schedule and its plateau are set aside.
        group: this process among those that train together.
        tried: which rates.

    Raises:
        ConfigError: the loss falls at none of them.
    """
    tried = tried or Range()
    with _unchanged(system.network, group.device):
        found = list(_losses(system, recipe, group, tried))
    rates, losses = [rate for rate, _ in found], _smoothed([loss for _, loss in found], tried)
    return Course(tuple(rates), tuple(losses), suggested(rates, losses))


def suggested(rates: list[float], losses: list[float]) -> float:
    """The rate at which the loss falls most steeply over the logarithm of the rate.

    Raises:
        ConfigError: it falls nowhere.

    >>> suggested([1e-4, 1e-3, 1e-2, 1e-1, 1.0], [1.0, 0.9, 0.5, 0.4, 2.0])
    0.001
    """
    # Behind the lowest loss rates are too high, whatever a noisy loss does there.
    end = int(np.argmin(losses)) + 1
    if len(rates) < _FEWEST or end < 2:
        raise ConfigError(
            "training.lr_range_test: the loss falls at no learning rate; check the data, or set "
            "lr_range_test to off"
        )
    slopes = np.diff(losses[:end]) / np.diff(np.log(rates[:end]))
    return rates[int(slopes.argmin())]


def _losses(
    system: System[Batch], recipe: Recipe, group: Group, tried: Range
) -> Iterator[tuple[float, float]]:
    """Yield rate and loss of each step, until the loss has left its lowest value far behind."""
    per_epoch = math.ceil(system.batches / recipe.accumulate)
    ramp = replace(
        recipe,
        epochs=-(-tried.steps // per_epoch),
        optimiser=replace(recipe.optimiser, learning_rate=tried.last),
        schedule=Schedule(name="exponential", first=tried.first / tried.last, last=1.0),
        plateau=None,
        early_stopping=None,
    )
    lowest = math.inf
    steps = loop.steps(system, ramp, group=group)
    for rate, loss in itertools.islice(steps, tried.steps):
        if not math.isfinite(loss) or loss > _DIVERGED * lowest:
            return
        lowest = min(lowest, loss)
        yield rate, loss


def _smoothed(losses: list[float], tried: Range) -> list[float]:
    """Exponential means, without the weight of a beginning at 0."""
    found, mean, kept = [], 0.0, tried.smoothing
    for number, loss in enumerate(losses, 1):
        mean = kept * mean + (1 - kept) * loss
        found.append(mean / (1 - kept**number))
    return found


class _unchanged:  # noqa: N801 - used as a function is
    """Leave weights, buffers, modes and torch's random numbers as they were."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device

    def __enter__(self) -> None:
        state = self._network.state_dict()
        self._state = {name: value.detach().clone() for name, value in state.items()}
        self._learns = {name: p.requires_grad for name, p in self._network.named_parameters()}
        self._modes = {name: module.training for name, module in self._network.named_modules()}
        self._random = torch.get_rng_state()
        on_gpu = self._device.type == "cuda"
        self._random_gpu = torch.cuda.get_rng_state(self._device) if on_gpu else None

    def __exit__(self, *_error: object) -> None:
        self._network.load_state_dict(self._state)
        for name, parameter in self._network.named_parameters():
            parameter.requires_grad_(self._learns[name])
            parameter.grad = None
        for name, module in self._network.named_modules():
            module.training = self._modes[name]
        torch.set_rng_state(self._random)
        if self._random_gpu is not None:
            torch.cuda.set_rng_state(self._random_gpu, self._device)


def draw(course: Course, path: Any) -> None:
    """Draw loss over rate as a PNG file, the suggested rate marked; needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    place = figure.subplots()
    place.plot(course.rates, course.losses)
    place.axvline(course.suggested, linestyle=":", label=f"suggested {course.suggested:.2g}")
    place.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)")
    place.legend()
    figure.savefig(path, dpi=100, metadata={"Software": None})
