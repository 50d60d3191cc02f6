"""Checks the arguments of a step against the job's own API, field by field.

botocore contains the service's model of every operation: names, types, enumerations, lengths and
patterns. A step's arguments are those of CreateProcessingJob, CreateTrainingJob or
CreateModelPackage, with the functions of pipelines (``Get``, ``Std:Join``, ``Std:JsonGet``) where a
plain value is allowed.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from soundgate.errors import MissingExtra, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FUNCTIONS = ("Get", "Std:Join", "Std:JsonGet")
OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
}
"""The call that SageMaker makes for a step of each type."""
DESCRIPTIONS = {
    "Processing": "DescribeProcessingJob",
    "Training": "DescribeTrainingJob",
    "RegisterModel": "DescribeModelPackage",
}
"""The answer whose fields other steps may refer to."""
NAMED_BY_SERVICE = frozenset({"ProcessingJobName", "TrainingJobName"})
"""Fields that the calls require but that the pipeline's execution sets."""
NUMBERS: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
PARAMETER_TYPES = {
    "String": ("string",),
    "Integer": ("integer", "long", "float", "double"),
    "Float": ("float", "double"),
    "Boolean": ("boolean",),
}
"""Which fields a pipeline parameter of each type may fill."""

Mistake = tuple[str, str]
"""A field and its problem."""


@functools.cache
def loader() -> Any:
    """Return the loader of botocore's models.

    One per process, shared with the clients, because it caches.

    Raises:
    MissingExtra: botocore is not installed.
    """
    try:
        from botocore.loaders import create_loader
    except ImportError as error:
        raise MissingExtra("boto3 is not installed; pip install 'soundgate[aws]'") from error
    return create_loader()


@functools.cache
def service_model() -> Any:
    """Return botocore's model of SageMaker; loaded once per process, 0.1 s."""
    models = loader()
    from botocore.model import ServiceModel

    return ServiceModel(models.load_service_model("sagemaker", "service-2"), "sagemaker")


def input_shape(operation: str) -> Any:
    """Return the input shape of an operation."""
    return service_model().operation_model(operation).input_shape


def output_shape(operation: str) -> Any:
    """Return the output shape of an operation."""
    return service_model().operation_model(operation).output_shape


def function_of(value: Any) -> str | None:
    """Return which of the pipelines' functions a value is, or None."""
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        return name if name in FUNCTIONS else None
    return None


def mistakes(
    step_type: str, arguments: Any, parameters: Mapping[str, Mapping[str, Any]]
) -> Iterator[Mistake]:
    """Yield what is wrong with a step's arguments.

    Args:
        step_type: a key of ``OPERATIONS``.
        arguments: the step's ``Arguments``.
        parameters: the definition's parameters by name; their possible values are checked as well.
    """
    shape = input_shape(OPERATIONS[step_type])
    yield from _structure(shape, arguments, "Arguments", parameters)


def _walk(shape: Any, value: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    kind = shape.type_name
    if kind == "structure":
        yield from _structure(shape, value, at, parameters)
    elif kind == "list":
        yield from _list(shape, value, at, parameters)
    elif kind == "map":
        yield from _map(shape, value, at, parameters)
    elif function_of(value):
        yield from _function(shape, value, at, parameters)
    else:
        yield from _leaf(shape, value, at)


def _structure(shape: Any, value: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield at, f"expected fields with values, not {_short(value)}"
        return
    for name, inner in value.items():
        if name not in shape.members:
            yield f"{at}.{name}", f"no such field{_nearest(name, shape.members)}"
            continue
        yield from _walk(shape.members[name], inner, f"{at}.{name}", parameters)
    for name in shape.required_members:
        if name not in value and name not in NAMED_BY_SERVICE:
            yield f"{at}.{name}", "is required, and missing"


def _list(shape: Any, value: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    if not isinstance(value, list):
        yield at, f"expected a list, not {_short(value)}"
        return
    yield from _size(shape, len(value), at, "entries")
    for index, inner in enumerate(value):
        yield from _walk(shape.member, inner, f"{at}[{index}]", parameters)


def _map(shape: Any, value: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield at, f"expected names with values, not {_short(value)}"
        return
    yield from _size(shape, len(value), at, "entries")
    for name, inner in value.items():
        yield from _leaf(shape.key, name, f"{at}[{name!r}]")
        yield from _walk(shape.value, inner, f"{at}[{name!r}]", parameters)


def _leaf(shape: Any, value: Any, at: str) -> Iterator[Mistake]:
    kind = shape.type_name
    if kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, NUMBERS[kind]):
            article = "an integer" if NUMBERS[kind] == (int,) else "a number"
            yield at, f"expected {article}, not {_short(value)}"
            return
        number: Any = value
        yield from _size(shape, number, at, "")
    elif kind == "boolean":
        if not isinstance(value, bool):
            yield at, f"expected true or false, not {_short(value)}"
    elif kind == "string":
        if not isinstance(value, str):
            yield at, f"expected a text, not {_short(value)}"
            return
        yield from _text(shape, value, at)


def _text(shape: Any, value: str, at: str) -> Iterator[Mistake]:
    if shape.enum:
        if value not in shape.enum:
            yield at, f"{value!r} is none of its values{_nearest(value, shape.enum)}"
        return
    yield from _size(shape, len(value), at, "characters")
    form = _pattern(shape.metadata.get("pattern", ""))
    if form and not form.fullmatch(value):
        yield at, f"{_short(value)} does not have the form {form.pattern}"


def _size(shape: Any, size: float, at: str, unit: str) -> Iterator[Mistake]:
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    shown = f"{size} {unit}".strip()
    if most is not None and size > most:
        yield at, f"{shown}: at most {most}"
    if least is not None and size < least:
        yield at, f"{shown}: at least {least}"


def _function(shape: Any, value: Any, at: str, parameters: Any) -> Iterator[Mistake]:
    """Check the possible results of a function.

    A parameter's values, or a text joined from known parts.
    """
    kind = shape.type_name
    name = function_of(value)
    inner = value[name]
    if name == "Std:Join" and kind != "string":
        yield at, "Std:Join gives a text, and a number or true/false is expected"
    known = parameters.get(_parameter(value) or "")
    if known is not None:
        fits = PARAMETER_TYPES.get(str(known.get("Type")), ())
        if kind not in fits:
            remedy = "; make it a text with Std:Join" if kind == "string" else ""
            yield at, f"{inner} is of type {known.get('Type')}, expected {kind}{remedy}"
            return
        for possible in (*_defaults(known), *known.get("EnumValues", [])):
            for _, wrong in _leaf(shape, possible, at):
                yield at, f"{inner} may be {possible!r}: {wrong}"
    elif name == "Std:Join" and kind == "string":
        text = joined(value, parameters)
        if text is not None:
            yield from _text(shape, text, at)


def joined(value: Any, parameters: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the text of a value with the parameters' defaults.

    None if only a run determines it.
    """
    if function_of(value) == "Std:Join":
        join = value["Std:Join"]
        if not isinstance(join, dict) or not isinstance(join.get("Values"), list):
            return None
        parts = [joined(part, parameters) for part in join["Values"]]
        return None if None in parts else str(join.get("On", "")).join(p for p in parts if p)
    if function_of(value):
        known = parameters.get(_parameter(value) or "")
        value = known.get("DefaultValue") if known else None
    return None if value is None else str(value)


def _parameter(value: Any) -> str | None:
    """The parameter that a ``Get`` names."""
    path = value.get("Get")
    return path.removeprefix("Parameters.") if isinstance(path, str) else None


def _defaults(parameter: Mapping[str, Any]) -> list[Any]:
    return [parameter["DefaultValue"]] if "DefaultValue" in parameter else []


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """Translate a pattern of the service to Python; None if Python lacks its character classes."""
    for java, python in (("\\p{L}", "\\w"), ("\\p{N}", "\\d"), ("\\p{Z}", "\\s")):
        pattern = pattern.replace(java, python)
    pattern = re.sub(
        r"\$\{\d+,\d+\}$", "", pattern
    )  # a length, which the model also states separately
    try:
        return re.compile(pattern) if pattern else None
    except re.error:
        return None


def _nearest(word: str, known: Any) -> str:
    """Return a hint only for a close match, because the whole list may have hundreds of words."""
    hint = nearest(word, known)
    return hint if len(hint) < 200 else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
