"""Checks that everything steps refer to exists: parameters, steps, outputs, property files.

Only steps inside the same branch of a condition may refer to a step in it: any other step might
wait for it forever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.errors import nearest
from soundgate.executors.sagemaker.validation.shapes import (
    DESCRIPTIONS,
    Mistake,
    function_of,
    output_shape,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EXECUTION_VARIABLES = (
    "CurrentDateTime",
    "PipelineArn",
    "PipelineExecutionArn",
    "PipelineExecutionId",
    "PipelineName",
    "StartDateTime",
    "TrainingJobName",
    "ProcessingJobName",
)
NAME = r"[^\s.\[\]'\"$]+"
JSON_PATH = re.compile(rf"{NAME}(\.{NAME}|\[\d+\]|\['[^']+'\]|\[\"[^\"]+\"\])*")
PATH_PART = re.compile(r"\.?([A-Za-z0-9_]+)|\['([^']*)'\]|\[(\d+)\]")
BRANCHES = ("IfSteps", "ElseSteps")


@dataclass(frozen=True, slots=True)
class NestedStep:
    """A step and the branches around it, outermost first: (condition, branch)."""

    step: Mapping[str, Any]
    branches: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The step's name."""
        return str(self.step.get("Name", ""))

    def sees(self, other: NestedStep) -> bool:
        """Whether this step may refer to ``other``."""
        return self.branches[: len(other.branches)] == other.branches


def all_steps(steps: Any, branches: tuple[tuple[str, str], ...] = ()) -> Iterator[NestedStep]:
    """Yield every step, including those in branches."""
    for step in steps if isinstance(steps, list) else []:
        if not isinstance(step, dict):
            continue
        yield NestedStep(step, branches)
        arguments = step.get("Arguments")
        if step.get("Type") == "Condition" and isinstance(arguments, dict):
            for branch in BRANCHES:
                inside = (*branches, (str(step.get("Name")), branch))
                yield from all_steps(arguments.get(branch), inside)


def own_arguments(step: Mapping[str, Any]) -> Any:
    """Return a step's arguments without the steps in its branches."""
    arguments = step.get("Arguments")
    if step.get("Type") == "Condition" and isinstance(arguments, dict):
        return {name: value for name, value in arguments.items() if name not in BRANCHES}
    return arguments


def functions(value: Any, at: str = "Arguments") -> Iterator[tuple[str, str, Any]]:
    """Yield (field, function, its argument) of everything below ``value``."""
    name = function_of(value)
    if name:
        yield at, name, value[name]
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from functions(inner, at if key in (name, "Values") and name else f"{at}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from functions(inner, f"{at}[{index}]")


@dataclass(frozen=True, slots=True)
class References:
    """Everything that a reference can name."""

    parameters: Mapping[str, Mapping[str, Any]]
    steps: Mapping[str, NestedStep]

    def mistakes(self, step: NestedStep) -> Iterator[Mistake]:
        """Yield references of a step that cannot be resolved."""
        for at, name, value in functions(own_arguments(step.step)):
            if name == "Get":
                yield from self._get(step, value, at)
            elif name == "Std:Join":
                if not isinstance(value, dict) or not isinstance(value.get("Values"), list):
                    yield at, 'Std:Join takes {"On": TEXT, "Values": [...]}'
            else:
                yield from self._json_get(value, at)
        depends = step.step.get("DependsOn", [])
        if not isinstance(depends, list) or not all(isinstance(name, str) for name in depends):
            yield "DependsOn", "expected a list of names of steps"
            return
        for name in depends:
            yield from self._step(step, name, "DependsOn")

    def waits_for(self, step: NestedStep) -> set[str]:
        """Return the steps that must have finished before this one starts."""
        named = set()
        depends = step.step.get("DependsOn")
        if isinstance(depends, list):
            named |= {name for name in depends if isinstance(name, str)}
        for _, name, value in functions(own_arguments(step.step)):
            if name == "Get" and isinstance(value, str) and value.startswith("Steps."):
                named.add(_split(value)[1])
        named |= {condition for condition, _ in step.branches[-1:]}
        return named & set(self.steps)

    def _get(self, step: NestedStep, path: Any, at: str) -> Iterator[Mistake]:
        if not isinstance(path, str):
            yield at, f"Get takes a text, not {path!r}"
            return
        space, name, rest = _split(path)
        if space == "Parameters":
            if name not in self.parameters or rest:
                found = f"{name}{rest}"
                yield at, f"no parameter {found!r}{nearest(found, self.parameters)}"
        elif space == "Execution":
            if name not in EXECUTION_VARIABLES or rest:
                yield at, f"no variable {path!r}{nearest(name, EXECUTION_VARIABLES)}"
        elif space == "Steps":
            wrong = list(self._step(step, name, at))
            yield from wrong
            if not wrong:
                yield from self._property(name, rest, at)
        else:
            spaces = ("Parameters", "Execution", "Steps")
            yield (
                at,
                f"Get {path!r} begins with none of {', '.join(spaces)}{nearest(space, spaces)}",
            )

    def _step(self, step: NestedStep, name: str, at: str) -> Iterator[Mistake]:
        if name not in self.steps:
            yield at, f"no step {name!r}{nearest(name, self.steps)}"
            return
        other = self.steps[name]
        if not step.sees(other):
            condition, branch = other.branches[-1]
            yield at, f"step {name!r} is in {branch} of {condition!r} and may never run"

    def _property(self, name: str, rest: str, at: str) -> Iterator[Mistake]:
        step = self.steps[name].step
        kind = str(step.get("Type"))
        if rest.startswith(".PropertyFiles."):
            file = rest.removeprefix(".PropertyFiles.")
            known = [
                str(each.get("PropertyFileName")) for each in dictionaries(step, "PropertyFiles")
            ]
            if file not in known:
                yield at, f"step {name!r} has no property file {file!r}{nearest(file, known)}"
        elif kind in DESCRIPTIONS:
            yield from _in_answer(output_shape(DESCRIPTIONS[kind]), step, rest, f"Steps.{name}", at)
        elif (kind, rest) != ("Condition", ".Outcome"):
            yield at, f"step {name!r} of type {kind} has no property {rest.lstrip('.')!r}"

    def _json_get(self, value: Any, at: str) -> Iterator[Mistake]:
        if not isinstance(value, dict) or not ({"PropertyFile", "S3Uri"} & set(value)):
            yield at, 'Std:JsonGet takes {"PropertyFile": {"Get": ...}, "Path": TEXT}'
            return
        file = value.get("PropertyFile")
        if file is not None and (
            function_of(file) != "Get" or ".PropertyFiles." not in str(file["Get"])
        ):
            yield f"{at}.PropertyFile", "expected a Get of Steps.NAME.PropertyFiles.NAME"
        path = value.get("Path")
        if not isinstance(path, str) or not JSON_PATH.fullmatch(path):
            yield f"{at}.Path", f"{path!r} is no JSON path; write it as a.b[0]['c'].value"


def dictionaries(step: Mapping[str, Any], *path: str) -> list[Mapping[str, Any]]:
    """Return the entries of a list in a step; empty if the list is missing."""
    value: Any = step
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def outputs_of(step: Mapping[str, Any]) -> list[str]:
    """Return the output names of a Processing step."""
    entries = dictionaries(step, "Arguments", "ProcessingOutputConfig", "Outputs")
    return [str(each.get("OutputName")) for each in entries]


def _in_answer(
    shape: Any, step: Mapping[str, Any], rest: str, name: str, at: str
) -> Iterator[Mistake]:
    """Follow a path through the answer of the job's Describe call."""
    position = 0
    while position < len(rest):
        part = PATH_PART.match(rest, position)
        if part is None:
            yield at, f"{name}{rest} is no path of properties"
            return
        member, key, index = part.groups()
        kind = shape.type_name
        if member is not None and kind == "structure":
            if member not in shape.members:
                yield (
                    at,
                    f"{name}{rest[:position]} has no {member!r}{nearest(member, shape.members)}",
                )
                return
            shape = shape.members[member]
        elif key is not None and kind == "list" and shape.member.name == "ProcessingOutput":
            known = outputs_of(step)
            if key not in known:
                yield at, f"{name} has no output {key!r}{nearest(key, known)}"
                return
            shape = shape.member
        elif index is not None and kind == "list":
            shape = shape.member
        elif key is not None and kind == "map":
            shape = shape.value
        else:
            yield at, f"{name}{rest}: {part[0]!r} does not fit {shape.name}"
            return
        position = part.end()
    if shape.type_name in ("structure", "list", "map"):
        yield at, f"{name}{rest} is a {shape.type_name}; name one of its values"


def _split(path: str) -> tuple[str, str, str]:
    """``Steps.train.ModelArtifacts.X`` is (Steps, train, .ModelArtifacts.X)."""
    space, _, rest = path.partition(".")
    found = re.match(r"[^.\[]*", rest)
    name = found[0] if found else ""
    return space, name, rest[len(name) :]
