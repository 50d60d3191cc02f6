"""Values as the backend holds and prints them.

A parameter travels as ``google.protobuf.Value``, so every number is a double; on a command line it
is printed by Go: ``FormatFloat(v, 'f', -1, 64)`` (``0.00001``, ``160``), and a list or structure as
JSON with sorted keys and ``<``, ``>``, ``&`` escaped. Source: KFP's launcher and ``protojson``.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

from ir_runner.messages import pb

Type = pb.ParameterType
TRUE = {"1", "t", "T", "TRUE", "true", "True"}
FALSE = {"0", "f", "F", "FALSE", "false", "False"}


class ValueMismatchError(Exception):
    """A value is not of the type that was declared for it."""


def plain(value: Any) -> Any:
    """Return a JSON value as the backend holds it: numbers are floats."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return {str(key): plain(each) for key, each in value.items()}


def of_message(value: Any) -> Any:
    """Return a ``google.protobuf.Value`` as plain Python."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: of_message(each) for key, each in value.struct_value.fields.items()}
    if kind == "list_value":
        return [of_message(each) for each in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)


def number(value: float) -> str:
    """Print a number as Go's ``FormatFloat(value, 'f', -1, 64)`` does.

    >>> number(1e-5), number(160.0), number(-0.25), number(1e22)
    ('0.00001', '160', '-0.25', '10000000000000000000000')
    """
    return re.sub(r"\.0*$", "", format(Decimal(repr(float(value))), "f"))


def _json_number(value: float) -> str:
    if value and not 1e-6 <= abs(value) < 1e21:
        return re.sub(r"e([+-])0*(\d+)$", r"e\1\2", repr(float(value)))
    return number(value)


def to_json(value: Any) -> str:
    """Print a value as ``protojson`` does, without its random spaces."""
    if isinstance(value, dict):
        pairs = (f"{to_json(str(key))}:{to_json(value[key])}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(to_json(each) for each in value) + "]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _json_number(value)
    return json.dumps(value, ensure_ascii=False)


def text(value: Any) -> str:
    """Print a value as it replaces a placeholder."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number(value)
    escapes = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
    return to_json(value).translate(escapes)


def of_text(written: str, kind: int) -> Any:
    """Read an output parameter's file.

    Raises:
        ValueMismatchError: the text is not of that type.
    """
    name = Type.ParameterTypeEnum.Name(kind)
    stripped = written.strip()
    if kind == Type.STRING:
        return written
    if kind == Type.BOOLEAN:
        if stripped not in TRUE | FALSE:
            raise ValueMismatchError(f"{written!r} is no {name}")
        return stripped in TRUE
    if kind == Type.NUMBER_INTEGER and not re.fullmatch(r"[+-]?\d+", stripped):
        raise ValueMismatchError(f"{written!r} is no {name}")
    try:
        value = float(stripped) if kind in NUMBERS else json.loads(written)
    except ValueError:
        raise ValueMismatchError(f"{written!r} is no {name}") from None
    if kind not in NUMBERS and not isinstance(value, _PYTHON.get(kind, ())):
        raise ValueMismatchError(f"{written!r} is no {name}")
    return plain(value)


NUMBERS = (Type.NUMBER_DOUBLE, Type.NUMBER_INTEGER)
_PYTHON: dict[int, type | tuple[type, ...]] = {
    Type.NUMBER_DOUBLE: (int, float),
    Type.NUMBER_INTEGER: (int, float),
    Type.BOOLEAN: bool,
    Type.LIST: list,
    Type.STRUCT: dict,
    Type.TASK_FINAL_STATUS: dict,
    Type.TASK_CONFIG: dict,
}


def coerce(value: Any, kind: int) -> Any:
    """Return the value as an input of that type receives it: a string takes everything as text.

    Raises:
        ValueMismatchError: the type does not fit.
    """
    if kind == Type.STRING:
        return value if isinstance(value, str) else text(value)
    wanted = _PYTHON.get(kind, object)
    is_flag = isinstance(value, bool) and kind != Type.BOOLEAN
    if value is None or is_flag or not isinstance(value, wanted):
        name = Type.ParameterTypeEnum.Name(kind)
        raise ValueMismatchError(f"type mismatch: expect {name}, got {value!r}")
    if kind in NUMBERS and not math.isfinite(value):
        raise ValueMismatchError(f"{value!r} cannot be written as JSON")
    return plain(value)
