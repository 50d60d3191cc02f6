"""From what a user wrote to a value of a parameter's type."""

from __future__ import annotations

import enum
import json
from typing import Any, Literal, get_args, get_origin

from soundgate.arguments import SCALARS, parse_scalar, spell
from soundgate.bounds import bare, is_optional, refuse
from soundgate.errors import ParameterError

ABSENT = ("none", "null")
"""How a command line spells that an optional parameter has no value."""


def read(where: str, hint: Any, value: Any) -> Any:
    """Return ``value``, which may be text, in its parameter's type.

    Args:
        where: what is named in an error, ``--set epochs``.
        hint: the parameter's type.
        value: text of a command line, or a value of JSON or YAML.

    Raises:
        ParameterError: it is of another type, or outside the type's range or choices.
    """
    if is_optional(hint) and (value is None or str(value).lower() in ABSENT):
        return None
    plain = bare(hint)
    try:
        found = _read(plain, value)
    except (ValueError, TypeError, RecursionError):
        raise ParameterError(f"{where}: expected {type_name(hint)}, not {value!r}") from None
    refuse(where, hint, found)
    return found


def _read(plain: Any, value: Any) -> Any:
    if plain in SCALARS:
        return _scalar(plain, value)
    if get_origin(plain) is list:
        item = bare(get_args(plain)[0])
        return [_read(item, each) for each in _items(value)]
    if get_origin(plain) is Literal:
        return _choice(get_args(plain), value)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        known = {spell(member.value): member for member in plain}
        return known.get(spell(value), value)  # an unknown one is refused with the choices
    raise TypeError


def _choice(known: tuple[Any, ...], value: Any) -> Any:
    """Return the choice that is spelt like ``value``: text of a command line may mean a number."""
    return next((each for each in known if spell(each) == spell(value)), value)


def _scalar(kind: type, value: Any) -> Any:
    if isinstance(value, (list, dict)) or value is None:
        raise TypeError
    return parse_scalar(kind, spell(value))


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        text = value.strip()
        return list(json.loads(text)) if text.startswith("[") else text.split(",") if text else []
    if isinstance(value, dict):
        raise TypeError
    return [value]


def type_name(hint: Any) -> str:
    """Return a type as an error and the documentation name it, choices and ranges left out."""
    plain = bare(hint)
    none = " or none" if is_optional(hint) else ""
    if get_origin(plain) is list:
        return f"list of {type_name(get_args(plain)[0])}{none}"
    if get_origin(plain) is Literal:
        return f"{type(get_args(plain)[0]).__name__}{none}"
    return f"{getattr(plain, '__name__', plain)}{none}"
