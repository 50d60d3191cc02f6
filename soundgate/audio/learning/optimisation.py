"""Optimisers, the course of the learning rate, and number formats."""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from soundgate.audio.learning.recipe import Optimiser, Recipe, Schedule

    Parameters = list[dict[str, Any]]

Kind = TypeVar("Kind", bound=torch.optim.Optimizer)

# Where one-cycle begins and ends, as shares of the highest rate (Smith and Topin 2018).
_ONE_CYCLE_FIRST = 1 / 25
_ONE_CYCLE_LAST = _ONE_CYCLE_FIRST / 1e4


def eager(kind: type[Kind]) -> type[Kind]:
    """An optimiser of torch that does not import its compiler.

    torch wraps these methods so that ``torch.compile`` steps aside for them, and imports the
    compiler on the first call to do so: two seconds of every training, and nothing here is
    compiled. The methods below the wrappers compute the same bits.
    """
    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in wrapped}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), {**plain, "step": step})


def _adamw(parameters: Parameters, spec: Optimiser) -> torch.optim.Optimizer:
    return eager(torch.optim.AdamW)(
        parameters, lr=spec.learning_rate, betas=spec.betas, eps=spec.epsilon
    )


def _adam(parameters: Parameters, spec: Optimiser) -> torch.optim.Optimizer:
    return eager(torch.optim.Adam)(
        parameters, lr=spec.learning_rate, betas=spec.betas, eps=spec.epsilon
    )


def _sgd(parameters: Parameters, spec: Optimiser) -> torch.optim.Optimizer:
    # Nesterov's step is defined for a momentum above zero only.
    nesterov = spec.nesterov and spec.momentum > 0
    return eager(torch.optim.SGD)(
        parameters, lr=spec.learning_rate, momentum=spec.momentum, nesterov=nesterov
    )


def _rmsprop(parameters: Parameters, spec: Optimiser) -> torch.optim.Optimizer:
    return eager(torch.optim.RMSprop)(
        parameters, lr=spec.learning_rate, momentum=spec.momentum, eps=spec.epsilon
    )


OPTIMISERS: dict[str, Callable[[Parameters, Optimiser], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "adam": _adam,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}


def optimiser(parameters: Parameters, spec: Optimiser) -> torch.optim.Optimizer:
    """The optimiser of ``spec`` over ``parameters``, see ``groups.optimiser_groups``.

    Raises:
        ConfigError: there is no such optimiser.
    """
    if spec.name not in OPTIMISERS:
        known = nearest(spec.name, OPTIMISERS)
        raise ConfigError(f"training.optimizer.name: no optimiser {spec.name!r}{known}")
    return OPTIMISERS[spec.name](parameters, spec)


def _one_cycle(done: float, schedule: Schedule) -> float:
    """Cosine up from 1/25 during the warm-up, then cosine down to nearly nothing."""
    warmup = schedule.warmup_fraction
    if done < warmup:
        return _cosine_between(_given(schedule.first, _ONE_CYCLE_FIRST), 1.0, done / warmup)
    last = _given(schedule.last, _ONE_CYCLE_LAST)
    return _cosine_between(1.0, last, (done - warmup) / (1.0 - warmup))


def _cosine(done: float, schedule: Schedule) -> float:
    """Straight up from zero during the warm-up, then half a cosine down to zero."""
    warmup = schedule.warmup_fraction
    if done < warmup:
        return done / warmup
    return _cosine_between(1.0, 0.0, (done - warmup) / (1.0 - warmup))


def _exponential(done: float, schedule: Schedule) -> float:
    """From ``first`` to ``last``, by the same factor in every step."""
    first, last = _given(schedule.first, 1.0), _given(schedule.last, 1.0)
    return float(first * (last / first) ** done)


def _given(share: float | None, own: float) -> float:
    return own if share is None else share


def _cosine_between(first: float, last: float, done: float) -> float:
    return last + (first - last) * (1.0 + math.cos(math.pi * done)) / 2


# Of the share of the steps done, 0 to 1; a share of the highest rate.
SCHEDULES: dict[str, Callable[[float, Schedule], float]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "exponential": _exponential,
}


def learning_rate(recipe: Recipe, step: int, steps: int) -> float | None:
    """The base rate of step ``step`` of ``steps``, from 0; None where no schedule sets it."""
    course = SCHEDULES.get(recipe.schedule.name)
    if course is None:
        return None
    # The last step is at the course's end.
    done = step / max(steps - 1, 1)
    return recipe.optimiser.learning_rate * course(done, recipe.schedule)


def check_schedule(recipe: Recipe) -> None:
    """Refuse a recipe whose learning rate nothing, or two things, would set.

    Raises:
        ConfigError: there is no such schedule, or it stands beside a plateau.
    """
    name = recipe.schedule.name
    if name != "constant" and name not in SCHEDULES:
        known = nearest(name, [*SCHEDULES, "constant"])
        raise ConfigError(f"training.schedule: no schedule {name!r}{known}")
    if name != "constant" and recipe.plateau is not None:
        raise ConfigError(
            f"training.schedule: {name} and a plateau both set the learning rate; drop one"
        )


def ramp(step: int, over: int) -> float:
    """The share, 0 to 1, that a loss has reached at ``step`` when it rises ``over`` steps.

    >>> ramp(0, 4), ramp(2, 4), ramp(9, 4), ramp(0, 0)
    (0.0, 0.5, 1.0, 1.0)
    """
    return min(step / over, 1.0) if over > 0 else 1.0


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
