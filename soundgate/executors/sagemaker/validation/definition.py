"""Finds mistakes that SageMaker would refuse, or accept and fail on hours later.

``shapes`` compares every step's arguments with botocore's model of the service, ``references``
resolves references, ``conditions`` checks comparisons; parameters, names, retries and caching are
checked here. CreatePipeline itself checks little of this.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from soundgate.errors import DefinitionError, ParameterError, nearest
from soundgate.executors.sagemaker.validation import mounts, shapes
from soundgate.executors.sagemaker.validation.conditions import condition_mistakes
from soundgate.executors.sagemaker.validation.references import (
    NestedStep,
    References,
    all_steps,
    dictionaries,
    outputs_of,
)
from soundgate.executors.sagemaker.validation.shapes import Mistake, function_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION = "2020-12-01"
TOP_LEVEL = (
    "Version",
    "Metadata",
    "Parameters",
    "Steps",
    "PipelineExperimentConfig",
    "MlflowConfig",
)
STEP_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PARAMETER_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")
PARAMETER_VALUES: dict[str, type | tuple[type, ...]] = {
    "String": str,
    "Integer": int,
    "Float": (int, float),
    "Boolean": bool,
}
MOST_PARAMETERS, LONGEST_VALUE, LONGEST_MESSAGE = 200, 1024, 3072
LONGEST_DISPLAY_NAME = 256
FIELDS = ("Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description")
MORE_FIELDS = {
    "Processing": ("CacheConfig", "RetryPolicies", "PropertyFiles"),
    "Training": ("CacheConfig", "RetryPolicies"),
    "RegisterModel": ("RetryPolicies",),
    "Model": ("RetryPolicies",),
    "Transform": ("CacheConfig", "RetryPolicies"),
    "Tuning": ("CacheConfig", "RetryPolicies"),
    "Lambda": ("CacheConfig", "FunctionArn", "OutputParameters"),
    "Callback": ("CacheConfig", "SqsQueueUrl", "OutputParameters"),
    "Condition": (),
    "Fail": (),
}
"""What a step of each type may have besides ``FIELDS``."""
STEP_FAULTS = ("Step.SERVICE_FAULT", "Step.THROTTLING")
JOB_FAULTS = (
    "SageMaker.JOB_INTERNAL_ERROR",
    "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
)
RETRY_MOST = {"IntervalSeconds": 86_400, "BackoffRate": 100, "MaxAttempts": 20}
RETRY_MOST["ExpireAfterMin"] = 14_400
RETRY_FIELDS = ("ExceptionType", *RETRY_MOST)
DURATION = re.compile(
    r"\d{1,5}[dDhHmMsS]|P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?"
)


def check(definition: Mapping[str, Any]) -> None:
    """Refuse a definition that cannot work; makes no request and takes 0.1 s.

    Raises:
        DefinitionError: names the step, the field and the nearest right word.
    """
    for step, field, problem in mistakes(definition):
        raise DefinitionError(
            f"step {step!r}: {field}: {problem}" if step else f"{field}: {problem}"
        )


def check_start(definition: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse values that an execution cannot start with.

    Raises:
        ParameterError: a value is unknown, missing, of the wrong type or not allowed.
    """
    declared = {each["Name"]: each for each in definition.get("Parameters", [])}
    for name, value in values.items():
        if name not in declared:
            raise ParameterError(f"unknown parameter {name}{nearest(name, declared)}")
        for _, problem in _value_mistakes(declared[name], value, "value"):
            raise ParameterError(f"parameter {name}: {problem}")
    for name, parameter in declared.items():
        if values.get(name, parameter.get("DefaultValue")) is None:
            raise ParameterError(
                f"parameter {name} has no value: set {name} in the profile (--profile FILE)"
            )


def mistakes(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (step, field, problem) for every mistake; the step is empty outside steps."""
    for field, problem in _top_mistakes(definition):
        yield "", field, problem
    listed = dictionaries(definition, "Parameters")
    parameters = {str(each.get("Name")): each for each in listed}
    every = list(all_steps(definition.get("Steps")))
    yield from _name_mistakes(every)
    references = References(parameters, {step.name: step for step in every})
    for step in every:
        for field, problem in _step_mistakes(step, references):
            yield step.name, field, problem
    yield from _cycle(references)


def _top_mistakes(definition: Mapping[str, Any]) -> Iterator[Mistake]:
    for name in definition:
        if name not in TOP_LEVEL:
            yield name, f"no such field{nearest(name, TOP_LEVEL)}"
    if definition.get("Version") != VERSION:
        yield "Version", f"expected {VERSION}, not {definition.get('Version')!r}"
    steps = definition.get("Steps")
    if not isinstance(steps, list) or not steps:
        yield "Steps", "expected a list of at least one step"
    parameters = definition.get("Parameters", [])
    if len(parameters) > MOST_PARAMETERS:
        yield "Parameters", f"{len(parameters)} parameters: at most {MOST_PARAMETERS}"
    seen: set[str] = set()
    for parameter in parameters:
        name = str(parameter.get("Name"))
        if not PARAMETER_NAME.fullmatch(name):
            yield f"Parameters.{name}", "a name has letters, digits, '-' and '_'"
        if name in seen:
            yield f"Parameters.{name}", "two parameters have this name"
        seen.add(name)
        yield from _parameter_mistakes(parameter, f"Parameters.{name}")


def _parameter_mistakes(parameter: Mapping[str, Any], at: str) -> Iterator[Mistake]:
    for name in parameter:
        known = ("Name", "Type", "DefaultValue", "EnumValues", "Description")
        if name not in known:
            yield f"{at}.{name}", f"no such field{nearest(name, known)}"
    kind = str(parameter.get("Type"))
    if kind not in PARAMETER_VALUES:
        yield f"{at}.Type", f"no type {kind!r}{nearest(kind, PARAMETER_VALUES)}"
        return
    words = parameter.get("EnumValues")
    if words is not None:
        if not isinstance(words, list) or not words:
            yield f"{at}.EnumValues", "expected a list of at least one value"
            return
        if kind != "String":
            yield f"{at}.EnumValues", f"only a String has them, not a {kind}"
    for word in words or []:
        if not isinstance(word, str):
            yield f"{at}.EnumValues", f"expected texts, not {word!r}"
    if "DefaultValue" in parameter:
        yield from _value_mistakes(parameter, parameter["DefaultValue"], f"{at}.DefaultValue")


def _value_mistakes(parameter: Mapping[str, Any], value: Any, at: str) -> Iterator[Mistake]:
    kind = str(parameter.get("Type"))
    expected = PARAMETER_VALUES.get(kind, object)
    if not isinstance(value, expected) or (isinstance(value, bool) and kind != "Boolean"):
        yield at, f"{value!r} is no {kind}"
        return
    words = parameter.get("EnumValues")
    if words and value not in words:
        yield at, f"{value!r} is none of its EnumValues{nearest(str(value), map(str, words))}"
    if len(str(value)) > LONGEST_VALUE:
        yield at, f"{len(str(value))} characters: at most {LONGEST_VALUE}"


def _name_mistakes(every: list[NestedStep]) -> Iterator[tuple[str, str, str]]:
    seen: set[str] = set()
    for step in every:
        if not STEP_NAME.fullmatch(step.name):
            yield step.name, "Name", "a name has 1 to 64 letters, digits, '-' and '_'"
        if step.name in seen:
            yield step.name, "Name", "two steps have this name; branches count too"
        seen.add(step.name)


def _step_mistakes(nested: NestedStep, references: References) -> Iterator[Mistake]:
    step = nested.step
    kind = str(step.get("Type"))
    if kind not in MORE_FIELDS:
        yield "Type", f"no type {kind!r}{nearest(kind, MORE_FIELDS)}"
        return
    known = (*FIELDS, *MORE_FIELDS[kind])
    for name in step:
        if name not in known:
            yield name, f"a {kind} step has no such field{nearest(name, known)}"
    shown = step.get("DisplayName", "")
    if len(shown) > LONGEST_DISPLAY_NAME:
        yield "DisplayName", f"{len(shown)} characters: at most {LONGEST_DISPLAY_NAME}"
    if not isinstance(step.get("Arguments"), dict):
        yield "Arguments", "expected fields with values"
        return
    yield from references.mistakes(nested)
    if kind in shapes.OPERATIONS:
        yield from shapes.mistakes(kind, step["Arguments"], references.parameters)
    yield from _argument_mistakes(kind, step["Arguments"], references.parameters)
    yield from _cache_mistakes(step.get("CacheConfig"))
    yield from _retry_mistakes(step.get("RetryPolicies", []), kind)
    yield from _property_file_mistakes(step)


def _argument_mistakes(
    kind: str, arguments: Mapping[str, Any], parameters: Any
) -> Iterator[Mistake]:
    """Yield what the service's model of the call does not know of."""
    if kind == "Condition":
        yield from condition_mistakes(arguments, parameters)
    elif kind == "Fail":
        yield from _message_mistakes(arguments, parameters)
    elif kind == "Training":
        yield from _waiting_mistakes(arguments)
    elif kind == "Processing":
        yield from mounts.mistakes(arguments)
    elif kind == "RegisterModel":
        yield from mounts.metadata_mistakes(arguments)


def _message_mistakes(arguments: Mapping[str, Any], parameters: Any) -> Iterator[Mistake]:
    for name in arguments:
        if name != "ErrorMessage":
            yield f"Arguments.{name}", f"no such field{nearest(name, ['ErrorMessage'])}"
    message = arguments.get("ErrorMessage")
    if not message or not (isinstance(message, str) or function_of(message)):
        yield "Arguments.ErrorMessage", "expected what a failed execution is to say"
        return
    text = shapes.joined(message, parameters) or ""
    if len(text) > LONGEST_MESSAGE:
        yield "Arguments.ErrorMessage", f"{len(text)} characters: at most {LONGEST_MESSAGE}"


def _waiting_mistakes(arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Check spot settings: the waiting time includes the running time."""
    limits = arguments.get("StoppingCondition", {})
    runs, waits = limits.get("MaxRuntimeInSeconds"), limits.get("MaxWaitTimeInSeconds")
    at = "Arguments.StoppingCondition.MaxWaitTimeInSeconds"
    if not arguments.get("EnableManagedSpotTraining"):
        if waits is not None:
            yield at, "only spot training waits; set EnableManagedSpotTraining or drop it"
        return
    if waits is None:
        yield at, "is required with EnableManagedSpotTraining, and missing"
    elif isinstance(waits, int) and isinstance(runs, int) and waits < runs:
        yield at, f"{waits} s is below MaxRuntimeInSeconds, {runs} s"
    if "KeepAlivePeriodInSeconds" in arguments.get("ResourceConfig", {}):
        yield (
            "Arguments.ResourceConfig.KeepAlivePeriodInSeconds",
            "a spot instance is not kept warm; drop one of both",
        )


def _cache_mistakes(cache: Any) -> Iterator[Mistake]:
    if cache is None:
        return
    if not isinstance(cache, dict) or not isinstance(cache.get("Enabled"), bool):
        yield "CacheConfig.Enabled", "expected true or false"
        return
    for name in cache:
        if name not in ("Enabled", "ExpireAfter"):
            known = ("Enabled", "ExpireAfter")
            yield f"CacheConfig.{name}", f"no such field{nearest(name, known)}"
    after = cache.get("ExpireAfter", "P30D")
    if not isinstance(after, str) or not DURATION.fullmatch(after):
        yield "CacheConfig.ExpireAfter", f"{after!r} is no duration; P30D or 30d say"


def _retry_mistakes(policies: Any, kind: str) -> Iterator[Mistake]:
    faults = STEP_FAULTS if kind == "RegisterModel" else (*STEP_FAULTS, *JOB_FAULTS)
    for index, policy in enumerate(policies if isinstance(policies, list) else [policies]):
        at = f"RetryPolicies[{index}]"
        if not isinstance(policy, dict):
            yield at, f"expected fields with values, not {policy!r}"
            continue
        for name in policy:
            if name not in RETRY_FIELDS:
                yield f"{at}.{name}", f"no such field{nearest(name, RETRY_FIELDS)}"
        named = policy.get("ExceptionType")
        if not isinstance(named, list) or not named:
            yield f"{at}.ExceptionType", "expected a list of at least one"
            continue
        for fault in named:
            if fault not in faults:
                yield f"{at}.ExceptionType", f"no fault {fault!r}{nearest(str(fault), faults)}"
        if ("MaxAttempts" in policy) == ("ExpireAfterMin" in policy):
            yield at, "takes one of MaxAttempts and ExpireAfterMin"
        yield from _retry_numbers(policy, at)


def _retry_numbers(policy: Mapping[str, Any], at: str) -> Iterator[Mistake]:
    for name, most in RETRY_MOST.items():
        value = policy.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield f"{at}.{name}", f"expected a number, not {value!r}"
        elif not 1 <= value <= most:
            yield f"{at}.{name}", f"{value}: expected 1 to {most}"


def _property_file_mistakes(step: Mapping[str, Any]) -> Iterator[Mistake]:
    seen: set[str] = set()
    fields = ("PropertyFileName", "OutputName", "FilePath")
    for index, file in enumerate(dictionaries(step, "PropertyFiles")):
        at = f"PropertyFiles[{index}]"
        for name in (*(n for n in file if n not in fields), *fields):
            if name not in fields:
                yield f"{at}.{name}", f"no such field{nearest(name, fields)}"
            elif not isinstance(file.get(name), str) or not file[name]:
                yield f"{at}.{name}", "is required, and missing"
        name, output = str(file.get("PropertyFileName")), str(file.get("OutputName"))
        if name in seen:
            yield f"{at}.PropertyFileName", f"two property files are called {name!r}"
        seen.add(name)
        known = outputs_of(step)
        if "OutputName" in file and output not in known:
            yield f"{at}.OutputName", f"the step has no output {output!r}{nearest(output, known)}"


def _cycle(references: References) -> Iterator[tuple[str, str, str]]:
    """Find steps that wait for one another, by repeatedly removing those that wait for none."""
    waiting = {name: references.waits_for(step) for name, step in references.steps.items()}
    while ready := [name for name, needed in waiting.items() if not needed & set(waiting)]:
        for name in ready:
            del waiting[name]
    if waiting:
        first = next(iter(waiting))
        path = [first]
        while (after := min(waiting[path[-1]] & set(waiting))) not in path:
            path.append(after)
        circle = [*path[path.index(after) :], after]
        yield circle[0], "DependsOn", f"waits for itself: {' <- '.join(circle)}"
