"""Named axes, and what a map over them passes on.

    variant = Axis("variant", {"v3": {"fmin_hz": 500}, "v4": {"fmin_hz": 800}})
    trained = p.map(train, over=variant, features=prepared["features"])
    scored = p.map(score, over=[variant, window], model=trained["model"])
    p.map(summary, over=variant, scores=scored["scores"].by("variant"))

An item's name is its identity. Names of tasks, and with them folders, cache keys and what an engine
shows, are made of items' names alone: adding, removing or moving an item renames no other.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.arguments import SCALARS, spell
from soundgate.errors import DefinitionError, nearest
from soundgate.task import Output, Resources

if TYPE_CHECKING:
    from soundgate.arguments import Argument
    from soundgate.task import Task

AXIS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
ITEM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RESOURCES = "resources"
"""What an item may say of its task besides arguments of the step."""

Item = dict[str, str]
"""Axis to the name of the item on it."""


def alike(name: str) -> str:
    """Return what is left of a name on engines that know no capitals and no underscores."""
    return re.sub(r"[-_]+", "-", name.lower()).strip("-")


@dataclass(frozen=True, slots=True)
class Axis:
    """Named items to map over, and the arguments of the step that each of them sets.

    Args:
        name: of the axis.
        items: item to argument to value: scalars, lists, files; ``resources`` for the task itself.
            A list of names where the items set nothing.

    Raises:
        DefinitionError: a name that is unfit or used twice; nothing to map over.
    """

    name: str
    items: Mapping[str, Mapping[str, Any]]

    def __post_init__(self) -> None:
        """Refuse names that could not be parts of a task's name."""
        if not (isinstance(self.name, str) and AXIS_NAME.fullmatch(self.name)):
            raise DefinitionError(
                f"axis name {self.name!r}: a letter, then letters, digits, '-' or '_'"
            )
        if isinstance(self.items, (list, tuple)):
            _check_once(self.name, self.items)
            object.__setattr__(self, "items", {item: {} for item in self.items} or self.items)
        if not (isinstance(self.items, Mapping) and self.items):
            raise DefinitionError(
                f"axis {self.name!r}: there is nothing to map over; pass items by name, not "
                f"{self.items!r}"
            )
        _check_once(self.name, list(self.items))
        for item, values in self.items.items():
            _check_values(f"axis {self.name!r}, item {item!r}", values)


def _check_once(axis: str, names: Sequence[Any]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not (isinstance(name, str) and ITEM_NAME.fullmatch(name)):
            raise DefinitionError(
                f"axis {axis!r}: item name {name!r}: a letter or a digit, then letters, digits, "
                "'-' or '_'"
            )
        before = seen.setdefault(alike(name), name)
        if before is not name or names.count(name) > 1:
            raise DefinitionError(
                f"axis {axis!r}: items {before!r} and {name!r} need names that differ by more than "
                "capitals, '-' and '_'"
            )


def _check_values(where: str, values: Any) -> None:
    if not isinstance(values, Mapping):
        raise DefinitionError(f"{where} takes arguments of the step by name, not {values!r}")
    resources = values.get(RESOURCES)
    if resources is not None and not isinstance(resources, Resources):
        raise DefinitionError(f"{where}: resources takes Resources(...), not {resources!r}")


@dataclass(frozen=True, slots=True)
class MappedOutput:
    """The same output of every task of a ``map``.

    In a ``map`` whose axes include its own it is passed item by item; to an ``InputPaths`` argument
    it is the join of all items.
    """

    axes: tuple[Axis, ...]
    outputs: tuple[Output, ...]
    """In the order of ``items_of(axes)``."""
    _grouped: dict[tuple[str, ...], Groups] = field(default_factory=dict, compare=False, repr=False)

    def by(self, *axes: Axis | str) -> PartialJoin:
        """Join the items that agree with each item of a ``map`` over ``axes``.

        Raises:
            DefinitionError: it has no such axis.
        """
        known = [axis.name for axis in self.axes]
        names = [axis.name if isinstance(axis, Axis) else axis for axis in axes]
        for name in names:
            if name not in known:
                raise DefinitionError(
                    f"{self}: by({name!r}): it has no such axis{nearest(str(name), known)}"
                )
        if not names:
            raise DefinitionError(f"{self}: by(): name an axis; known: {', '.join(known)}")
        return PartialJoin(self, tuple(dict.fromkeys(names)))

    def grouped(self, by: tuple[str, ...]) -> Groups:
        """Return the outputs by item's name, in groups by their items on some of the axes."""
        if by not in self._grouped:
            found: Groups = {}
            for item, output in zip(items_of(self.axes), self.outputs, strict=True):
                group = found.setdefault(tuple(item[axis] for axis in by), {})
                group["/".join(item.values())] = output
            self._grouped[by] = found
        return self._grouped[by]

    def __str__(self) -> str:
        """Name it as errors do."""
        return f"{self.outputs[0].name!r} of a map over {_listed(self.axes)}"


Groups = dict[tuple[str, ...], dict[str, Output]]


@dataclass(frozen=True, slots=True)
class PartialJoin:
    """Of a mapped output, for each item of another map those that agree with it."""

    mapped: MappedOutput
    by: tuple[str, ...]

    def __str__(self) -> str:
        """Name it as errors do."""
        return f"{self.mapped} joined by {', '.join(self.by)}"


@dataclass(frozen=True, slots=True)
class MappedTask:
    """The tasks of one ``map``, in the order of its items."""

    axes: tuple[Axis, ...]
    tasks: tuple[Task, ...]

    def __getitem__(self, output: str) -> MappedOutput:
        """Refer to an output of all of them."""
        return MappedOutput(self.axes, tuple(task[output] for task in self.tasks))


def axes_of(label: str, over: Any) -> tuple[Axis, ...]:
    """Return the axes that a ``map`` runs over.

    Args:
        label: the map, for errors.
        over: an axis, an earlier map, a list of both, or argument names to values.

    Raises:
        DefinitionError: it is none of these, or an axis stands in it twice.
    """
    if isinstance(over, Mapping):
        listed: Sequence[Any] = [_axis_of_values(label, *each) for each in over.items()]
    else:
        listed = over if isinstance(over, (list, tuple)) else [over]
    axes: list[Axis] = []
    for each in listed:
        if not isinstance(each, (Axis, MappedTask)):
            raise DefinitionError(f"map {label!r}: over takes Axis(...) or a map, not {each!r}")
        axes += [each] if isinstance(each, Axis) else each.axes
    if not axes:
        raise DefinitionError(f"map {label!r}: there is nothing to map over")
    names = [axis.name for axis in axes]
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise DefinitionError(f"map {label!r}: axis {twice[0]!r} stands twice in over")
    return tuple(axes)


def _axis_of_values(label: str, argument: str, values: Any) -> Axis:
    """Make an axis of an argument's values; the value itself is the item's name."""
    if not isinstance(values, (list, tuple)) or not values:
        raise DefinitionError(
            f"map {label!r}: over {argument!r}: there is nothing to map over, it takes a list of "
            f"values, not {values!r}"
        )
    items: dict[str, dict[str, Any]] = {}
    for value in values:
        name = spell(value)
        if not isinstance(value, SCALARS) or not ITEM_NAME.fullmatch(name) or name in items:
            why = "stands in it twice" if name in items else "cannot be part of a task's name"
            raise DefinitionError(
                f"map {label!r}: over {argument!r}: {value!r} {why}; name the items: "
                f"Axis({argument!r}, {{NAME: {{{argument!r}: {value!r}}}, ...}})"
            )
        items[name] = {argument: value}
    return Axis(argument, items)


def items_of(axes: Sequence[Axis]) -> list[Item]:
    """Return every combination of the axes' items, the last axis the fastest."""
    names = [axis.name for axis in axes]
    return [
        dict(zip(names, item, strict=True))
        for item in itertools.product(*(axis.items for axis in axes))
    ]


def followed_axes(over: Any, arguments: Mapping[str, Any]) -> set[str]:
    """Return the axes that come from an earlier map: that map's steps took what their items set."""
    waiting, found = [over, *arguments.values()], set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, (list, tuple)):
            waiting += each
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, PartialJoin):
            waiting.append(each.mapped)
        elif isinstance(each, (MappedTask, MappedOutput)):
            found |= {axis.name for axis in each.axes}
    return found


def item_arguments(
    label: str,
    known: Mapping[str, Argument],
    axes: Sequence[Axis],
    item: Item,
    followed: set[str],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what an item sets: arguments of the step, and ``resources`` where it says so.

    Of an axis that comes from an earlier map, what the step does not take is left out, and what
    the call or another axis sets wins.
    """
    found: dict[str, Any] = {}
    for axis in sorted(axes, key=lambda axis: axis.name in followed):
        where = f"map {label!r}: item {item[axis.name]!r} of axis {axis.name!r}"
        for name, value in axis.items[item[axis.name]].items():
            if axis.name in followed:
                if name in (*known, RESOURCES) and name not in given:
                    found.setdefault(name, value)
            elif name in found:
                raise DefinitionError(f"{where} sets {name!r}, and so does another axis")
            elif name == RESOURCES or (name in known and name not in given):
                found[name] = value
            else:
                why = "is passed to map(), too" if name in known else "the step does not take"
                hint = "" if name in known else nearest(name, known)
                raise DefinitionError(f"{where} sets {name!r}, which {why}{hint}")
    return found


def has(axes: Sequence[Axis], axis: Axis) -> bool:
    """Whether an axis, with the same items, is among others."""
    return any(other is axis or other == axis for other in axes)


def not_mapped_over(value: MappedOutput, axes: Sequence[Axis]) -> str:
    """Return why a mapped output cannot be passed item by item; empty where it can."""
    for axis in value.axes:
        if has(axes, axis):
            continue
        if any(other.name == axis.name for other in axes):
            return f"another axis {axis.name!r}, with other items"
        return f"axis {axis.name!r}, which this map does not run over"
    return ""


def _listed(axes: Sequence[Axis]) -> str:
    return ", ".join(axis.name for axis in axes)
