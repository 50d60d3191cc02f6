"""An execution, as whoever waits for it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.executors.display import LOG_TAIL_LINES
from soundgate.executors.sagemaker import executions, logs
from soundgate.executors.sagemaker.client import AwsRefused
from soundgate.executors.waiting import Seen

if TYPE_CHECKING:
    from soundgate.executors.sagemaker.client import Aws
    from soundgate.executors.sagemaker.states import Watcher
    from soundgate.runs import Run

Record = dict[str, Any]


@dataclass(slots=True)
class WatchedExecution:
    """The execution of a run."""

    aws: Aws
    run: Run
    watcher: Watcher
    greeting: str = ""
    goes_on: str = "the execution goes on"
    is_usual: str = "AWS answers again"

    def look(self, record: Record, *, due: bool) -> Seen:  # noqa: ARG002 - every look asks
        """Ask for the execution and its steps.

        Raises:
            AwsRefused: AWS refuses to be asked.
        """
        try:
            return Seen(self.watcher.look(record))
        except AwsRefused as error:
            if not error.may_pass:
                raise
            return Seen([], str(error))  # not to be answered is not to have ended

    def end(self, record: Record, reason: str) -> None:
        """Stop it."""
        stop(self.aws, self.run, record, reason)

    def last_lines(self, record: Record, task: str) -> tuple[list[str], str]:
        """Return the end of the log of a task's job; nothing of a task without one."""
        job = record["tasks"][task]["engine_id"]
        if logs.group_of(job) is None:
            return [], ""
        whole = f"show-logs {self.run.id} {task}"
        try:
            return logs.tail(self.aws, job, LOG_TAIL_LINES), whole
        except AwsRefused:  # the reason is known without its log
            return [], whole

    def rest_s(self, record: Record) -> None:
        """Rest until AWS may be asked again."""


def stop(aws: Aws, run: Run, record: Record, reason: str) -> None:
    """Ask an execution to end, and remember why; SageMaker stops the jobs that run.

    One that is just between two steps answers with a conflict, and is asked again.

    Raises:
        AwsRefused: it may not be stopped.
    """
    arn = record["engine_id"]
    try:
        aws.change("sagemaker", "stop_pipeline_execution", PipelineExecutionArn=arn)
    except AwsRefused:
        if executions.look(aws, arn).status == executions.EXECUTING:
            raise  # else it ends already: somebody else was faster
    record["reason"] = reason
    run.write(record)
