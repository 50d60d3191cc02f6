"""Waiting for an execution: shows what happens, bears silence, ends it when it takes too long."""

from __future__ import annotations

import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate.errors import SoundgateError
from soundgate.executors.display import Display, display
from soundgate.executors.sagemaker import executions, logs
from soundgate.executors.sagemaker.client import AwsRefused
from soundgate.runs import State

if TYPE_CHECKING:
    from soundgate.executors.base import Submission
    from soundgate.executors.sagemaker.client import Aws
    from soundgate.executors.sagemaker.states import Watcher
    from soundgate.runs import Run

Record = dict[str, Any]

FIRST_POLL_S, GROWTH = 1.0, 1.5
"""Between looks, right after something happened, and how that grows while nothing does."""
LOG_TAIL_LINES = 20


@dataclass(slots=True)
class Waiting:
    """Looks at an execution until it is over."""

    aws: Aws
    run: Run
    watcher: Watcher
    poll_s: float
    """Longest time between two looks."""
    _told: str = ""

    def wait(self, record: Record, submission: Submission) -> Record:
        """Return the record as it stands when the execution is over.

        Raises:
            SoundgateError: AWS refuses to be asked; the execution goes on.
        """
        shown = display(record["tasks"], sys.stderr if submission.quiet else sys.stdout)
        limit, started, pause_s = submission.timeout_s, time.monotonic(), FIRST_POLL_S
        try:
            while True:
                changed = self._look(record, shown)
                if State(record["state"]).final:
                    return record
                if limit is not None and time.monotonic() - started > limit:
                    stop(self.aws, self.run, record, f"the run exceeded --timeout {limit:g} s")
                    limit = None
                pause_s = FIRST_POLL_S if changed else pause_s * GROWTH
                pause_s = min(pause_s, self.poll_s)
                spread = random.uniform(0.8, 1.2)  # noqa: S311 - many runs, one service
                left = float("inf") if limit is None else started + limit - time.monotonic()
                time.sleep(max(0.05, min(pause_s * spread, left)))
        except KeyboardInterrupt:
            shown.say(f"the execution goes on; look with: show-run {self.run.id}")
            shown.say(f"end it with: cancel-run {self.run.id}")
            raise
        except SoundgateError as error:
            goes_on = f"{error}; the execution goes on: look with show-run {self.run.id}"
            error.args = (goes_on, *error.args[1:])
            raise
        finally:
            shown.close()

    def _look(self, record: Record, shown: Display) -> list[str]:
        """Bring the record up to date and show what changed."""
        changed: list[str] = []
        problem = ""
        try:
            changed = self.watcher.look(record)
        except AwsRefused as error:
            if not error.may_pass:
                raise
            problem = str(error)  # not to be answered is not to have ended
        if problem != self._told:
            shown.say(problem or "AWS answers again")
            self._told = problem
        for name in changed:
            shown.update(name, record["tasks"][name])
            if record["tasks"][name]["state"] == State.FAILED:
                self._show_log(name, record["tasks"][name]["engine_id"], shown)
        self.run.write(record)
        return changed

    def _show_log(self, name: str, job: str, shown: Display) -> None:
        if logs.group_of(job) is None:
            return
        lines: list[str] = []
        with suppress(AwsRefused):  # the reason is known without its log
            lines = logs.tail(self.aws, job, LOG_TAIL_LINES)
        if lines:
            shown.say(f"--- last lines of {name}'s log")
            shown.say("\n".join(lines))
        shown.say(f"--- whole log: show-logs {self.run.id} {name}")


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
