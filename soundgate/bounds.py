"""What values a field may have, declared by its type, for both halves of the library.

    format: Literal["csv", "parquet"] = "csv"        one of these
    hop_s: Annotated[float, Bounds(0)] = 0.0         0 or more
    threshold: Annotated[float, Bounds(0, 1)] = 0.5  0 to 1

One declaration serves the check, the error text and the documentation.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import types
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from soundgate.errors import ParameterError, nearest


@dataclass(frozen=True, slots=True)
class Bounds:
    """A closed range; NaN lies in none."""

    low: float = -math.inf
    high: float = math.inf

    def __contains__(self, value: float) -> bool:
        """Whether ``value`` lies in the range."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        """Say it in words: ``0 to 1``, ``0 or more``, ``at most 1``."""
        if self.low == -math.inf:
            return "any number" if self.high == math.inf else f"at most {self.high:g}"
        if self.high == math.inf:
            return f"{self.low:g} or more"
        return f"{self.low:g} to {self.high:g}"


Fraction = Annotated[float, Bounds(0, 1)]
"""A share, an accuracy, a score."""


@cache
def hints(kind: type) -> dict[str, Any]:
    """Return the types of a class's fields, with what ``Annotated`` adds; once a class."""
    return get_type_hints(kind, include_extras=True)


def bare(hint: Any) -> Any:
    """Return a type without ``Annotated`` and without ``None``; the choices stay."""
    if get_origin(hint) is Annotated:
        return bare(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        rest = [part for part in get_args(hint) if part is not types.NoneType]
        return bare(rest[0]) if len(rest) == 1 else hint
    return hint


def is_optional(hint: Any) -> bool:
    """Whether ``None`` is a value of it."""
    if get_origin(hint) is Annotated:
        return is_optional(get_args(hint)[0])
    return get_origin(hint) in (Union, types.UnionType) and types.NoneType in get_args(hint)


def choices(hint: Any) -> tuple[Any, ...]:
    """Return the values that a ``Literal`` or an enumeration allows; none for other types."""
    plain = bare(hint)
    if get_origin(plain) is Literal:
        return get_args(plain)
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return tuple(member.value for member in plain)
    return ()


def bounds(hint: Any) -> Bounds | None:
    """Return the range that a type declares, its own or that of its one alternative to None."""
    if get_origin(hint) is Annotated:
        own = [extra for extra in get_args(hint)[1:] if isinstance(extra, Bounds)]
        return own[0] if own else bounds(get_args(hint)[0])
    if get_origin(hint) in (Union, types.UnionType):
        return next((found for part in get_args(hint) if (found := bounds(part))), None)
    return None


def unmet(hint: Any, value: Any) -> str:
    """Say what was expected where ``value`` is outside its type's range or choices; else ``""``.

    The type itself is not checked: that is the work of whoever reads the value from text.
    """
    if value is None and is_optional(hint):
        return ""
    plain = bare(hint)
    if get_origin(plain) is list:
        item = get_args(plain)[0]
        return next((said for each in value if (said := unmet(item, each))), "")
    known = choices(hint)
    if known:
        return "" if value in known else one_of(known)
    limits = bounds(hint)
    if isinstance(value, float) and not math.isfinite(value):
        return str(limits) if limits else "a finite number"
    return str(limits) if limits is not None and value not in limits else ""


def one_of(known: tuple[Any, ...]) -> str:
    """List choices in words: ``csv, parquet or jsonl``."""
    *most, last = (str(value) for value in known)
    return f"{', '.join(most)} or {last}" if most else last


def refuse(where: str, hint: Any, value: Any) -> None:
    """Refuse a value outside its type's range or choices, in one line.

    Raises:
        ParameterError: names ``where``, what was expected, and the nearest right word.
    """
    if said := unmet(hint, value):
        known = choices(hint)
        hinted = nearest(str(value), map(str, known)) if known else ""
        close = hinted if "did you mean" in hinted else ""  # the choices are listed already
        raise ParameterError(f"{where}: expected {said}, not {value!r}{close}")


def check_fields(record: Any) -> None:
    """Hold every field of a dataclass against what its type declares.

    Raises:
        ParameterError: names the first field whose value is outside its range or choices.
    """
    kind: type = type(record)
    declared = hints(kind)
    for field in dataclasses.fields(record):
        refuse(field.name, declared[field.name], getattr(record, field.name))
