"""A Processing or Training job: what is known of it, and how ``Describe...Job`` shows it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from datetime import datetime
    from pathlib import Path

    from definition_runner.account import Account

REASON_CHARACTERS = 1024
"""What the service keeps of a reason or a message."""
DAY_S = 86400


@dataclass
class Job:
    """One job."""

    account: Account
    kind: str
    """``Processing`` or ``Training``."""
    step: str
    name: str
    arguments: dict[str, Any]
    """Of ``Create...Job``, without the name."""
    halt: threading.Event
    """Set when it has to stop."""
    status: str = "InProgress"
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    lines: list[str] = field(default_factory=list)
    """Its log, of all attempts on spot instances."""
    transitions: list[str] = field(default_factory=list)
    """Secondary states of a Training job, ``Interrupted 75`` (with the exit code) among them."""
    found: dict[str, Any] = field(default_factory=dict)
    """Further fields of its description: artifacts, metrics."""

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.account.arn(f"{self.kind.lower()}-job", self.name)

    @property
    def ml(self) -> Path:
        """Its ``/opt/ml`` on this machine."""
        return self.account.folder / self.name

    @property
    def log_group(self) -> str:
        """The CloudWatch group that its log is in."""
        return f"/aws/sagemaker/{self.kind}Jobs"

    @property
    def log_stream(self) -> str:
        """The CloudWatch stream that its log is in."""
        return f"{self.name}/algo-1-0000000000"

    def describe(self) -> dict[str, Any]:
        """Return what ``Describe...Job`` answers; steps refer to it as properties."""
        state = {
            f"{self.kind}JobName": self.name,
            f"{self.kind}JobArn": self.arn,
            f"{self.kind}JobStatus": self.status,
            "CreationTime": self.started_at,
            "LastModifiedTime": self.ended_at or self.started_at,
            f"{self.kind}StartTime": self.started_at,
            f"{self.kind}EndTime": self.ended_at,
            "FailureReason": self.reason,
            "ExitMessage": self.message,
        }
        given = {name: value for name, value in self.arguments.items() if name != "Tags"}
        return {**given, **self.found, **{k: v for k, v in state.items() if v}}


def new_name(execution: str, step: str) -> str:
    """Return a name for a job, as pipelines give them."""
    return f"pipelines-{execution}-{re.sub('[^A-Za-z0-9-]', '-', step)[:20]}-{secrets.token_hex(5)}"


def only(where: str, value: Any, *supported: Any) -> None:
    """Refuse to play what is not supported."""
    if value not in supported:
        raise NotImplementedError(f"{where}: {value!r} is not played, only {supported}")
