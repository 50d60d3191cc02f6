"""How a step of an execution stands, as ``ListPipelineExecutionSteps`` shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from definition_runner.job import Job


@dataclass
class Record:
    """One step that was started, or whose earlier result is used."""

    step: dict[str, Any]
    status: str = "Starting"
    reason: str = ""
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    """What ``Steps.<name>`` refers to."""
    cached_from: str = ""
    """ARN of the execution whose result is used, by caching."""
    selected_from: str = ""
    """ARN of the execution whose result is used, by selective execution."""
    jobs: list[Job] = field(default_factory=list)
    """Its jobs, one an attempt."""

    @property
    def name(self) -> str:
        """The step's name."""
        return str(self.step["Name"])

    @property
    def ran(self) -> bool:
        """Whether something was really executed for it."""
        return not (self.cached_from or self.selected_from)

    @property
    def outcome(self) -> bool | None:
        """Whether a condition held; None for other steps."""
        said = self.metadata.get("Condition", {}).get("Outcome")
        return None if said is None else said == "True"

    @property
    def log(self) -> list[str]:
        """Lines of all its jobs."""
        return [line for job in self.jobs for line in job.lines]

    def describe(self) -> dict[str, Any]:
        """Return the item of ``PipelineExecutionSteps``."""
        found = {
            "StepName": self.name,
            "StepDisplayName": self.step.get("DisplayName"),
            "StepDescription": self.step.get("Description"),
            "StartTime": self.started_at,
            "EndTime": self.ended_at,
            "StepStatus": self.status,
            "AttemptCount": self.attempts,
            "FailureReason": self.reason[:1024],
            "Metadata": self.metadata,
        }
        if self.cached_from:
            found["CacheHitResult"] = {"SourcePipelineExecutionArn": self.cached_from}
        if self.selected_from:
            found["SelectiveExecutionResult"] = {"SourcePipelineExecutionArn": self.selected_from}
        return {name: value for name, value in found.items() if value not in (None, "")}
