"""Values that know which parameter they are.

A value handed straight on to a step keeps its parameter's name, so that an executor whose engine
has parameters (SageMaker, Kubeflow) can leave it open until the start of an execution.
"""

from __future__ import annotations

from typing import Any


class NamedInt(int):
    """An int that knows which parameter it is; arithmetic gives a plain int."""

    parameter: str


class NamedFloat(float):
    """A float that knows which parameter it is; arithmetic gives a plain float."""

    parameter: str


class NamedStr(str):
    """A str that knows which parameter it is; anything made of it is a plain str."""

    __slots__ = ("parameter",)
    parameter: str


def named(value: Any, parameter: str) -> Any:
    """Return ``value`` carrying its parameter's name; bools and lists are returned as they are."""
    for plain, carrier in ((str, NamedStr), (int, NamedInt), (float, NamedFloat)):
        if type(value) is plain:
            tagged = carrier(value)
            tagged.parameter = parameter
            return tagged
    return value


def parameter_of(value: Any) -> str | None:
    """Return the parameter a task's argument was handed straight from, or None."""
    return getattr(value, "parameter", None)
