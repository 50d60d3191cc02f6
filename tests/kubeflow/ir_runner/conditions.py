"""Conditions and selectors of a task, evaluated by a real CEL library.

``kfp.local`` resolves them by pattern and takes what it does not understand for false, so that a
gate is silently skipped; a CEL that does not parse or does not give a boolean is an error here, as
in the backend.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import celpy
from celpy import celtypes

from ir_runner import values

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExpressionError(Exception):
    """A condition or a selector cannot be evaluated."""


_lock = threading.Lock()  # celpy's parser keeps state
_environment = celpy.Environment(annotations={"parseJson": celtypes.FunctionType})


def _parse_json(written: Any) -> Any:
    return celpy.json_to_cel(values.plain(json.loads(str(written))))


def compile_(expression: str) -> Any:
    """Parse an expression.

    Raises:
        ExpressionError: it is not CEL.
    """
    with _lock:
        try:
            return _environment.compile(expression)
        except celpy.CELParseError as error:
            raise ExpressionError(f"not CEL: {expression}") from error


def _evaluate(expression: str, variables: dict[str, Any]) -> Any:
    tree = compile_(expression)
    with _lock:
        try:
            program = _environment.program(tree, functions={"parseJson": _parse_json})
            return program.evaluate(variables)
        except (celpy.CELEvalError, ValueError, TypeError, KeyError) as error:
            raise ExpressionError(f"{expression}: {error}") from error


def holds(expression: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a trigger condition holds for a task's parameters.

    Raises:
        ExpressionError: it does not parse, reads what is not there, or gives no boolean.
    """
    inputs = celpy.json_to_cel({"parameter_values": dict(parameters)})
    result = _evaluate(expression, {"inputs": inputs})
    if not isinstance(result, (bool, celtypes.BoolType)):
        raise ExpressionError(f"{expression}: gives {result!r}, not a boolean")
    return bool(result)


def select(expression: str, value: Any) -> Any:
    """Return the part of ``value`` that a parameter expression selector names.

    Raises:
        ExpressionError: it does not parse, or there is no such part.
    """
    result = _evaluate(expression, {"string_value": celtypes.StringType(values.text(value))})
    return values.plain(json.loads(json.dumps(result, cls=celpy.CELJSONEncoder)))
