"""Parts of a network by name: which learn, at which rate, and which stay as they are.

A part is a dotted name: ``encoder`` is the parameter or module of that name and everything below
it, ``encoder.blocks.1`` is block 1 and not block 10. ``*`` stands for any one component:
``encoder.blocks.*.norm`` is the normalisation of every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from soundgate.audio.learning.recipe import ParameterGroup
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.learning.recipe import Recipe

BASE = ParameterGroup(part="*")
"""What no group of the recipe names."""


@dataclass(frozen=True)
class Parts:
    """A network as a recipe divides it."""

    learning: tuple[tuple[ParameterGroup, tuple[nn.Parameter, ...]], ...]
    """Every parameter that learns, once, by its group: first those of the base rate, if any."""
    frozen: tuple[str, ...]
    """Names of the parameters that do not learn."""


def divide(network: nn.Module, recipe: Recipe) -> Parts:
    """Freeze what ``recipe`` lists and sort everything else into its groups.

    Raises:
        ConfigError: a part is not in the network, two groups name the same parameter, or a group
            or the whole network has nothing left that learns.
    """
    modules = [name for name, _ in network.named_modules()]
    named = dict(network.named_parameters())
    for field, parts in (
        ("frozen", recipe.frozen),
        ("groups", tuple(group.part for group in recipe.groups)),
        ("fixed_statistics", recipe.fixed_statistics),
    ):
        for part in parts:
            _check_known(field, part, [*modules, *named])
    for name, parameter in named.items():
        if matches_any(recipe.frozen, name):
            parameter.requires_grad_(False)
    frozen = tuple(name for name, p in named.items() if not p.requires_grad)
    return Parts(_sorted(named, recipe.groups), frozen)


def evaluated(network: nn.Module, recipe: Recipe) -> list[nn.Module]:
    """Modules that stay in evaluation mode during training.

    Distributed training replaces some modules: to be asked after that.
    """
    return [
        module
        for name, module in network.named_modules()
        if matches_any(recipe.frozen, name)
        or (_normalises(module) and matches_any(recipe.fixed_statistics, name))
    ]


def matches(part: str, name: str) -> bool:
    """Whether ``name`` is the part or lies below it.

    >>> matches("blocks.1", "blocks.1.weight"), matches("blocks.1", "blocks.10.weight")
    (True, False)
    >>> matches("blocks.*.norm", "blocks.7.norm.bias"), matches("*", "head.weight")
    (True, True)
    """
    wanted, found = part.split("."), name.split(".") if name else []
    return len(found) >= len(wanted) and all(
        one in ("*", other) for one, other in zip(wanted, found, strict=False)
    )


def matches_any(parts: Iterable[str], name: str) -> bool:
    """Whether ``name`` belongs to one of ``parts``."""
    return any(matches(part, name) for part in parts)


def layerwise(parts: Sequence[str], decay: float, *, rate: float = 1.0) -> list[ParameterGroup]:
    """Groups whose rates fall by ``decay`` from each part to the next.

    >>> [(g.part, g.rate) for g in layerwise(["blocks.1", "blocks.0"], 0.5)]
    [('blocks.1', 1.0), ('blocks.0', 0.5)]
    """
    return [ParameterGroup(part=part, rate=rate * decay**k) for k, part in enumerate(parts)]


def optimiser_groups(
    parts: Parts, learning_rate: float, weight_decay: float
) -> list[dict[str, Any]]:
    """What torch's optimisers take: two of each group, since biases and scales do not decay.

    ``rate`` stays beside the parameters as the factor that the schedule's rate is multiplied by.
    """
    found: list[dict[str, Any]] = []
    for group, parameters in parts.learning:
        decay = weight_decay if group.weight_decay is None else group.weight_decay
        for chosen, own in (
            ([p for p in parameters if p.ndim > 1], decay),
            ([p for p in parameters if p.ndim <= 1], 0.0),
        ):
            rates = {"lr": learning_rate * group.rate, "rate": group.rate}
            found.append({"params": chosen, "weight_decay": own, **rates})
    return found


def _sorted(
    named: dict[str, nn.Parameter], groups: Sequence[ParameterGroup]
) -> tuple[tuple[ParameterGroup, tuple[nn.Parameter, ...]], ...]:
    sorted_out: dict[ParameterGroup, list[nn.Parameter]] = {BASE: []}
    sorted_out |= {group: [] for group in groups}
    for name, parameter in named.items():
        owners = [group for group in groups if matches(group.part, name)]
        if len(owners) > 1:
            first, second = (repr(group.part) for group in owners[:2])
            raise ConfigError(
                f"training.groups: {name} is in {first} and in {second}; name narrower parts"
            )
        if parameter.requires_grad:
            sorted_out[owners[0] if owners else BASE].append(parameter)
    for group in groups:
        if not sorted_out[group]:
            raise ConfigError(
                f"training.groups: everything in {group.part!r} is frozen; drop the group, or take "
                "it from training.frozen"
            )
    if not any(sorted_out.values()):
        raise ConfigError("training.frozen: nothing is left that learns; list less")
    return tuple((group, tuple(found)) for group, found in sorted_out.items() if found)


def _check_known(field: str, part: str, names: Sequence[str]) -> None:
    if not any(matches(part, name) for name in names):
        known = sorted({name for name in names if name})
        hint = nearest(part, known)
        if "did you mean" not in hint:  # of a large network, thousands of names help nobody
            hint = nearest(part, sorted({name.split(".")[0] for name in known}))
        raise ConfigError(f"training.{field}: the network has no part {part!r}{hint}")


def _normalises(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._NormBase)  # noqa: SLF001 - the common base
