"""What documentation says of parameters: type, choices, range, default, meaning, group."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import textwrap
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from soundgate.arguments import spell
from soundgate.bounds import bounds, choices
from soundgate.parameters.config_file import ConfigFile
from soundgate.parameters.table import parameters_of
from soundgate.parameters.values import type_name

if TYPE_CHECKING:
    from soundgate.parameters.table import Parameter

UNITS = {"_s": "seconds", "_hz": "Hz", "_db": "dB", "_gb": "GB", "_frames": "frames"}
"""Suffix of a name to the unit it stands for."""


@dataclass(frozen=True, slots=True)
class Description:
    """One parameter, in words."""

    name: str
    type: str
    """``float, 0 or more, seconds``; ``csv, parquet or jsonl``."""
    default: str
    """As it is written after ``--set NAME=``; empty where it must be given."""
    meaning: str
    group: str
    """The class that declares it."""


def describe(kind: type) -> list[Description]:
    """Return a dataclass's parameters, inherited and held ones included, in order."""
    return [
        Description(
            name=name,
            type=described_type(name, parameter.hint),
            default=_default(parameter),
            meaning=meaning(parameter),
            group=parameter.group.__name__,
        )
        for name, parameter in parameters_of(kind).items()
    ]


def described_type(name: str, hint: Any) -> str:
    """Return a type with its choices, its range and its unit."""
    if hint is ConfigFile:
        return "file"
    known, limits = choices(hint), bounds(hint)
    if known:
        return " | ".join(spelled(each) for each in known)
    unit = next((unit for suffix, unit in UNITS.items() if name.endswith(suffix)), "")
    return ", ".join(filter(None, [type_name(hint), str(limits or ""), unit]))


def spelled(value: Any) -> str:
    """Spell a value as a user would write it.

    >>> spelled(True), spelled([1, 2]), spelled(""), spelled(None)
    ('true', '1,2', '""', 'none')
    """
    if value is None:
        return "none"
    if isinstance(value, ConfigFile):
        return str(value.path)
    if isinstance(value, enum.Enum):
        return spell(value.value)
    if isinstance(value, (list, tuple)):
        plain = ",".join(spelled(each) for each in value)
        return plain if value and plain.count(",") == len(value) - 1 else spell(value)
    return spell(value) or '""'


def _default(parameter: Parameter) -> str:
    field = parameter.field
    if field.default is not dataclasses.MISSING:
        return spelled(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return spelled(field.default_factory())
    return ""


def meaning(parameter: Parameter) -> str:
    """Return the docstring below a parameter; an override without one keeps what it overrides."""
    name = parameter.field.name
    texts = (meanings(each).get(name, "") for each in parameter.group.__mro__)
    return next((text for text in texts if text), "")


@cache
def meanings(kind: type) -> dict[str, str]:
    """Return the docstring below each field of a class's own body, empty where there is none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):  # a class without source, `object` among them
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for node, after in zip(body, [*body[1:], None], strict=True):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = " ".join(str(after.value.value).split())
        found[node.target.id] = text
    return found
