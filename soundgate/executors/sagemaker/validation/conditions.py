"""Checks whether a condition can be evaluated: its operator and its operands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate.errors import nearest
from soundgate.executors.sagemaker.validation.shapes import Mistake, function_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ORDERINGS = ("GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo")
COMPARISONS = ("Equals", *ORDERINGS)
OPERANDS = {
    **dict.fromkeys(COMPARISONS, ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Expression",),
    "Or": ("Conditions",),
}
"""The operators and the operands of each."""


def condition_mistakes(
    arguments: Mapping[str, Any], parameters: Mapping[str, Mapping[str, Any]]
) -> Iterator[Mistake]:
    """Yield what is wrong with a Condition step's arguments, without the steps in its branches."""
    known = ("Conditions", "IfSteps", "ElseSteps")
    for name in arguments:
        if name not in known:
            yield f"Arguments.{name}", f"no such field{nearest(name, known)}"
    for name in known[1:]:
        if not isinstance(arguments.get(name, []), list):
            yield f"Arguments.{name}", "expected a list of steps"
    yield from _all(arguments.get("Conditions"), "Arguments.Conditions", parameters)


def _all(conditions: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    if not isinstance(conditions, list) or not conditions:
        yield at, "expected a list of at least one condition"
        return
    for index, condition in enumerate(conditions):
        yield from _one(condition, f"{at}[{index}]", parameters)


def _one(condition: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    if not isinstance(condition, dict):
        yield at, f"expected fields with values, not {condition!r}"
        return
    kind = str(condition.get("Type"))
    if kind not in OPERANDS:
        yield f"{at}.Type", f"no operator {kind!r}{nearest(kind, OPERANDS)}"
        return
    fields = ("Type", *OPERANDS[kind])
    for name in condition:
        if name not in fields:
            yield f"{at}.{name}", f"{kind} has no such field{nearest(name, fields)}"
    for name in OPERANDS[kind]:
        if name not in condition:
            yield f"{at}.{name}", "is required, and missing"
        elif kind == "Or":
            yield from _all(condition[name], f"{at}.{name}", parameters)
        elif kind == "Not":
            yield from _one(condition[name], f"{at}.{name}", parameters)
        elif kind in ORDERINGS:
            yield from _number(condition[name], f"{at}.{name}", parameters)


def _number(operand: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    """Check that an ordering compares numbers: with a text, the step fails when it is reached."""
    if function_of(operand) == "Get":
        name = str(operand["Get"]).removeprefix("Parameters.")
        kind = parameters.get(name, {}).get("Type", "Float")
        if kind not in ("Integer", "Float"):
            yield at, f"{operand['Get']} is of type {kind}; an ordering compares numbers"
    elif function_of(operand) == "Std:Join":
        yield at, "Std:Join gives a text; an ordering compares numbers"
    elif function_of(operand) is None and (
        isinstance(operand, bool) or not isinstance(operand, (int, float))
    ):
        yield at, f"expected a number, not {operand!r}"
