"""What ``Create...`` would refuse in a step's arguments, by botocore's service model."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.validate import ParamValidator

from definition_runner.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATIONS = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "RegisterModel": ("CreateModelPackage", ""),
}
_CLASSES = {
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{L}": "a-zA-Z\u00c0-\uffff",
    r"\p{Z}": r"\s",
    r"\p{N}": "0-9",
    ")${": "){",  # Java may repeat an anchor
}
_ANY_TEXT = (r"\p{P}", r"\uD800")
"""In patterns of descriptions, which take about anything."""


@functools.cache
def _service() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def check(kind: str, arguments: dict[str, Any], job: str) -> None:
    """Refuse arguments that the operation would refuse.

    Raises:
        StepFailed: an unknown field, a wrong type, a missing field, an enum, pattern or length.
    """
    operation, name = OPERATIONS[kind]
    shape = _service().operation_model(operation).input_shape
    given = {**arguments, name: job} if name else arguments
    found = [*_unknown(given, shape, ""), *_constraints(given, shape, "")]
    report = ParamValidator().validate(given, shape)
    if report.has_errors():
        found.insert(0, report.generate_report())
    if found:
        said = "; ".join(found).replace("\n", "; ")
        raise StepFailed(f"ClientError: ValidationException calling {operation}: {said}")


def _unknown(value: Any, shape: Any, where: str) -> Iterator[str]:
    for inner, inner_shape, place in _inside(value, shape, where):
        if inner_shape is None:
            yield f"{place}: unknown field"
        else:
            yield from _unknown(inner, inner_shape, place)


def _constraints(value: Any, shape: Any, where: str) -> Iterator[str]:
    if isinstance(value, str):
        yield from _text(value, shape, where)
    elif isinstance(value, (list, dict)) and len(value) > shape.metadata.get("max", len(value)):
        yield f"{where}: {len(value)} are more than {shape.metadata['max']}"
    for inner, inner_shape, place in _inside(value, shape, where):
        if inner_shape is not None:
            yield from _constraints(inner, inner_shape, place)


def _text(value: str, shape: Any, where: str) -> Iterator[str]:
    limits = shape.metadata
    if limits.get("enum") and value not in limits["enum"]:
        yield f"{where}: {value!r} is not in the enum"
    if len(value) > limits.get("max", len(value)):
        yield f"{where}: {len(value)} characters are more than {limits['max']}"
    pattern = limits.get("pattern")
    if pattern and not _java_pattern(pattern).fullmatch(value):
        yield f"{where}: {value!r} does not match {pattern}"


@functools.cache
def _java_pattern(pattern: str) -> re.Pattern[str]:
    """Translate the Java classes that occur in the service model."""
    if any(each in pattern for each in _ANY_TEXT):
        return re.compile(".*", re.DOTALL)
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.DOTALL)


def _inside(value: Any, shape: Any, where: str) -> Iterator[tuple[Any, Any, str]]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for key, inner in value.items():
            yield inner, shape.members.get(key), f"{where}.{key}".lstrip(".")
    elif shape.type_name == "list" and isinstance(value, list):
        for index, inner in enumerate(value):
            yield inner, shape.member, f"{where}[{index}]"
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, inner in value.items():
            yield key, shape.key, f"{where}[{key!r}]"
            yield inner, shape.value, f"{where}[{key!r}]"
