"""An execution as seen by the waiting loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.executors.display import LOG_TAIL_LINES
from soundgate.executors.sagemaker.service import executions, logs
from soundgate.executors.sagemaker.service.client import AwsRefused
from soundgate.executors.waiting import Seen

if TYPE_CHECKING:
    from soundgate.executors.sagemaker.service.client import Aws
    from soundgate.executors.sagemaker.service.states import Watcher
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run


@dataclass(slots=True)
class WatchedExecution:
    """The execution of a run."""

    aws: Aws
    run: Run
    watcher: Watcher
    greeting: str = ""
    goes_on: str = "the execution goes on"
    is_usual: str = "AWS answers again"

    def look(self, record: RunRecord, *, due: bool) -> Seen:  # noqa: ARG002 - every look asks
        """Read the execution and its steps.

        Raises:
            AwsRefused: AWS refuses to be asked.
        """
        try:
            return Seen(self.watcher.look(record))
        except AwsRefused as error:
            if not error.may_pass:
                raise
            return Seen([], str(error))  # a missing answer does not mean that the execution ended

    def end(self, record: RunRecord, reason: str) -> None:
        """Stop it."""
        stop(self.aws, self.run, record, reason)

    def last_lines(self, record: RunRecord, task: str) -> tuple[list[str], str]:
        """Return the end of the log of a task's job; empty for a task without one."""
        job = record["tasks"][task]["engine_id"]
        if logs.group_of(job) is None:
            return [], ""
        whole = f"show-logs {self.run.id} {task}"
        try:
            return logs.tail(self.aws, job, LOG_TAIL_LINES), whole
        except AwsRefused:  # the reason is known even without the log
            return [], whole

    def rest_s(self, record: RunRecord) -> None:
        """Return the seconds until the next poll."""


def stop(aws: Aws, run: Run, record: RunRecord, reason: str) -> None:
    """Stop an execution and record the reason; SageMaker stops its running jobs.

    An execution that is between two steps answers with a conflict; the call is then repeated.

    Raises:
        AwsRefused: stopping it is not permitted.
    """
    arn = record["engine_id"]
    try:
        aws.change("sagemaker", "stop_pipeline_execution", PipelineExecutionArn=arn)
    except AwsRefused:
        if executions.look(aws, arn).status == executions.EXECUTING:
            raise  # otherwise it is already stopping: another caller was faster
    record["reason"] = reason
    run.write(record)
