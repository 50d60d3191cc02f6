"""What a system that learns gives to the loop: batches, a loss, a validation, what is kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy as np
    from torch import Tensor, nn

    from soundgate.audio.learning.averaging import WeightAverage
    from soundgate.audio.learning.recipe import Monitor

Batch = TypeVar("Batch")

Row = dict[str, float]
"""The figures of one epoch, as ``history.jsonl`` has them."""


class Mean(NamedTuple):
    """A figure that is averaged over an epoch: the sum of ``total`` by the sum of ``over``."""

    total: Tensor
    """A number, detached."""
    over: int | Tensor
    """How many things it was summed over; of a masked loss, what the mask lets through."""


@dataclass(frozen=True)
class Loss:
    """The loss of a batch."""

    total: Tensor
    """A number with a gradient: what is minimised, a mean over ``rows``."""
    rows: int
    """Rows of this process's share of the batch: the weight of ``total`` in the epoch's figure."""
    parts: Mapping[str, Mean] = field(default_factory=dict)
    """Further figures to log, the same names in every batch."""


@dataclass(frozen=True)
class Step:
    """Where the training stands, for a loss that depends on it."""

    number: int
    """Steps of the optimiser before this one, from 0, over all epochs."""
    epoch: int
    """From 0."""
    random: np.random.Generator
    """Draws of this epoch and process. torch's own generator is seeded from it, too."""
    forward: Callable[..., Any]
    """The network in training mode, in the number format, gradients shared among the processes.
    Call it once a batch."""
    autocast: Callable[[], AbstractContextManager[object]]
    """The number format alone, for other networks: a teacher under ``torch.no_grad()``."""


class System(Protocol[Batch]):
    """One thing to learn.

    What an epoch draws may depend on its number and on fixed seeds alone, and every process of a
    training gives as many batches: then a killed training continues to the same bits.
    """

    @property
    def network(self) -> nn.Module:
        """What learns."""

    @property
    def average(self) -> WeightAverage | None:
        """A running mean of the network's weights that the loop keeps up; None: there is none."""

    @property
    def batches(self) -> int:
        """Batches an epoch."""

    @property
    def merit(self) -> Sequence[Monitor]:
        """Which epoch is kept: the best by the first figure, of equal ones by the next.

        Empty: the last one.
        """

    @property
    def fingerprint(self) -> str:
        """Changes with anything, the recipe apart, that a resumed training must share."""

    def start(self) -> None:
        """Called once before the first epoch, not when a checkpoint is continued."""

    def epoch(self, number: int) -> Iterable[Batch]:
        """This process's share of the batches of an epoch, counted from 0."""

    def loss(self, batch: Batch, step: Step) -> Loss:
        """The loss of a batch."""

    def validate(self) -> Mapping[str, float]:
        """Figures for the epoch's row, equal in every process; empty: nothing is held out."""

    def weights(self) -> Mapping[str, Tensor]:
        """What is kept of the best epoch, and returned at the end."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs besides network, average and optimiser: tensors and numbers.

        Taken in the first process, restored in every one.
        """

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""


@dataclass(frozen=True)
class Learnt:
    """What a training leaves behind."""

    weights: dict[str, Tensor]
    """``System.weights`` of the kept epoch."""
    epoch: int
    """The kept epoch, from 1."""
    history: list[Row]
    """A row an epoch."""

    @property
    def figures(self) -> Row:
        """The kept epoch's row."""
        return self.history[self.epoch - 1]


def never() -> bool:
    """No wish to stop."""
    return False
