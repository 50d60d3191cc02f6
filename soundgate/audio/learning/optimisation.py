"""Optimisers, the course of the learning rate, number formats, and what watches a training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soundgate.audio.config import EarlyStopping, Optimizer, Training

    Parameters = list[dict[str, Any]]

# Where one-cycle begins and ends, in shares of the highest rate (Smith and Topin 2018).
_ONE_CYCLE_FIRST = 1 / 25
_ONE_CYCLE_LAST = _ONE_CYCLE_FIRST / 1e4


def _adamw(parameters: Parameters, rate: float, spec: Optimizer) -> torch.optim.Optimizer:
    betas = (spec.beta_1, spec.beta_2)
    return torch.optim.AdamW(parameters, lr=rate, betas=betas, eps=spec.epsilon)


def _adam(parameters: Parameters, rate: float, spec: Optimizer) -> torch.optim.Optimizer:
    betas = (spec.beta_1, spec.beta_2)
    return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=spec.epsilon)


def _sgd(parameters: Parameters, rate: float, spec: Optimizer) -> torch.optim.Optimizer:
    # Nesterov's step is defined for a momentum above zero only.
    nesterov = spec.nesterov and spec.momentum > 0
    return torch.optim.SGD(parameters, lr=rate, momentum=spec.momentum, nesterov=nesterov)


def _rmsprop(parameters: Parameters, rate: float, spec: Optimizer) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(parameters, lr=rate, momentum=spec.momentum, eps=spec.epsilon)


OPTIMIZERS: dict[str, Callable[[Parameters, float, Optimizer], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}


def optimizer(network: nn.Module, config: Training) -> torch.optim.Optimizer:
    """The optimiser of ``config``, over those parameters that learn.

    Weights of convolutions and matrices decay; biases and the scales of normalisations do not.

    Raises:
        ConfigError: there is no such optimiser.
    """
    name = config.optimizer.name
    if name not in OPTIMIZERS:
        known = nearest(name, OPTIMIZERS)
        raise ConfigError(f"training.optimizer.name: no optimiser {name!r}{known}")
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: Parameters = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[name](groups, config.learning_rate, config.optimizer)


def _one_cycle(done: float, warmup: float) -> float:
    """Cosine up from 1/25 during the warm-up, then cosine down to nearly nothing."""
    if done < warmup:
        return _cosine_between(_ONE_CYCLE_FIRST, 1.0, done / warmup)
    return _cosine_between(1.0, _ONE_CYCLE_LAST, (done - warmup) / (1.0 - warmup))


def _cosine(done: float, warmup: float) -> float:
    """Straight up from zero during the warm-up, then half a cosine down to zero."""
    if done < warmup:
        return done / warmup
    return _cosine_between(1.0, 0.0, (done - warmup) / (1.0 - warmup))


def _cosine_between(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1.0 + math.cos(math.pi * done)) / 2


# Of the share of the steps done, 0 to 1, and the share that warms up.
SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
}


def learning_rate(config: Training, step: int, steps: int) -> float | None:
    """The rate of step ``step`` of ``steps``, from 0; None where it does not follow the steps."""
    course = SCHEDULES.get(config.schedule)
    if course is None:
        return None
    # The last step is at the course's end.
    return config.learning_rate * course(step / max(steps - 1, 1), config.warmup_fraction)


def plateau(
    config: Training, rates: torch.optim.Optimizer, *, validated: bool
) -> ReduceLROnPlateau | None:
    """What lowers the rate when a figure stops improving; None for the other schedules.

    Patience is counted as Keras does: with 3, the third epoch in a row without improvement acts.

    Raises:
        ConfigError: the callback stands beside another schedule, or there is nothing to watch.
    """
    callback = config.callbacks.reduce_lr_on_plateau
    if config.schedule != "plateau":
        if callback is not None:
            raise ConfigError(
                f"training.schedule is {config.schedule!r}, which leaves callbacks."
                "ReduceLROnPlateau without effect; set schedule to plateau, or drop the callback"
            )
        return None
    if callback is None:
        raise ConfigError("training.schedule: plateau needs callbacks.ReduceLROnPlateau")
    _require_validation("ReduceLROnPlateau", validated=validated)
    return ReduceLROnPlateau(
        rates,
        mode="max" if _rises(callback.monitor, callback.mode) else "min",
        factor=callback.factor,
        patience=max(callback.patience - 1, 0),
        threshold=callback.min_delta,
        threshold_mode="abs",
        cooldown=callback.cooldown,
        min_lr=callback.min_lr,
    )


def check_early_stopping(config: EarlyStopping | None, *, validated: bool) -> None:
    """Raise ConfigError where there is nothing to watch."""
    if config is not None:
        _require_validation("EarlyStopping", validated=validated)


def stops_early(config: EarlyStopping | None, history: Sequence[Mapping[str, float]]) -> bool:
    """Whether the last ``patience`` epochs of ``history`` brought no improvement."""
    if config is None:
        return False
    sign = 1.0 if _rises(config.monitor, config.mode) else -1.0
    best, waited = -math.inf, 0
    for row in history[config.start_from_epoch :]:
        value = sign * monitored(config.monitor, row)
        if value - config.min_delta > best:
            best, waited = value, 0
        else:
            waited += 1
    return waited > 0 and waited >= config.patience


def monitored(monitor: str, row: Mapping[str, float]) -> float:
    """The figure of an epoch that Keras calls ``monitor``: of clips, where it is an accuracy."""
    keys = {"val_accuracy": "validation_clip_accuracy", "val_loss": "validation_loss"}
    return row[keys[monitor]]


def number_format(wanted: str, device: torch.device) -> torch.dtype | None:
    """What the passes compute in; None is float32 throughout.

    "auto" is bfloat16 where the machine multiplies in it (AVX512-BF16, AMX, or a GPU since Ampere),
    float16 on older GPUs, float32 on other CPUs, which would emulate it at a fraction of the speed.

    Raises:
        ConfigError: float16 without a GPU: its small gradients vanish in what CPUs offer.
    """
    if wanted == "float32":
        return None
    if device.type == "cuda":
        halved = wanted == "float16" or (wanted == "auto" and not torch.cuda.is_bf16_supported())
        return torch.float16 if halved else torch.bfloat16
    if wanted == "float16":
        raise ConfigError("training.precision: float16 needs a GPU; set auto, or bfloat16")
    features: Mapping[str, object] = torch.cpu.get_capabilities()
    fast = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return torch.bfloat16 if fast or wanted == "bfloat16" else None


def _rises(monitor: str, mode: str) -> bool:
    return mode == "max" or (mode == "auto" and monitor == "val_accuracy")


def _require_validation(callback: str, *, validated: bool) -> None:
    if not validated:
        raise ConfigError(
            f"training.callbacks.{callback} watches validation clips, and there are none; set "
            "dataset.validation_split above 0"
        )
