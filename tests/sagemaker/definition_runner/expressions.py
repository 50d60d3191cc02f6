"""References and functions in a definition: ``Get``, ``Std:Join``, ``Std:JsonGet``.

Source: "Amazon SageMaker Pipelines Properties", and the JSON that the SageMaker SDK writes.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from definition_runner.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FUNCTIONS = ("Get", "Std:Join", "Std:JsonGet")
_PATH = re.compile(r"(?:^|\.)([^.\[\]]+)|\['([^']+)'\]|\[(\d+)\]")
_NAMES = ("OutputName", "InputName", "ChannelName", "PropertyFileName")


@dataclass(frozen=True)
class Scope:
    """What expressions of one execution can refer to."""

    parameters: Mapping[str, Any]
    variable: Callable[[str], str]
    """The value of ``Execution.<name>``."""
    properties: Callable[[str], Mapping[str, Any]]
    """What a step that has run describes itself by."""
    report: Callable[[str, str], bytes]
    """Content of a property file, by step and PropertyFileName."""
    content: Callable[[str], bytes]
    """Content of an object, by its S3 URI."""
    java_numbers: bool = False
    """Numbers in text as Java prints doubles."""


def is_function(value: Any) -> bool:
    """Whether ``value`` is a reference or a function call."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in FUNCTIONS


def evaluate(value: Any, scope: Scope) -> Any:
    """Replace every reference and function call in ``value``."""
    if is_function(value):
        name, operand = next(iter(value.items()))
        if name == "Get":
            return _get(operand, scope)
        if name == "Std:Join":
            words = [evaluate(item, scope) for item in operand["Values"]]
            return operand.get("On", "").join(text(w, java=scope.java_numbers) for w in words)
        return _json_get(operand, scope)
    if isinstance(value, dict):
        return {key: evaluate(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluate(item, scope) for item in value]
    return value


def text(value: Any, *, java: bool = False) -> str:
    """Print a value into text.

    Which way the service prints numbers is not documented; what reads them must take both.

    >>> text(0.0001), text(160), text(0.0001, java=True), text(160, java=True)
    ('0.0001', '160', '1.0E-4', '160.0')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _java(float(value)) if java else str(value)
    if not isinstance(value, str):
        raise StepFailed(f"ClientError: {value!r} cannot be joined into text")
    return value


def _java(value: float) -> str:
    """Print as ``Double.toString``: plain from 1e-3 to below 1e7, else with an exponent."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return f"{value:f}".rstrip("0") + "0" if value.is_integer() else repr(value)
    mantissa, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        exponent = str(math.floor(math.log10(abs(value))))
        mantissa = repr(float(f"{value}e{-int(exponent)}"))
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def walk(value: Any, path: str) -> Any:
    """Follow ``a.b['name'][0]``; items of named lists are found by their name.

    Raises:
        LookupError: there is nothing at that path, or it is no path.
    """
    matches = list(_PATH.finditer(path))
    if "".join(m[0] for m in matches) != path or not path:
        raise LookupError(f"{path!r} is no path")
    for dotted, quoted, index in (m.groups() for m in matches):
        if index is not None:
            value = value[int(index)] if isinstance(value, list) else _nothing(path)
        elif isinstance(value, list):
            value = _named(value, quoted or dotted)
        elif isinstance(value, dict):
            value = value[quoted or dotted]
        else:
            _nothing(path)
    return value


def _named(items: list[Any], name: str) -> Any:
    for item in items:
        if name in (item.get(key) for key in _NAMES):
            return item
    raise LookupError(name)


def _nothing(path: str) -> NoReturn:
    raise LookupError(path)


def _get(path: str, scope: Scope) -> Any:
    space, _, rest = path.partition(".")
    if space == "Parameters":
        return scope.parameters[rest]
    if space == "Execution":
        return scope.variable(rest)
    step, _, inside = rest.partition(".")
    try:
        return walk(scope.properties(step), inside)
    except LookupError as error:
        raise StepFailed(f"ClientError: {path}: the step has no such property") from error


def _json_get(operand: Mapping[str, Any], scope: Scope) -> Any:
    path = operand["Path"]
    if "PropertyFile" in operand:
        _, step, _, name = operand["PropertyFile"]["Get"].split(".", 3)
        content, where = scope.report(step, name), f"property file {name} of {step}"
    else:
        where = evaluate(operand["S3Uri"], scope)
        content = scope.content(where)
    try:
        found = walk(json.loads(content, parse_constant=_no_constant), path)
    except ValueError as error:
        raise StepFailed(f"ClientError: {where} is not JSON: {error}") from error
    except LookupError as error:
        raise StepFailed(f"ClientError: JsonGet found nothing at {path!r} in {where}") from error
    if isinstance(found, (dict, list)) or found is None:
        raise StepFailed(f"ClientError: JsonGet found no scalar at {path!r} in {where}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
