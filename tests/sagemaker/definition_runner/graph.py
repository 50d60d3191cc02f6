"""The steps of a definition and what each waits for; what the service refuses in them."""

from __future__ import annotations

import graphlib
import itertools
import re
from typing import TYPE_CHECKING, Any

from definition_runner.errors import Refused
from definition_runner.parameters import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Step = dict[str, Any]

KINDS = ("Processing", "Training", "Condition", "Fail", "RegisterModel")
VARIABLES = (
    "CurrentDateTime",
    "PipelineArn",
    "PipelineExecutionArn",
    "PipelineExecutionId",
    "PipelineName",
    "StartDateTime",
)
_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9_]){0,63}")


def all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield steps and those inside of conditions, in order."""
    for step in steps:
        yield step
        for branch in branches(step):
            yield from all_steps(branch)


def branches(step: Step) -> tuple[list[Step], list[Step]]:
    """Return the steps a condition opens when it holds, and when it does not."""
    if step["Type"] != "Condition":
        return [], []
    return step["Arguments"].get("IfSteps", []), step["Arguments"].get("ElseSteps", [])


def references(value: Any) -> Iterator[str]:
    """Yield the paths of every ``Get`` in ``value``."""
    if isinstance(value, dict):
        if set(value) == {"Get"} and isinstance(value["Get"], str):
            yield value["Get"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def dependencies(step: Step) -> set[str]:
    """Return the steps that ``step`` itself, not what is inside of it, waits for."""
    arguments = step.get("Arguments", {})
    own = arguments.get("Conditions", []) if step["Type"] == "Condition" else arguments
    found = {path.split(".")[1] for path in references(own) if path.startswith("Steps.")}
    for entry in step.get("DependsOn", []):
        if not isinstance(entry, str) and entry.get("Trigger", "Succeeded") != "Succeeded":
            raise NotImplementedError(f"{step['Name']}: DependsOn with the trigger {entry}")
        found.add(entry if isinstance(entry, str) else entry["Step"])
    return found


def upstream(definition: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return for every step what it waits for, an enclosing condition among it, transitively."""
    direct: dict[str, set[str]] = {}
    for step in all_steps(definition["Steps"]):
        direct[step["Name"]] = direct.get(step["Name"], set()) | dependencies(step)
        for inner in itertools.chain(*branches(step)):
            direct.setdefault(inner["Name"], set()).add(step["Name"])
    found: dict[str, set[str]] = {}
    for name in graphlib.TopologicalSorter(direct).static_order():
        found[name] = direct[name].union(*(found[each] for each in direct[name]))
    return found


def check(definition: Mapping[str, Any]) -> None:
    """Refuse what ``CreatePipeline`` refuses about the graph.

    Raises:
        Refused: a name twice, a reference to nothing, a circle, an unknown type of step.
    """
    parameters = [p["Name"] for p in definition.get("Parameters", [])]
    steps = list(all_steps(definition["Steps"]))
    _check_names(definition, parameters, [step["Name"] for step in steps])
    for step in steps:
        _check_step(step, parameters, steps)
    try:
        upstream(definition)
    except graphlib.CycleError as error:
        raise Refused(f"Steps wait for one another: {error.args[1]}") from error


def _check_names(definition: Mapping[str, Any], parameters: list[str], names: list[str]) -> None:
    for kind, known in (("parameters", parameters), ("steps", names)):
        if twice := sorted({name for name in known if known.count(name) > 1}):
            raise Refused(f"Two {kind} are called {twice}")
    for parameter in definition.get("Parameters", []):
        if parameter["Type"] not in TYPES:
            raise Refused(f"Parameter {parameter['Name']}: no type {parameter['Type']!r}")


def _check_step(step: Step, parameters: list[str], steps: list[Step]) -> None:
    if step["Type"] not in KINDS:
        raise Refused(f"Step {step['Name']}: no type {step['Type']!r}")
    if not _NAME.fullmatch(step["Name"]):
        raise Refused(f"Step {step['Name']!r}: no valid name")
    for path in references(step):
        _check_reference(step, path, parameters, steps)
    if lost := dependencies(step) - {each["Name"] for each in steps}:
        raise Refused(f"Step {step['Name']}: depends on {sorted(lost)}, which do not exist")


def _check_reference(step: Step, path: str, parameters: list[str], steps: list[Step]) -> None:
    space, _, rest = path.partition(".")
    lost = Refused(f"Step {step['Name']}: {path} refers to nothing")
    if space == "Parameters":
        if rest not in parameters:
            raise lost
    elif space == "Execution":
        if rest not in VARIABLES:
            raise lost
    elif space == "Steps":
        name, _, inside = rest.partition(".")
        target = next((each for each in steps if each["Name"] == name), None)
        if target is None or not inside or not _has(target, inside):
            raise lost
    else:
        raise lost


def _has(step: Step, inside: str) -> bool:
    """Whether a property file or a named output exists; other properties show when it has run."""
    if inside.startswith("PropertyFiles."):
        files = [each["PropertyFileName"] for each in step.get("PropertyFiles", [])]
        return inside.removeprefix("PropertyFiles.") in files
    if named := re.match(r"ProcessingOutputConfig\.Outputs\['([^']+)'\]", inside):
        outputs = step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", [])
        return named[1] in [each["OutputName"] for each in outputs]
    return True
