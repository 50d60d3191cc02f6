"""Site profiles: YAML files that are read and checked in the same way for every engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from soundgate.errors import ConfigError, nearest, unreadable

P = TypeVar("P", bound=BaseModel)


def read(path: str, example: str) -> dict[str, Any]:
    """Return the fields of a profile; none where ``path`` is empty.

    Args:
        path: the file.
        example: a field with a value, shown in the error message.

    Raises:
        ConfigError: the file is absent, not YAML, or not a mapping.
    """
    if not path:
        return {}
    from soundgate.text import yaml as yaml_text

    try:
        fields: Any = yaml_text.load(Path(path).read_text("utf-8")) or {}
    except OSError as error:
        raise unreadable(f"--profile {path}", error, ConfigError) from error
    except ValueError as error:
        raise ConfigError(f"--profile {path}: is not YAML: {error}") from error
    if not isinstance(fields, dict):
        raise ConfigError(f"--profile {path}: expected fields with values, for example {example}")
    return fields


def check(kind: type[P], fields: dict[str, Any], where: str) -> P:
    """Return a profile of these fields.

    Args:
        kind: the engine's profile.
        fields: what was given.
        where: the origin to name in errors, for example ``--profile FILE``.

    Raises:
        ConfigError: a field is unknown or wrong.
    """
    try:
        return kind(**fields)
    except TypeError as error:
        raise ConfigError(f"{where}: a field name is not text: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first(kind, error)}") from error


def _first(kind: type[BaseModel], error: ValidationError) -> str:
    """The first mistake in one line: where, what, and the nearest right word."""
    mistake = error.errors()[0]
    path = [str(part) for part in mistake["loc"]]
    if mistake["type"] == "extra_forbidden":
        for part in path[:-1]:
            kind = _section(kind, part)
        return f"unknown field {'.'.join(path)}{nearest(path[-1], kind.model_fields)}"
    said = mistake["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path)}: {said}, got {mistake['input']!r}" if path else said


def _section(kind: type[BaseModel], part: str) -> type[BaseModel]:
    """The type of a section of a profile; the profile's own where ``part`` counts items."""
    waiting = [kind.model_fields[part].annotation] if part in kind.model_fields else []
    while waiting:
        hint = waiting.pop()
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            return hint
        waiting += get_args(hint)
    return kind
