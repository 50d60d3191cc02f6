"""Values checked against a step's signature, and brought into the form that tasks keep."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from soundgate.definition.axes import MappedOutput, MappedTask, PartialJoin, has, not_mapped_over
from soundgate.errors import DefinitionError, nearest
from soundgate.task import File, Output, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soundgate.arguments import Argument
    from soundgate.definition.axes import Axis, Item

INPUT_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)*", re.ASCII)
"""Of an input whose name the step is told: it stands in a command line as ``NAME=PATH``."""

Named = tuple[str, Output | File]


class Binding:
    """Binds the arguments of one task; of one item, where it belongs to a map."""

    def __init__(self, task: str, axes: Sequence[Axis] = (), item: Item | None = None) -> None:
        """Begin with a task's name and, in a map, the map's axes and its item."""
        self._task = task
        self._axes = axes
        self._item = item

    def bind(self, argument: Argument, value: Any) -> Any:
        """Check one value; return it as tasks keep it.

        Raises:
            DefinitionError: the step's signature asks for something else.
        """
        where = f"task {self._task!r}: argument {argument.name!r}"
        if argument.kind == "inputs":
            return self._inputs(where, argument, value)
        if argument.kind == "input":
            return self._input(where, value)
        if isinstance(value, (Output, MappedOutput, PartialJoin, Task, MappedTask, File)):
            raise DefinitionError(f"{where} takes {argument.type.__name__}, not an artifact")
        if argument.is_list:
            if not isinstance(value, (list, tuple)):
                raise DefinitionError(f"{where} takes a list, not {value!r}")
            return [_scalar(where, argument.type, item) for item in value]
        return _scalar(where, argument.type, value)

    def _input(self, where: str, value: Any) -> Output | File:
        if isinstance(value, MappedOutput) and self._item is not None:
            if why := not_mapped_over(value, self._axes):
                raise DefinitionError(
                    f"{where} is {value}: {why}; add the axis to over=, or join it in an "
                    "InputPaths argument"
                )
            names = tuple(axis.name for axis in value.axes)
            (output,) = value.grouped(names)[tuple(self._item[name] for name in names)].values()
            return output
        if isinstance(value, (MappedOutput, PartialJoin)):
            raise DefinitionError(f"{where} takes one output; a join needs an InputPaths argument")
        if isinstance(value, Task):
            outputs = value.outputs
            raise DefinitionError(
                f"{where} takes one output of {value.name!r}, {value.name}[{outputs[0]!r}] say"
                f"; known: {', '.join(outputs)}"
            )
        if not isinstance(value, (Output, File)):
            raise DefinitionError(f"{where} takes another task's output or file(), not {value!r}")
        return value

    def _inputs(self, where: str, argument: Argument, value: Any) -> Any:
        found = list(self._listed(where, value))
        if not found:
            raise DefinitionError(f"{where} takes outputs of tasks, not {value!r}")
        if not argument.named:
            return tuple(item for _, item in found)
        named: dict[str, Output | File] = {}
        for name, item in found:
            if name in named:
                raise DefinitionError(
                    f"{where}: two inputs are called {name!r}; name them: {{NAME: ..., NAME: ...}}"
                )
            if not INPUT_NAME.fullmatch(name):
                raise DefinitionError(
                    f"{where}: {name!r} cannot be the name of an input: letters, digits and "
                    "'._+-'; name it: {NAME: ...}"
                )
            named[name] = item
        return named

    def _listed(self, where: str, value: Any) -> Iterator[Named]:
        """Yield every artifact in ``value`` under its name, in order."""
        if isinstance(value, Mapping):
            for name, each in value.items():
                for inner, item in self._one(where, each, value):
                    joins = isinstance(each, (MappedOutput, PartialJoin))
                    yield (f"{name}/{inner}" if joins else str(name)), item
            return
        for each in value if isinstance(value, (list, tuple)) else (value,):
            yield from self._one(where, each, value)

    def _one(self, where: str, each: Any, value: Any) -> Iterator[Named]:
        if isinstance(each, MappedOutput):
            yield from each.grouped(())[()].items()
        elif isinstance(each, PartialJoin):
            yield from self._agreeing(where, each).items()
        elif isinstance(each, (Output, File)):
            yield str(each), each
        else:
            raise DefinitionError(f"{where} takes outputs of tasks, not {value!r}")

    def _agreeing(self, where: str, join: PartialJoin) -> dict[str, Output]:
        """Return the outputs that agree with this map's item on the axes of a partial join."""
        axes = [axis for axis in join.mapped.axes if axis.name in join.by]
        missing = [axis.name for axis in axes if not has(self._axes, axis)]
        if self._item is None or missing:
            raise DefinitionError(
                f"{where} is {join}: this takes a map over {', '.join(missing or join.by)}, with "
                "the same items"
            )
        return join.mapped.grouped(join.by)[tuple(self._item[name] for name in join.by)]


def bound(
    label: str, interface: Mapping[str, Argument], given: Mapping[str, Any], binding: Binding
) -> dict[str, Any]:
    """Check all arguments of a task; return those that are set.

    Raises:
        DefinitionError: one is misspelt, missing or of another type.
    """
    known = {n: a for n, a in interface.items() if a.kind not in ("output", "checkpoint")}
    for name in given:
        if name not in known:
            raise DefinitionError(
                f"task {label!r} takes no argument {name!r}{nearest(name, known)}"
            )
    missing = [n for n, a in known.items() if a.required and n not in given]
    if missing:
        raise DefinitionError(f"task {label!r} lacks {', '.join(missing)}")
    # None keeps the step's default
    return {n: binding.bind(known[n], value) for n, value in given.items() if value is not None}


def _scalar(where: str, kind: type, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DefinitionError(f"{where} takes {kind.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionError(f"{where} is {value!r}; it must be finite")
    return value
