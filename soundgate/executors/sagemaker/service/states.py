"""Determines the state of a run from the steps of its execution."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from soundgate.executors.sagemaker.rendering.names import owner_of
from soundgate.executors.sagemaker.service import executions
from soundgate.executors.sagemaker.service.client import AwsRefused
from soundgate.executors.sagemaker.service.executions import Execution, StepState, short
from soundgate.executors.sagemaker.service.logs import last_line
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from soundgate.executors.sagemaker.service.client import Aws
    from soundgate.run_record import RunRecord, TaskRecord

FOREWORDS = re.compile(r"^(ClientError: |AlgorithmError: |InternalServerError: )+")
EXIT_CODE = re.compile(r",?\s*exit code:? \d+\s*$")
NOT_JUDGED = "has no step of its own on SageMaker"


@dataclass(slots=True)
class Watcher:
    """Updates a run's record from its execution."""

    aws: Aws
    arn: str
    since: datetime | None = None
    """Tasks that failed before a retry; each counts as pending until it starts again."""
    _steps: dict[str, dict[str, str]] = field(default_factory=dict)

    def look(self, record: RunRecord) -> list[str]:
        """Update ``record`` in place; return the names of the tasks that changed.

        Raises:
            AwsRefused: SageMaker does not answer, or refuses to.
        """
        execution = executions.look(self.aws, self.arn)
        tasks = record["tasks"]
        if not self._steps and execution.status != executions.DELETED:
            definition = executions.definition_of(self.aws, self.arn)
            self._steps = executions.steps_by_task(definition, tasks)
        before = {name: (task["state"], task["reason"]) for name, task in tasks.items()}
        for name, task in tasks.items():
            listed = [execution.steps[s] for s in self._steps.get(name, ()) if s in execution.steps]
            if not execution.is_over:
                listed = [state for state in listed if not self._is_old(state)]
            if listed:
                self._update(name, task, listed)
        changed = [n for n, task in tasks.items() if (task["state"], task["reason"]) != before[n]]
        for name in changed:
            if tasks[name]["state"] == State.SUCCEEDED:
                tasks[name]["note"] = last_line(self.aws, tasks[name]["engine_id"])
        self._conclude(record, execution)
        return [n for n, task in tasks.items() if (task["state"], task["reason"]) != before[n]]

    def _is_old(self, state: StepState) -> bool:
        bad = state.status in ("Failed", "Stopped")
        return bool(bad and self.since and state.ended and state.ended < self.since)

    def _update(self, name: str, task: TaskRecord, listed: Sequence[StepState]) -> None:
        """Set a task's state from the states of its steps."""
        if State(task["state"]).done:
            return
        main = next((state for state in listed if state.name == name), listed[0])
        times = [state.started for state in listed if state.started]
        ends = [state.ended for state in listed if state.ended]
        failed = next((state for state in listed if state.status == "Failed"), None)
        missed = any(state.outcome is False for state in listed)
        expected = {step for step, kind in self._steps[name].items() if kind != "Fail"}
        there = {state.name for state in listed if state.status == executions.SUCCEEDED}
        task["attempt"] = max(1, *(state.attempt for state in listed))
        if not task["engine_id"] or main.arn:
            task["engine_id"] = executions.job_of(self.aws, main) or task["engine_id"]
        if failed:
            if task["state"] != State.FAILED:
                task.update({"state": State.FAILED, "reason": self._reason(failed)})
        elif any(state.status in ("Stopped", "Stopping") for state in listed):
            task.update({"state": State.CANCELLED, "reason": "stopped with its execution"})
        elif there >= expected and not missed:
            _finish(task, [state for state in listed if state.outcome is None])
        else:
            task.update({"state": State.RUNNING, "reason": "the gate is missed" if missed else ""})
        if State(task["state"]).final and times and ends:
            task["duration_s"] = round((max(ends) - min(times)).total_seconds(), 3)

    def _reason(self, state: StepState) -> str:
        """Return why a step failed, in the words of its program if they are known."""
        text = state.reason
        if executions.JOBS["ProcessingJob"] in state.arn:
            try:
                job = self.aws.call(
                    "sagemaker", "describe_processing_job", ProcessingJobName=short(state.arn)
                )
            except AwsRefused:  # the step's own reason says less, but is better than nothing
                job = {}
            text = " ".join(job.get("ExitMessage", "").split()) or job.get("FailureReason") or text
        return plain_reason(text) or "failed without a reason"

    def _conclude(self, record: RunRecord, execution: Execution) -> None:
        """Set the run's state and, once it has ended, the final state of every task."""
        if not execution.is_over:
            record["state"] = State.RUNNING
            return
        tasks = record["tasks"]
        failed = {n: t["reason"] for n, t in tasks.items() if t["state"] == State.FAILED}
        if execution.status == executions.SUCCEEDED:
            state, reason = State.SUCCEEDED, ""
        elif execution.status == executions.STOPPED:
            state, reason = State.CANCELLED, record["reason"] or "the execution was stopped"
        else:
            state = State.FAILED
            reason = "; ".join(f"{name}: {why}" for name, why in failed.items())
            reason = reason or execution.reason or f"the execution {execution.status}"
        for name, task in tasks.items():
            if not State(task["state"]).final:
                self._close(task, name, state, reason, failed)
        ended = (execution.modified or datetime.now(UTC)).astimezone(UTC)
        record.update({"state": state, "reason": reason})
        record["ended_at"] = ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        started = self.since or execution.created
        if started:
            record["duration_s"] = max(0.0, round((ended - started).total_seconds(), 3))

    def _close(
        self, task: TaskRecord, name: str, state: State, reason: str, failed: Mapping[str, str]
    ) -> None:
        """Set the final state of a task that the execution did not reach or complete."""
        if state == State.SUCCEEDED:
            own = bool(self._steps.get(name))
            task.update({"state": State.SKIPPED if own else State.SUCCEEDED})
            task.update({"reason": "was not run" if own else "", "note": "" if own else NOT_JUDGED})
        elif state == State.CANCELLED:
            task.update({"state": State.CANCELLED, "reason": reason})
        elif task["state"] == State.RUNNING:
            task.update(
                {"state": State.CANCELLED, "reason": f"stopped: {', '.join(failed) or reason}"}
            )
        else:
            first = next(iter(failed), "")
            task.update({"state": State.SKIPPED, "reason": f"{first} failed" if first else reason})


def plain_reason(text: str) -> str:
    """Return a failure reason without the text that SageMaker adds around a program's own message.

    >>> plain_reason("ClientError: AlgorithmError: DataError: no clips, exit code: 1")
    'DataError: no clips'
    """
    flat = " ".join(text.split())
    return EXIT_CODE.sub("", FOREWORDS.sub("", flat)) or flat


def _finish(task: TaskRecord, jobs: Sequence[StepState]) -> None:
    """Mark a task as done, or as reused if all of its jobs were."""
    sources = {state.source for state in jobs if state.source}
    if jobs and all(state.source for state in jobs):
        shown = ", ".join(sorted(short(source) for source in sources))
        task.update({"state": State.REUSED, "reason": f"unchanged since execution {shown}"})
    else:
        task.update({"state": State.SUCCEEDED, "reason": ""})


def reset(record: RunRecord, *, keep: bool, steps: Collection[str] = ()) -> None:
    """Prepare a record for a resumed run.

    Args:
        record: the run's record.
        keep: whether finished tasks stay finished.
        steps: steps that run again even so, if only some do.
    """
    again = {owner_of(step, record["tasks"]) for step in steps}
    for name, task in record["tasks"].items():
        if not (keep and State(task["state"]).done) or name in again:
            task.update(
                {"state": State.PENDING, "reason": "", "note": "", "attempt": 0, "engine_id": ""}
            )
            task["duration_s"] = None
    record.update({"state": State.RUNNING, "reason": "", "ended_at": None, "duration_s": None})
