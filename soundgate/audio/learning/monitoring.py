"""What watches the figures of the epochs: the best one, early stopping, plateaus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch.optim.lr_scheduler import ReduceLROnPlateau

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from soundgate.audio.learning.recipe import EarlyStopping, Monitor, Plateau


def value(monitor: Monitor, row: Mapping[str, float]) -> float:
    """The monitored figure of an epoch.

    Raises:
        ConfigError: the epoch has no such figure.
    """
    if monitor.figure not in row:
        raise ConfigError(
            f"training: {monitor.figure!r} is watched, and no epoch has that figure"
            f"{nearest(monitor.figure, row)}"
        )
    return row[monitor.figure]


def merit(monitors: Sequence[Monitor], row: Mapping[str, float]) -> tuple[float, ...]:
    """What epochs are compared by: higher is better, the first figure before the next."""
    return tuple(value(each, row) * (1.0 if each.rises else -1.0) for each in monitors)


def stops_early(spec: EarlyStopping | None, history: Sequence[Mapping[str, float]]) -> bool:
    """Whether the last ``patience`` epochs of ``history`` brought no improvement."""
    if spec is None:
        return False
    best, waited = -math.inf, 0
    for row in history[spec.start_from_epoch :]:
        [found] = merit((spec.monitor,), row)
        if found - spec.min_delta > best:
            best, waited = found, 0
        else:
            waited += 1
    return waited > 0 and waited >= spec.patience


def plateau(spec: Plateau | None, optimiser: torch.optim.Optimizer) -> ReduceLROnPlateau | None:
    """What lowers the rates of ``optimiser``; torch counts one epoch of patience less."""
    if spec is None:
        return None
    return ReduceLROnPlateau(
        optimiser,
        mode="max" if spec.monitor.rises else "min",
        factor=spec.factor,
        patience=max(spec.patience - 1, 0),
        threshold=spec.min_delta,
        threshold_mode="abs",
        cooldown=spec.cooldown,
        min_lr=spec.min_learning_rate,
    )
