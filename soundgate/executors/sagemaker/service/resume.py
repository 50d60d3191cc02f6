"""Decides how to continue a run whose execution ended before its pipeline was complete.

- If what would be started now equals what was started: retry the same execution
  (RetryPipelineExecution). It keeps its id and therefore the location of its outputs, its
  parameters and every step that succeeded; this also works after a stop and for any number of
  steps.
- If some steps changed: start a new execution of the steps that changed, did not succeed, or depend
  on one of those; it takes the other results from the old execution
  (SelectiveExecutionConfig). SageMaker allows this for at most 50 steps, and not if the old
  execution was stopped.
- Otherwise, or if SageMaker refuses both: start a new execution of all steps; the cache provides
  unchanged results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.executors.sagemaker.rendering.parameters import FRESH
from soundgate.executors.sagemaker.service import executions
from soundgate.executors.sagemaker.service.pipelines import canonical, comparable
from soundgate.executors.sagemaker.validation.references import (
    BRANCHES,
    NestedStep,
    References,
    all_steps,
    functions,
    own_arguments,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.executors.sagemaker.service.client import Aws
    from soundgate.executors.sagemaker.service.executions import Execution

MOST_SELECTED = 50
Definition = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """How to continue, and why."""

    action: str
    """``watch``, ``retry``, ``select`` or ``anew``."""
    why: str
    source: str
    """ARN of the execution to continue; empty for the first of a run."""
    steps: tuple[str, ...] = ()
    """The steps that are selected."""


def choose(aws: Aws, arn: str, definition: Definition, values: Mapping[str, Any]) -> Way:
    """Decide how to continue after the execution ``arn``; only reads.

    Args:
        aws: client of the account.
        arn: the execution to continue.
        definition: what would be started now.
        values: the parameters it would be started with.
    """
    execution = executions.look(aws, arn)
    if execution.status == executions.DELETED:
        return Way("anew", f"{execution.reason}: it starts anew", arn)
    if not execution.is_over:
        return Way("watch", f"execution {execution.id} is still {execution.status}", arn)
    if execution.status == executions.SUCCEEDED:
        return Way("watch", f"execution {execution.id} succeeded already", arn)
    started = executions.definition_of(aws, arn)
    before, now = (
        effective(started, executions.parameters_of(aws, arn)),
        effective(definition, values),
    )
    parameters = {name for name in {**before, **now} if before.get(name) != now.get(name)}
    parameters.discard(FRESH)  # whether the first start used the cache does not matter now
    steps = changed_steps(started, definition, parameters)
    if not parameters and not steps:
        return Way("retry", f"nothing changed: execution {execution.id} is retried", arn)
    return _after_changes(execution, definition, parameters, steps)


def _after_changes(
    execution: Execution, definition: Definition, parameters: set[str], steps: set[str]
) -> Way:
    """Select the changed steps if SageMaker can do that, otherwise all steps."""
    shown = f"changed: {', '.join(sorted(parameters | steps))}"
    done = {n for n, s in execution.steps.items() if s.status == executions.SUCCEEDED}
    selected = to_run(definition, done, steps)
    every = [step.name for step in all_steps(definition["Steps"])]
    if execution.status == executions.STOPPED or len(selected) > MOST_SELECTED:
        why = f"{shown}; SageMaker's cache decides what is run again"
    elif len(selected) == len(every):
        why = f"{shown}, and with it every step"
    else:
        why = f"{shown}; {len(every) - len(selected)} steps are taken from {execution.id}"
        chosen = tuple(name for name in every if name in selected)
        return Way("select", why, execution.arn, chosen)
    return Way("anew", why, execution.arn)


def effective(definition: Definition, values: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of every parameter at a start, as text."""
    found = {}
    for parameter in definition.get("Parameters", []):
        value = values.get(parameter["Name"], parameter.get("DefaultValue"))
        found[parameter["Name"]] = "" if value is None else str(value)
    return found


def changed_steps(before: Definition, now: Definition, parameters: set[str]) -> set[str]:
    """Return the steps of ``now`` that are new, differ, or use a changed parameter."""
    old = {step.name: _own(step) for step in all_steps(before.get("Steps"))}
    found = set()
    for step in all_steps(now["Steps"]):
        used = {
            str(path).removeprefix("Parameters.")
            for _, name, path in functions(own_arguments(step.step))
            if name == "Get"
        }
        if old.get(step.name) != _own(step) or used & parameters:
            found.add(step.name)
    return found


def to_run(definition: Definition, done: set[str], changed: set[str]) -> set[str]:
    """Return the steps that must run: changed, not done, or depending on one of those.

    A condition and all steps in its branches count as one, because SageMaker cannot select part of
    a branch.
    """
    steps = {step.name: step for step in all_steps(definition["Steps"])}
    references = References({}, steps)
    tree = {name: step.branches[0][0] if step.branches else name for name, step in steps.items()}
    trees: dict[str, set[str]] = {}
    for name, top in tree.items():
        trees.setdefault(top, set()).add(name)
    waits = {top: set[str]() for top in trees}
    for name, step in steps.items():
        waits[tree[name]] |= {tree[other] for other in references.waits_for(step)} - {tree[name]}
    chosen = {
        top
        for top, names in trees.items()
        if names & changed or not all(n in done or _is_message(steps[n]) for n in names)
    }
    while more := {top for top in waits if top not in chosen and waits[top] & chosen}:
        chosen |= more
    return {name for top in chosen for name in trees[top]}


def _is_message(step: NestedStep) -> bool:
    """Whether a branch only ends the execution.

    Such a branch does not run in a successful execution.
    """
    return step.step.get("Type") == "Fail"


def _own(step: NestedStep) -> str:
    """Return a step's text without its branches, for comparison."""
    text = {name: value for name, value in step.step.items() if name != "Arguments"}
    arguments = own_arguments(step.step)
    inside = {branch: True for branch in BRANCHES if branch in (step.step.get("Arguments") or {})}
    whole = {**text, "Arguments": arguments, "Branches": inside, "In": list(step.branches)}
    return canonical(comparable(whole))
