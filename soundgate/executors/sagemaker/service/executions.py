"""An execution as SageMaker describes it: its status, its steps, its definition."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.executors.sagemaker.rendering.names import owner_of
from soundgate.executors.sagemaker.service.client import AwsRefused, is_gone
from soundgate.executors.sagemaker.validation.references import all_steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from soundgate.executors.sagemaker.service.client import Aws

EXECUTING = "Executing"
RUNNING = (EXECUTING, "Stopping")
SUCCEEDED = "Succeeded"
STOPPED = "Stopped"
DELETED = "Deleted"
"""Our own status for an execution that SageMaker no longer knows."""
ENDED_BADLY = ("Failed", "CompletedWithFailures")
"""The statuses of an execution; all except those in ``RUNNING`` are final."""
JOBS = {"ProcessingJob": "processing-job/", "TrainingJob": "training-job/"}
"""Kinds of jobs in a step's metadata, and what their ARNs contain."""
SOURCES = 5
"""Number of executions through which a reused result is traced back."""


@dataclass(frozen=True, slots=True)
class StepState:
    """The state of a step of an execution."""

    name: str
    status: str
    """Starting, Executing, Stopping, Stopped, Failed or Succeeded."""
    started: datetime | None
    ended: datetime | None
    attempt: int
    reason: str
    """Why it failed."""
    arn: str
    """ARN of its job or model package; empty for a step without one."""
    source: str
    """ARN of the execution whose result it reuses; empty if it ran itself."""
    outcome: bool | None
    """Outcome of a condition; None for other steps."""


@dataclass(frozen=True, slots=True)
class Execution:
    """The state of an execution."""

    arn: str
    status: str
    reason: str
    created: datetime | None
    modified: datetime | None
    steps: Mapping[str, StepState]
    """Started steps by name, with the newest attempt of each."""

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return short(self.arn)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status not in RUNNING


def short(arn: str) -> str:
    """Return the last part of an ARN."""
    return arn.rsplit("/", 1)[-1]


def look(aws: Aws, arn: str) -> Execution:
    """Return the state of an execution; two calls, more if it has over 100 steps.

    The status is read first: if it is final, the steps read after it are final as well.

    Raises:
        AwsRefused: AWS refuses the request.
    """
    try:
        found = aws.call("sagemaker", "describe_pipeline_execution", PipelineExecutionArn=arn)
    except AwsRefused as error:
        if not is_gone(error) or not _is_asked_at_home(aws, arn):
            raise
        why = f"execution {short(arn)} is no more: it was deleted with its pipeline"
        return Execution(arn, DELETED, why, None, None, {})
    return Execution(
        arn=arn,
        status=found["PipelineExecutionStatus"],
        reason=" ".join(found.get("FailureReason", "").split()),
        created=found.get("CreationTime"),
        modified=found.get("LastModifiedTime"),
        steps=_newest(map(_state, _entries(aws, arn))),
    )


def _is_asked_at_home(aws: Aws, arn: str) -> bool:
    """Whether this client uses the region and account of an execution."""
    _, _, _, region, account, _ = arn.split(":", 5)
    return aws.region == region and aws.call("sts", "get_caller_identity")["Account"] == account


def definition_of(aws: Aws, arn: str) -> dict[str, Any]:
    """Return the definition that an execution was started with."""
    answer = aws.call(
        "sagemaker", "describe_pipeline_definition_for_execution", PipelineExecutionArn=arn
    )
    definition: dict[str, Any] = json.loads(answer["PipelineDefinition"])
    return definition


def parameters_of(aws: Aws, arn: str) -> dict[str, str]:
    """Return the parameters that were given explicitly when an execution started."""
    entries = aws.pages(
        "sagemaker",
        "list_pipeline_parameters_for_execution",
        "PipelineParameters",
        PipelineExecutionArn=arn,
    )
    return {entry["Name"]: entry["Value"] for entry in entries}


def job_of(aws: Aws, step: StepState) -> str:
    """Return the ARN of the job that made a step's result, also if the result was reused."""
    arn, source = step.arn, step.source
    for _ in range(SOURCES):
        if arn or not source:
            break
        try:
            origin = _newest(map(_state, _entries(aws, source))).get(step.name)
        except AwsRefused as error:
            if not is_gone(error):
                raise
            break  # the execution was deleted with its pipeline
        arn, source = (origin.arn, origin.source) if origin else ("", "")
    return arn


def steps_by_task(
    definition: Mapping[str, Any], tasks: Collection[str]
) -> dict[str, dict[str, str]]:
    """Return for each task the steps that do its work, as name to type.

    A step whose name is not a task's was added for a task: a gather job, a verdict, a fail step, a
    model package.
    """
    found: dict[str, dict[str, str]] = {name: {} for name in tasks}
    for step in all_steps(definition.get("Steps")):
        owner = owner_of(step.name, tasks)
        if owner is not None:
            found[owner][step.name] = str(step.step.get("Type"))
    return found


def _entries(aws: Aws, arn: str) -> Iterable[dict[str, Any]]:
    return aws.pages(
        "sagemaker",
        "list_pipeline_execution_steps",
        "PipelineExecutionSteps",
        PipelineExecutionArn=arn,
        MaxResults=100,
    )


def _newest(states: Iterable[StepState]) -> dict[str, StepState]:
    found: dict[str, StepState] = {}
    for state in states:
        other = found.get(state.name)
        if other is None or _order(state) > _order(other):
            found[state.name] = state
    return found


def _order(state: StepState) -> tuple[int, float]:
    return state.attempt, state.started.timestamp() if state.started else 0.0


def _state(entry: Mapping[str, Any]) -> StepState:
    about = entry.get("Metadata", {})
    outcome = about.get("Condition", {}).get("Outcome")
    kinds = (*JOBS, "RegisterModel")
    reused = entry.get("CacheHitResult") or entry.get("SelectiveExecutionResult") or {}
    message = about.get("Fail", {}).get("ErrorMessage") or entry.get("FailureReason", "")
    return StepState(
        name=entry["StepName"],
        status=entry.get("StepStatus", "Starting"),
        started=entry.get("StartTime"),
        ended=entry.get("EndTime"),
        attempt=int(entry.get("AttemptCount") or 0),
        reason=" ".join(str(message).split()),
        arn=next((about[kind]["Arn"] for kind in kinds if about.get(kind, {}).get("Arn")), ""),
        source=reused.get("SourcePipelineExecutionArn", ""),
        outcome=None if outcome is None else str(outcome).lower() == "true",
    )
