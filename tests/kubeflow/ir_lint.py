"""What is wrong with a compiled Kubeflow pipeline that neither protobuf nor the SDK looks at.

    python tests/kubeflow/ir_lint.py pipeline.yaml...

A finding names the task (or component) and the field. Loading a pipeline with the SDK finds 3 of
the 13 faults that the tests seed; a backend finds the rest when the task runs, or never.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ir_lint_containers as containers
from ir_runner import conditions, inputs
from ir_runner.messages import IRError, documents, kubernetes_pb, parse, pb

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass
class _Lint:
    document: dict[str, Any]
    found: list[str] = field(default_factory=list)
    components: dict[str, Any] = field(default_factory=dict)
    executors: dict[str, Any] = field(default_factory=dict)

    def say(self, where: str, what: str) -> None:
        self.found.append(f"{where}: {what}")

    def parse(self, value: Any, message: Any, where: str) -> Any:
        """Parse; what cannot be is a finding, and None."""
        try:
            return parse(value, message, where)
        except IRError as error:
            self.found.append(str(error))
            return None

    # the parts, one by one, so that a finding says which

    def run(self) -> None:
        """Parse every part, then look at how they fit."""
        self._executors()
        named = dict(_mapping(self.document.get("components")))
        for name, value in [*named.items(), ("root", self.document.get("root", {}))]:
            self._component(name, value)
        rest = {k: v for k, v in self.document.items() if k not in ("components", "root")}
        spec = self.parse(rest, pb.PipelineSpec(), "pipeline")
        if spec is not None and not NAME.fullmatch(spec.pipeline_info.name):
            self.say("pipelineInfo.name", f"{spec.pipeline_info.name!r} is no name in Kubernetes")
        for name, component in self.components.items():
            if component.WhichOneof("implementation") == "dag":
                self._graph(name, component)
            else:
                containers.leaf(self.say, name, component, self.executors)
        used = {c.executor_label for c in self.components.values()}
        for label in self.executors:
            if label not in used:
                self.say(f"executors.{label}", "no component uses it")

    def _executors(self) -> None:
        deployment = _mapping(self.document.get("deploymentSpec"))
        for label, value in _mapping(deployment.get("executors")).items():
            message = pb.PipelineDeploymentConfig.ExecutorSpec()
            parsed = self.parse(value, message, f"executors.{label}")
            self.executors[label] = parsed
            if parsed is not None and parsed.WhichOneof("spec") == "container":
                containers.resources(self.say, f"executors.{label}", parsed.container.resources)

    def _component(self, name: str, value: dict[str, Any]) -> None:
        tasks = _mapping(_mapping(value.get("dag")).get("tasks"))
        good = {
            task: body
            for task, body in tasks.items()
            if self.parse(body, pb.PipelineTaskSpec(), f"{name}/{task}") is not None
        }
        if tasks:
            value = {**value, "dag": {**value["dag"], "tasks": good}}
        parsed = self.parse(value, pb.ComponentSpec(), name)
        if parsed is not None:
            self.components[name] = parsed

    def _graph(self, name: str, component: Any) -> None:
        tasks = dict(component.dag.tasks)
        for task_name, task in tasks.items():
            self._task(f"{name}/{task_name}", component, task, tasks)
        order = {task: inputs.upstream(spec) & set(tasks) for task, spec in tasks.items()}
        if circle := _circle(order):
            self.say(name, f"dag.tasks: {' > '.join(circle)} is a circle")
        for kind, outputs in (
            ("parameters", component.dag.outputs.parameters),
            ("artifacts", component.dag.outputs.artifacts),
        ):
            for key, output in outputs.items():
                for producer, wanted in _selectors(output):
                    self._produced(f"{name}: outputs.{key}", tasks, producer, wanted, kind)
        if name == "root":
            required = [
                n for n, d in component.input_definitions.artifacts.items() if not d.is_optional
            ]
            for each in required:
                self.say("root", f"inputDefinitions.artifacts {each!r}: a run cannot be given one")

    def _task(self, where: str, parent: Any, task: Any, tasks: dict[str, Any]) -> None:
        for each in task.dependent_tasks:
            if each not in tasks:
                self.say(where, f"dependentTasks: there is no task {each!r}")
        reference = task.component_ref.name
        component = self.components.get(reference)
        if component is None:
            if reference not in _mapping(self.document.get("components")):
                self.say(where, f"componentRef: there is no component {reference!r}")
            return
        self._given_parameters(where, parent, task, tasks, component)
        self._given_artifacts(where, parent, task, tasks, component)
        self._supplied(where, task, component)
        if task.trigger_policy.condition:
            self._condition(where, task)
        policy = task.retry_policy
        if policy.max_retry_count < 0 or policy.backoff_factor < 0:
            self.say(where, "retryPolicy: a number below zero")

    def _given_parameters(
        self, where: str, parent: Any, task: Any, tasks: dict[str, Any], component: Any
    ) -> None:
        wanted = component.input_definitions.parameters
        loops = _loop_inputs(task)
        for name, spec in task.inputs.parameters.items():
            here, kind, source = f"{where}: inputs.{name}", spec.WhichOneof("kind"), None
            if (
                name not in wanted
                and name not in loops
                and not self._mentioned(name, task, component)
            ):
                self.say(here, f"{task.component_ref.name} has no such parameter")
            if kind == "component_input_parameter":
                source = self._of_parent(here, parent, spec.component_input_parameter, "parameters")
            elif kind == "task_output_parameter":
                out = spec.task_output_parameter
                source = self._produced(
                    here, tasks, out.producer_task, out.output_parameter_key, "parameters"
                )
            elif kind == "task_final_status":
                if spec.task_final_status.producer_task not in tasks:
                    self.say(here, f"there is no task {spec.task_final_status.producer_task!r}")
            elif kind is None:
                self.say(here, "says nowhere to take it from")
            if spec.parameter_expression_selector:
                self._cel(here, spec.parameter_expression_selector)
            elif source is not None and name in wanted:
                self._types(here, source.parameter_type, wanted[name].parameter_type)

    def _mentioned(self, name: str, task: Any, component: Any) -> bool:
        """Whether an input is read beside the component's own.

        That is by a constant, or by resources or image of the container; for those kfp adds inputs.
        """
        if "{{$.inputs" in task.inputs.parameters[name].runtime_value.constant.string_value:
            return True
        executor = self.executors.get(component.executor_label)
        return f"['{name}']" in f"{task.inputs}{executor}".replace("\\'", "'")

    def _types(self, here: str, given: int, wanted: int) -> None:
        """Everything fits a string, a final status a struct, and numbers fit each other."""
        kinds = pb.ParameterType
        numbers = {kinds.NUMBER_DOUBLE, kinds.NUMBER_INTEGER}
        name = kinds.ParameterTypeEnum.Name
        status = (given, wanted) == (kinds.TASK_FINAL_STATUS, kinds.STRUCT)
        fits = status or wanted in (given, kinds.STRING) or {given, wanted} <= numbers
        if not fits and 0 not in (given, wanted):
            self.say(here, f"{name(given)} given, {name(wanted)} wanted")

    def _given_artifacts(
        self, where: str, parent: Any, task: Any, tasks: dict[str, Any], component: Any
    ) -> None:
        wanted = component.input_definitions.artifacts
        for name, spec in task.inputs.artifacts.items():
            here = f"{where}: inputs.{name}"
            if spec.WhichOneof("kind") == "component_input_artifact":
                source = self._of_parent(here, parent, spec.component_input_artifact, "artifacts")
            else:
                out = spec.task_output_artifact
                source = self._produced(
                    here, tasks, out.producer_task, out.output_artifact_key, "artifacts"
                )
            if name not in wanted:
                if name not in _loop_inputs(task):
                    self.say(here, f"{task.component_ref.name} has no such artifact")
            elif source is not None:
                given, asked = _schema(source), _schema(wanted[name])
                if given != asked and "system.Artifact" not in (given, asked):
                    self.say(here, f"artifact type {given} given, {asked} wanted")

    def _of_parent(self, here: str, parent: Any, name: str, kind: str) -> Any:
        declared = getattr(parent.input_definitions, kind)
        if name not in declared:
            self.say(here, f"the pipeline has no input {name!r}")
            return None
        return declared[name]

    def _produced(
        self, here: str, tasks: dict[str, Any], producer: str, key: str, kind: str
    ) -> Any:
        if producer not in tasks:
            self.say(here, f"producerTask: there is no task {producer!r}")
            return None
        component = self.components.get(tasks[producer].component_ref.name)
        if component is None:
            return None
        declared = getattr(component.output_definitions, kind)
        if key not in declared:
            self.say(here, f"{producer} has no output {key!r} among its {kind}")
            return None
        return declared[key]

    def _supplied(self, where: str, task: Any, component: Any) -> None:
        loops = _loop_inputs(task)
        for name, spec in component.input_definitions.parameters.items():
            has = name in task.inputs.parameters or name in loops
            if not (has or spec.is_optional or spec.HasField("default_value")):
                self.say(where, f"inputs.{name}: the required parameter is not supplied")
        for name, spec in component.input_definitions.artifacts.items():
            if not (name in task.inputs.artifacts or name in loops or spec.is_optional):
                self.say(where, f"inputs.{name}: the required artifact is not supplied")

    def _condition(self, where: str, task: Any) -> None:
        expression = task.trigger_policy.condition
        self._cel(f"{where}: triggerPolicy.condition", expression)
        if re.search(r"'inputs\.parameter_values", expression):
            self.say(f"{where}: triggerPolicy.condition", f"compares a quoted name: {expression}")
            return
        for name in re.findall(r"parameter_values\['([^']+)'\]", expression):
            if name not in task.inputs.parameters:
                self.say(f"{where}: triggerPolicy.condition", f"reads {name!r}, which is not given")

    def _cel(self, where: str, expression: str) -> None:
        try:
            conditions.compile_(expression)
        except conditions.ExpressionError as error:
            self.say(where, str(error))


def lint(text: str) -> list[str]:
    """Return what is wrong with a compiled pipeline; nothing is a good sign.

    Args:
        text: its YAML documents.
    """
    try:
        document, *platforms = documents(text)
    except IRError as error:
        return [str(error)]
    state = _Lint(document)
    state.run()
    for number, platform in enumerate(platforms, 2):
        _platform(state, platform, number)
    return state.found


def _platform(state: _Lint, platform: dict[str, Any], number: int) -> None:
    """Look at a platform document: its executors are those of the pipeline."""
    where = f"document {number}"
    if state.parse(platform, pb.PlatformSpec(), where) is None:
        return
    for name, value in _mapping(platform.get("platforms")).items():
        executors = _mapping(_mapping(value.get("deploymentSpec")).get("executors"))
        for label, configuration in executors.items():
            here = f"platforms.{name}.{label}"
            if label not in state.executors:
                state.say(here, "there is no such executor")
            if name == "kubernetes":
                state.parse(configuration, kubernetes_pb.KubernetesExecutorConfig(), here)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _schema(spec: Any) -> str:
    return spec.artifact_type.schema_title or spec.artifact_type.instance_schema


def _loop_inputs(task: Any) -> set[str]:
    """Return the inputs that a loop takes or makes itself."""
    found = {task.parameter_iterator.item_input, task.artifact_iterator.item_input}
    found |= {task.parameter_iterator.items.input_parameter}
    return (found | {task.artifact_iterator.items.input_artifact}) - {""}


def _selectors(output: Any) -> Iterator[tuple[str, str]]:
    if hasattr(output, "artifact_selectors"):
        for each in output.artifact_selectors:
            yield each.producer_subtask, each.output_artifact_key
        return
    chosen = list(output.value_from_oneof.parameter_selectors)
    if output.WhichOneof("kind") == "value_from_parameter":
        chosen = [output.value_from_parameter]
    for each in chosen:
        yield each.producer_subtask, each.output_parameter_key


def _circle(order: dict[str, set[str]]) -> list[str]:
    """Return tasks that wait for one another; empty where there are none."""
    left = dict(order)
    while free := [task for task, before in left.items() if not before & set(left)]:
        for task in free:
            del left[task]
    if not left:
        return []
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(min(left[path[-1]] & set(left)))
    return path[path.index(path[-1]) :]


def main(paths: list[str]) -> int:
    """Print the findings of every file; return 1 where there is any."""
    bad = 0
    for path in paths:
        for finding in lint(Path(path).read_text("utf-8")):
            bad = 1
            print(f"{path}: {finding}")
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
