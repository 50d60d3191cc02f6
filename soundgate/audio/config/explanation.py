"""What is wrong with a config, in one line: file, line, dotted key and the fix."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from soundgate.audio.config.sections.section import spellings
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soundgate.audio.config.document import Document

Path = tuple[str | int, ...]

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text; put it in quotes",
    "tuple": "a list",
    "model": "a section (key: value lines)",
    "dict": "a section (key: value lines)",
}


def _as_written(path: Path) -> Path:
    return path


def _none(_section: Path) -> Sequence[str]:
    return ()


def explain(
    error: ValidationError,
    document: Document,
    config: type[BaseModel],
    origin: Callable[[Path], Path] = _as_written,
    also_known: Callable[[Path], Sequence[str]] = _none,
) -> ConfigError:
    """The first fault of ``error`` in one line.

    Args:
        error: of reading ``document`` as ``config``.
        document: the file.
        config: the class of the whole config.
        origin: where in the file a value stands that was moved before it was read.
        also_known: further keys of a section that a misspelt one may mean.
    """
    details = error.errors(include_url=False, include_context=True)
    # An unknown key often is the cause of what else is wrong, so it is told first.
    detail = min(details, key=lambda item: item["type"] != "extra_forbidden")
    location = detail["loc"]
    while location and detail["type"] != "extra_forbidden" and not _is_key(config, location):
        location = location[:-1]
    if detail["type"] == "extra_forbidden":
        hint = nearest_key(config, str(location[-1]), location[:-1], also_known)
        problem = f"unknown key{hint}"
    else:
        problem = _problem(dict(detail))
    written = origin(location)
    dotted = ".".join(str(part) for part in written)
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    text = f"{dotted}: {problem}{more}" if dotted else f"{problem}{more}"
    return document.error(text, line=document.line(written))


def nearest_key(
    config: type[BaseModel],
    word: str,
    section: Path,
    also_known: Callable[[Path], Sequence[str]] = _none,
) -> str:
    """The hint for an unknown key; keys that are ``also_known`` count, but are not listed."""
    others = list(also_known(section))
    model = _section_at(config, section)
    fields = {} if model is None else model.model_fields
    own = [field.alias or name for name, field in fields.items()]
    hint = nearest(word, own + others)
    return hint if "did you mean" in hint else nearest(word, own or others)


def _is_key(config: type[BaseModel], location: Path) -> bool:
    """Whether ``location`` is a place in the file; pydantic appends the members of a union."""
    if isinstance(location[-1], int):
        return True
    section = _section_at(config, location[:-1])
    return section is not None and location[-1] in spellings(section)


def _problem(detail: dict[str, Any]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "literal_error":
        choices = detail["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"expected {', '.join(choices)}; got {value!r}{_meant(value, choices)}"
    if kind in {"value_error", "number"}:
        return str(detail["msg"]).removeprefix("Value error, ")
    noun, _, verb = kind.partition("_")
    if noun in _EXPECTED and verb in {"type", "parsing", "from_float", "attributes_type"}:
        return f"expected {_EXPECTED[noun]}; got {_short(value)}"
    return f"{detail['msg'][0].lower()}{detail['msg'][1:]}; got {_short(value)}"


def _meant(value: Any, choices: list[str]) -> str:
    hint = nearest(str(value), choices)
    return hint if "did you mean" in hint else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _section_at(config: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The class of the section at ``path``; None where there is no such section."""
    model = config
    for part in path:
        field = next(
            (field for name, field in model.model_fields.items() if part in {name, field.alias}),
            None,
        )
        if field is None:
            return None
        members = (field.annotation, *typing.get_args(field.annotation))
        inner = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model
