"""What a task is given: constants, inputs of its pipeline, outputs of other tasks, final states."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ir_runner import conditions, placeholders, values
from ir_runner.messages import pb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ir_runner.artifacts import Artifact
    from ir_runner.outcome import Task


class InputError(Exception):
    """A task's inputs cannot be resolved; the driver of the backend fails."""


@dataclass
class Scope:
    """One pipeline or sub-pipeline while it runs."""

    path: str
    parameters: dict[str, Any]
    artifacts: dict[str, list[Artifact]]
    done: dict[str, Task] = field(default_factory=dict)


@dataclass
class Given:
    """The inputs of one task."""

    parameters: dict[str, Any]
    artifacts: dict[str, list[Artifact]]


@dataclass
class Use:
    """One use of a component: the task, what it is given, the pipeline around it."""

    task: Any
    component: Any
    given: Given
    scope: Scope


def upstream(task: Any) -> set[str]:
    """Return the tasks of the same pipeline that have to be over first."""
    found = set(task.dependent_tasks)
    for spec in task.inputs.parameters.values():
        found |= {spec.task_output_parameter.producer_task, spec.task_final_status.producer_task}
    for spec in task.inputs.artifacts.values():
        found.add(spec.task_output_artifact.producer_task)
    return found - {""}


def runs_always(task: Any) -> bool:
    """Whether a task runs also where one before it failed."""
    strategy = task.trigger_policy.strategy
    return bool(strategy == pb.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED)


def resolve(task: Any, component: Any, scope: Scope, run: Mapping[str, str]) -> Given:
    """Resolve everything a task is given; ``run`` are the values of ``{{$.pipeline_...}}``.

    Raises:
        InputError: naming the input.
    """
    given = Given({}, {})
    definitions = component.input_definitions
    for name, spec in task.inputs.parameters.items():
        value = parameter(name, spec, scope, run, ignores_failures=runs_always(task))
        if value is not None:
            given.parameters[name] = value
    _fill_constants(given.parameters)
    for name, spec in task.inputs.artifacts.items():
        listed = _artifacts(name, spec, scope)
        if listed is not None:
            given.artifacts[name] = listed
        elif not definitions.artifacts[name].is_optional:
            raise InputError(f"artifact {name!r} has no value and is not optional")
    return given


def check(component: Any, parameters: Mapping[str, Any], skip: str = "") -> dict[str, Any]:
    """Check parameters against a component's types; return them as it receives them.

    Raises:
        InputError: one is missing, of another type, or not among the literals allowed.
    """
    found = dict(parameters)
    for name, spec in component.input_definitions.parameters.items():
        if name in found and found[name] is not None:
            try:
                found[name] = values.coerce(found[name], spec.parameter_type)
            except values.ValueMismatchError as error:
                raise InputError(f"parameter {name!r}: {error}") from error
            allowed = [values.of_message(each) for each in spec.literals]
            if allowed and found[name] not in allowed:
                raise InputError(f"parameter {name!r}: {found[name]!r} is none of {allowed}")
        elif not (spec.is_optional or spec.HasField("default_value") or name == skip):
            raise InputError(f"neither value nor default for the parameter {name!r}")
    return found


def defaults(component: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the component's defaults for those that have no value."""
    specs = component.input_definitions.parameters.items()
    own = {n: values.of_message(s.default_value) for n, s in specs if s.HasField("default_value")}
    return own | {name: value for name, value in parameters.items() if value is not None}


def parameter(
    name: str,
    spec: Any,
    scope: Scope,
    run: Mapping[str, str],
    *,
    ignores_failures: bool = False,
) -> Any:
    """Resolve one parameter; None where an optional one has no value.

    A task that runs although what it reads from failed is given an empty text.

    Raises:
        InputError: it is nowhere.
    """
    kind = spec.WhichOneof("kind")
    if kind == "runtime_value":
        value = values.of_message(spec.runtime_value.constant)
        value = run.get(value, value) if isinstance(value, str) else value
    elif kind == "component_input_parameter":
        if spec.component_input_parameter not in scope.parameters:
            raise InputError(
                f"{name!r}: no input {spec.component_input_parameter!r} to take it from"
            )
        value = scope.parameters[spec.component_input_parameter]
    elif kind == "task_output_parameter":
        wanted = spec.task_output_parameter
        if ignores_failures and not scope.done[wanted.producer_task].state.done:
            value = ""
        else:
            value = _output(wanted.producer_task, "parameters", wanted.output_parameter_key, scope)
    elif kind == "task_final_status":
        value = _final_status(scope.done[spec.task_final_status.producer_task], run)
    else:
        raise InputError(f"{name!r} says nowhere to take it from")
    if spec.parameter_expression_selector and value is not None:
        try:
            return conditions.select(spec.parameter_expression_selector, value)
        except conditions.ExpressionError as error:
            raise InputError(f"{name!r}: {error}") from error
    return value


def _artifacts(name: str, spec: Any, scope: Scope) -> list[Artifact] | None:
    if spec.WhichOneof("kind") == "component_input_artifact":
        return scope.artifacts.get(spec.component_input_artifact)  # an optional one may be absent
    wanted = spec.task_output_artifact
    found = _output(wanted.producer_task, "artifacts", wanted.output_artifact_key, scope)
    listed = found if isinstance(found, list) else [found]
    if None in listed:
        raise InputError(f"{name!r}: {wanted.producer_task} made no {wanted.output_artifact_key!r}")
    return listed


def _output(producer: str, kind: str, key: str, scope: Scope) -> Any:
    made = getattr(scope.done[producer], kind)
    if key not in made:
        raise InputError(f"{producer} has no output {key!r}")
    return made[key]


def _final_status(task: Task, run: Mapping[str, str]) -> dict[str, Any]:
    # the word of the store that KFP's driver reads executions from
    return {
        "state": "COMPLETE" if task.state.done else str(task.state),
        "pipelineJobResourceName": run["{{$.pipeline_job_resource_name}}"],
        "pipelineTaskName": task.name,
        "error": {"message": task.reason} if task.reason else {},
    }


def _fill_constants(parameters: dict[str, Any]) -> None:
    """Replace inputs named in a constant, as an f-string of the pipeline's author leaves them."""
    known = {
        f"{{{{$.inputs.parameters['{name}']}}}}": values.text(value)
        for name, value in parameters.items()
    }
    for name, value in parameters.items():
        if isinstance(value, str) and placeholders.INPUT_PARAMETER.search(value):
            parameters[name] = placeholders.PLACEHOLDER.sub(
                lambda found: known.get(found.group(), found.group()), value
            )
