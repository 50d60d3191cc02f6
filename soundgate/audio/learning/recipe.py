"""How a network is trained, whatever it learns: numbers that the loop goes by, and no more."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Monitor:
    """A figure of an epoch, and which way is better."""

    figure: str
    """Its key in the epoch's row, ``validation_loss``."""
    rises: bool
    """Whether higher is better."""


@dataclass(frozen=True, kw_only=True)
class ParameterGroup:
    """A part of the network with a learning rate of its own."""

    part: str
    """Dotted name of a module or parameter; ``*`` stands for any one component of it."""
    rate: float = 1.0
    """Learning rate, as a factor on that of the optimiser."""
    weight_decay: float | None = None
    """None: the optimiser's."""


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """The algorithm that changes the weights."""

    name: str = "adamw"
    """A key of ``optimisation.OPTIMISERS``."""
    learning_rate: float
    """Highest rate of the schedule."""
    weight_decay: float = 0.0
    """Of matrices and convolutions; biases and scales never decay."""
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip_norm: float | None = None
    """Largest norm of the gradient of a step; None: not limited."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The course of the learning rate over the steps of the whole training."""

    name: str = "constant"
    """A key of ``optimisation.SCHEDULES``, or ``constant``."""
    warmup_fraction: float = 0.0
    """Share of the steps in which the rate rises."""
    first: float | None = None
    """Rate of the first step, as a share of the highest; None: the schedule's own. ``one_cycle``
    and ``exponential`` have one."""
    last: float | None = None
    """Rate of the last step, likewise."""


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """Lowers the learning rate when a figure stops improving. Patience is counted as Keras does."""

    monitor: Monitor
    factor: float = 0.5
    """New learning rate, as a share of the old one."""
    patience: int = 10
    """With 3, the third epoch in a row without improvement acts."""
    min_delta: float = 0.0
    """Smallest change that counts as an improvement."""
    cooldown: int = 0
    """Epochs it rests after it acted."""
    min_learning_rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Ends the training when a figure stops improving."""

    monitor: Monitor
    patience: int
    """Epochs without improvement before it acts."""
    min_delta: float = 0.0
    """Smallest change that counts as an improvement."""
    start_from_epoch: int = 0
    """Epochs at the start that are not watched."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything the loop is told besides the system."""

    epochs: int
    seed: int
    optimiser: Optimiser
    schedule: Schedule = Schedule()
    plateau: Plateau | None = None
    early_stopping: EarlyStopping | None = None
    precision: str = "auto"
    """``float32``, ``bfloat16``, ``float16``, or ``auto``: see ``optimisation.number_format``."""
    accumulate: int = 1
    """Batches whose gradients are averaged into one step."""
    groups: tuple[ParameterGroup, ...] = ()
    """Parts with rates of their own; what no group names learns at the optimiser's."""
    frozen: tuple[str, ...] = ()
    """Parts that do not learn: no gradient, no dropout, no change of running statistics."""
    fixed_statistics: tuple[str, ...] = ()
    """Parts whose normalisation layers keep their running statistics although weights learn."""
