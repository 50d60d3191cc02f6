"""Conditions of a ConditionStep."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from definition_runner.errors import StepFailed
from definition_runner.expressions import Scope, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Tell whether a condition holds.

    Raises:
        StepFailed: there is no such condition, or a number is compared with text.
    """
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Expression"], scope)
    if kind == "Or":
        return any(holds(each, scope) for each in condition["Conditions"])
    if kind == "In":
        return bool(
            evaluate(condition["QueryValue"], scope) in evaluate(condition["Values"], scope)
        )
    if kind not in _COMPARISONS:
        raise StepFailed(f"ClientError: no condition type {kind!r}")
    left, right = (evaluate(condition[side], scope) for side in ("LeftValue", "RightValue"))
    number = [isinstance(v, (int, float)) and not isinstance(v, bool) for v in (left, right)]
    if number[0] != number[1] or (not all(number) and type(left) is not type(right)):
        raise StepFailed(f"ClientError: {left!r} cannot be compared with {right!r}")
    return bool(_COMPARISONS[kind](left, right))
