"""Translates gates into nested conditions, with the tasks that wait for them inside.

    level 0   tasks that wait for no gate
    gate 1    a ConditionStep; if missed, a FailStep ends the execution with the gate's message
      level 1   tasks that wait for gate 1 and that a later gate needs
      gate 2
        level 2   all other tasks that wait for a gate: the model's registration

A FailStep also ends steps that are still running. A gate therefore waits for all tasks that do not
wait for it, so that the review page is made even if the gate is missed. An advisory gate does not
stop anything and is not a step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.arguments import spell
from soundgate.executors.sagemaker.rendering.expressions import join, json_get
from soundgate.executors.sagemaker.rendering.locations import PROCESSING, kind_of
from soundgate.gates import SIGNS
from soundgate.parameters import parameter_of
from soundgate.task import Output

if TYPE_CHECKING:
    from soundgate.executors.sagemaker.rendering.parameters import Parameters
    from soundgate.pipeline import Pipeline
    from soundgate.task import Gate, Task

CONDITIONS = {"at_least": "GreaterThanOrEqualTo", "at_most": "LessThanOrEqualTo"}


@dataclass(frozen=True, slots=True)
class Plan:
    """Which gates are conditions, which are jobs, and the level of every task."""

    blocking: tuple[str, ...]
    """Gates that may end an execution, in order of declaration."""
    conditions: frozenset[str]
    """Blocking gates that are conditions; the others are jobs that fail."""
    verdicts: frozenset[str]
    """Gates whose verdict a task reads; a job writes it."""
    levels: dict[str, int]
    """Number of gates around each task."""

    def is_absent(self, task: Task) -> bool:
        """Whether a gate needs no step: it is advisory and no task reads its verdict."""
        return bool(task.gate) and task.name not in (*self.blocking, *self.verdicts)


def plan(pipeline: Pipeline) -> Plan:
    """Decide how each gate is translated and which tasks are inside it."""
    gates = {name: task.gate for name, task in pipeline.tasks.items() if task.gate}
    blocking = tuple(name for name, gate in gates.items() if not gate.advisory)
    conditions = frozenset(
        name
        for name in blocking
        # a Training job's report is inside an archive, which conditions cannot read
        if kind_of(pipeline.tasks[gates[name].report.task]) == PROCESSING
    )
    read = {
        item.task
        for task in pipeline.tasks.values()
        for items in task.inputs.values()
        for item in items
        if isinstance(item, Output) and item.task in gates
    }
    return Plan(blocking, conditions, frozenset(read), _levels(pipeline, blocking))


def _levels(pipeline: Pipeline, blocking: tuple[str, ...]) -> dict[str, int]:
    """Return the level of each task.

    Innermost if it waits for a gate, unless a later gate needs it.
    """
    least: dict[str, int] = {}
    for name, task in pipeline.tasks.items():  # upstream tasks first
        deepest = max((least[needed] for needed in task.depends_on), default=0)
        least[name] = max(deepest, blocking.index(name) + 1) if name in blocking else deepest
    needed_by_gates: set[str] = set()
    waiting = [needed for name in blocking for needed in pipeline.tasks[name].depends_on]
    while waiting:
        name = waiting.pop()
        if name not in needed_by_gates:
            needed_by_gates.add(name)
            waiting += pipeline.tasks[name].depends_on
    return {
        name: len(blocking) if level and name not in needed_by_gates else level
        for name, level in least.items()
        if name not in blocking
    }


@dataclass(slots=True)
class PropertyFiles:
    """JSON files of Processing jobs that a definition reads."""

    files: dict[str, dict[tuple[str, str], dict[str, str]]] = field(default_factory=dict)

    def name(self, step: str, output: str, file: str) -> str:
        """Return the name under which a step declares a file of an output."""
        declared = self.files.setdefault(step, {})
        if (output, file) not in declared:
            base = re.sub(r"[^A-Za-z0-9]+", "-", f"{step}-{output}-{file.removesuffix('.json')}")
            taken = {each["PropertyFileName"] for each in declared.values()}
            name = base if base not in taken else f"{base}-{len(declared)}"
            declared[output, file] = {
                "PropertyFileName": name,
                "OutputName": output,
                "FilePath": file,
            }
        return declared[output, file]["PropertyFileName"]

    def of(self, step: str) -> list[dict[str, str]]:
        """Return the ``PropertyFiles`` of a step."""
        return list(self.files.get(step, {}).values())


def comparison(
    gate: Gate, threshold: Any, properties: PropertyFiles, parameters: Parameters
) -> dict[str, Any]:
    """Return a gate's condition."""
    report, metric = gate.report, gate.metric
    file = properties.name(report.task, report.name, metric.file)
    return {
        "Type": CONDITIONS[gate.bound],
        "LeftValue": json_get(report.task, file, metric.json_path),
        "RightValue": _threshold(threshold, parameters),
    }


def miss(gate: Gate, threshold: Any, parameters: Parameters) -> Any:
    """Return the message of an execution that a gate ended."""
    metric = gate.metric
    said = metric.message or f"{metric.name} misses its bound: not {SIGNS[gate.bound]}"
    bound = _threshold(threshold, parameters)
    return f"{said} {spell(bound)}" if isinstance(bound, float) else join(" ", said, bound)


def thresholds(pipeline: Pipeline, parameters: Parameters) -> list[Any]:
    """Return the thresholds of all gates in order; empty if all are constants."""
    judged = [task.arguments["threshold"] for task in pipeline.tasks.values() if task.gate]
    found = [_threshold(each, parameters) for each in judged]
    if all(isinstance(each, float) for each in found):
        return []
    return [spell(each) if isinstance(each, float) else each for each in found]


def _threshold(threshold: Any, parameters: Parameters) -> Any:
    parameter = parameter_of(threshold)
    if parameter is not None and parameter in parameters.opened:
        return parameters.use(parameter)
    return float(threshold)
