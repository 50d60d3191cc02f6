"""The logs of jobs, from CloudWatch: one stream for each machine of a job."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.executors.sagemaker.service.client import AwsRefused, is_gone
from soundgate.executors.sagemaker.service.executions import JOBS, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.executors.sagemaker.service.client import Aws

GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
}
BETWEEN_S = 2.0
"""Time between two requests for new lines of a followed job; CloudWatch limits requests."""


@dataclass(slots=True)
class Reader:
    """Reads a job's log; later calls fetch only new lines."""

    aws: Aws
    job: str
    """The job's ARN."""
    _lines: dict[str, list[str]] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    _asked_at: float = 0.0

    def lines(self) -> Iterator[str]:
        """Yield every line so far, the streams one after another.

        Raises:
            AwsRefused: CloudWatch refuses.
        """
        wait_s = self._asked_at + BETWEEN_S - time.monotonic()
        if self._asked_at and wait_s > 0:
            time.sleep(wait_s)
        for stream in streams(self.aws, self.job):
            self._read(stream)
        self._asked_at = time.monotonic()
        for lines in self._lines.values():
            yield from lines

    def _read(self, stream: str) -> None:
        known = self._lines.setdefault(stream, [])
        while True:
            token = self._tokens.get(stream)
            answer = self.aws.call(
                "logs",
                "get_log_events",
                logGroupName=group_of(self.job),
                logStreamName=stream,
                startFromHead=True,
                **({"nextToken": token} if token else {}),
            )
            known += [f"{event['message'].rstrip()}\n" for event in answer["events"]]
            self._tokens[stream] = answer["nextForwardToken"]
            if answer["nextForwardToken"] == token or not answer["events"]:
                return


def group_of(job: str) -> str | None:
    """Return the log group for this kind of job; None for steps without a log."""
    return next((GROUPS[kind] for kind, mark in JOBS.items() if mark in job), None)


def streams(aws: Aws, job: str) -> list[str]:
    """Return the names of a job's log streams; empty while it has written nothing."""
    group = group_of(job)
    if group is None:
        return []
    found: list[str] = []
    token: dict[str, str] = {}
    try:
        while True:
            answer = aws.call(
                "logs",
                "describe_log_streams",
                logGroupName=group,
                logStreamNamePrefix=f"{short(job)}/",
                **token,
            )
            found += [stream["logStreamName"] for stream in answer["logStreams"]]
            if not answer.get("nextToken"):
                return found
            token = {"nextToken": answer["nextToken"]}
    except AwsRefused as error:
        if is_gone(
            error
        ):  # the log group does not exist until a job of this kind has written something
            return found
        raise


def tail(aws: Aws, job: str, lines: int) -> list[str]:
    """Return the last lines of a job's log."""
    last: deque[str] = deque(maxlen=lines)
    for stream in streams(aws, job):
        answer = aws.call(
            "logs",
            "get_log_events",
            logGroupName=group_of(job),
            logStreamName=stream,
            startFromHead=False,
            limit=lines,
        )
        last += [event["message"].rstrip() for event in answer["events"]]
    return list(last)


def last_line(aws: Aws, job: str) -> str:
    """Return the last line that is not blank; empty if reading logs is not permitted."""
    try:
        lines = [line for line in tail(aws, job, 5) if line.strip()]
    except AwsRefused:  # a note is optional: a run must not fail because its log cannot be read
        return ""
    return lines[-1].strip() if lines else ""
