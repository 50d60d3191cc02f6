"""What a step's signature says: its arguments, and how they are spelt on a command line."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints

from soundgate.errors import DefinitionError, nearest

InputPath = Annotated[Path, "input"]
"""A folder (or file) another task wrote, or one known when the pipeline was declared."""

InputPaths = Annotated[list[Path], "inputs"]
"""Several of them: the join of a ``map``."""

NamedInputPaths = Annotated[dict[str, Path], "inputs"]
"""Several of them by name: items of a ``map`` by theirs (``v3``; of two axes, ``large/v3``), a
single task's output as ``task/output``. On a command line ``--reports v3=FOLDER v4=FOLDER``."""

OutputPath = Annotated[Path, "output"]
"""A folder the step fills; it exists and is empty when the step is called."""

CheckpointPath = Annotated[Path, "checkpoint"]
"""A folder that survives a killed attempt and is not an output; None where there is none."""

StepFunction = Callable[..., None]
Scalar = str | int | float | bool
SCALARS: tuple[type, ...] = (str, int, float, bool)
RESERVED = ("context", "help")
"""Flags that every step has."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a step: name, kind, scalar type, whether it is a list, default."""

    name: str
    kind: str  # "input" | "inputs" | "output" | "checkpoint" | "parameter"
    type: type
    is_list: bool = False
    default: Any = inspect.Parameter.empty
    named: bool = False
    """Whether the step is told the names of its several inputs."""

    @property
    def required(self) -> bool:
        """Whether the pipeline has to supply a value."""
        supplied = self.kind in ("output", "checkpoint")
        return not supplied and self.default is inspect.Parameter.empty

    @property
    def flag(self) -> str:
        """The command-line flag, ``--learning-rate`` for ``learning_rate``."""
        return "--" + self.name.replace("_", "-")


def interface(function: StepFunction) -> dict[str, Argument]:
    """Read a step's interface from its signature, in order.

    Raises:
        DefinitionError: an argument has a type that cannot travel on a command line, or the name
            of a flag that every step has.
    """
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        where = f"{function.__module__}.{function.__name__}: argument {name!r}"
        if name in RESERVED:
            raise DefinitionError(f"{where}: every step has a flag --{name} already; rename it")
        kind, base, is_list, named = _classify(hints.get(name), where)
        if kind == "checkpoint" and parameter.default is not None:
            raise DefinitionError(f"{where} is a CheckpointPath; its default must be None")
        found[name] = Argument(name, kind, base, is_list, parameter.default, named)
    return found


def _classify(hint: Any, where: str) -> tuple[str, type, bool, bool]:
    if get_origin(hint) in (Union, UnionType):
        rest = [part for part in get_args(hint) if part is not NoneType]
        hint = rest[0] if len(rest) == 1 and get_origin(rest[0]) in (Annotated, list) else hint
    if get_origin(hint) is Annotated:
        holds, kind = get_args(hint)
        return kind, Path, kind == "inputs", get_origin(holds) is dict
    if hint in SCALARS:
        return "parameter", hint, False, False
    if get_origin(hint) is list and get_args(hint)[0] in SCALARS:
        return "parameter", get_args(hint)[0], True, False
    raise DefinitionError(
        f"{where} is {hint!r}; a step takes InputPath, InputPaths, NamedInputPaths, OutputPath, "
        "CheckpointPath, str, int, float, bool or a list of those"
    )


def spell(value: Any) -> str:
    """Spell a value as every executor puts it on a command line.

    >>> spell(True), spell(1e-5), spell([1, 2]), spell("a b")
    ('true', '1e-05', '[1, 2]', 'a b')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value), ensure_ascii=False)
    return str(value)


def parse_scalar(kind: type, text: str) -> Scalar:
    """Read a scalar however an engine spells it: ``160`` or ``160.0``, ``1e-05`` or ``0.00001``."""
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if kind is int:
        if re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        with suppress(ValueError):
            if (number := float(text)).is_integer():
                return int(number)
        raise ValueError(f"{text!r} is not a whole number")
    return float(text) if kind is float else text


def _parse_list(kind: type, texts: Sequence[str]) -> list[Any]:
    """Accept one JSON array, or the items as separate words."""
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        try:
            texts = [spell(item) for item in json.loads(texts[0])]
        except (json.JSONDecodeError, RecursionError):
            raise ValueError(f"{texts[0]!r} is not a JSON list") from None
    return [Path(text) if kind is Path else parse_scalar(kind, text) for text in texts]


def _parse_named(texts: Sequence[str]) -> dict[str, Path]:
    """Read ``NAME=PATH`` words, in their order."""
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise ValueError(f"{text!r} is not NAME=PATH")
        if name in found:
            raise ValueError(f"two inputs are called {name!r}")
        found[name] = Path(path)
    return found


class Parser(argparse.ArgumentParser):
    """Reads a command line; a mistake is one line and exit 2."""

    def error(self, message: str) -> NoReturn:
        """Say it in one line, without the usage."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser(function: StepFunction, arguments: Sequence[Argument]) -> Parser:
    parser = Parser(
        prog=f"python -m {module_name(function)}",
        description=inspect.getdoc(inspect.getmodule(function)) or inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in arguments:
        optional = argument.default is not inspect.Parameter.empty
        default = f"; default {spell(argument.default)}" if optional else ""
        parser.add_argument(
            argument.flag,
            required=not optional,
            nargs="*" if argument.is_list else None,
            help=f"{argument.kind}, {argument.type.__name__}{default}".replace("%", "%%"),
        )
    return parser


def module_name(function: StepFunction) -> str:
    """Return the name by which ``python -m`` finds a step, also while it runs as a program."""
    spec = getattr(sys.modules.get(function.__module__), "__spec__", None)
    return spec.name if spec is not None else function.__module__


def parse(function: StepFunction, argv: Sequence[str]) -> dict[str, Any]:
    """Read a step's argument values from a command line; a mistake ends the program with exit 2."""
    arguments = interface(function)
    parser = _parser(function, list(arguments.values()))
    values: dict[str, Any] = {}
    found, unknown = parser.parse_known_args(list(argv))
    if unknown:
        hint = nearest(unknown[0].partition("=")[0], [a.flag for a in arguments.values()])
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    for name, text in vars(found).items():
        argument = arguments[name]
        if text is None:
            values[name] = argument.default
            continue
        try:
            if argument.named:
                values[name] = _parse_named(text)
            elif argument.is_list:
                values[name] = _parse_list(argument.type, text)
            elif argument.type is Path:
                values[name] = Path(text)
            else:
                values[name] = parse_scalar(argument.type, text)
        except ValueError as error:
            parser.error(f"argument {argument.flag}: {error}")
    return values
