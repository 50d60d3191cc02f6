"""What a deployment of the AWS stack is told: context values of the CDK app (``cdk.json``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

Tracking = Literal["app", "server", "none"]
PROJECT = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,29}")
"""SageMaker's pattern of a pipeline's name, which is this and the id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One project: a repository, what it trains, and where it may be reached."""

    project_name: str = "soundgate"
    """SageMaker project; with ``project_id`` it names the pipeline and the model package group."""
    project_id: str = "p-1"
    usecase: str = "aed"
    """Module of ``pipelines/`` that a push runs."""
    repository: str = ""
    """``owner/name`` on the git host."""
    branch: str = "main"
    connection_arn: str = ""
    """CodeConnections connection to the git host, made and confirmed once in the console."""
    buildspec: str = "buildspec.yml"
    tracking: Tracking = "app"
    """MLflow: the serverless app, a tracking server of a fixed size, or none."""
    github_provider_arn: str = ""
    """The account's OIDC provider of GitHub Actions; empty: no role for the workflow."""
    release_email: str = ""
    """Who is told of approvals, besides what subscribes to the topic; empty: nobody."""
    build_hours: int = 8
    """Longest build, hours; it waits for the pipeline. CodeBuild's own limit is 36."""

    def __post_init__(self) -> None:
        """Refuse what CloudFormation would refuse only after minutes."""
        for name in ("project_name", "project_id"):
            if not PROJECT.fullmatch(getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)!r}: letters, digits, single dashes")
        if self.repository.count("/") != 1:
            raise ValueError(f"repository: {self.repository!r}: write it as owner/name")
        if not self.connection_arn.startswith("arn:"):
            raise ValueError("connection_arn: pass the ARN of a connection to the git host")
        if self.tracking not in get_args(Tracking):
            raise ValueError(f"tracking: {self.tracking!r} is none of {get_args(Tracking)}")

    @property
    def name(self) -> str:
        """The project's full name, ``<name>-<id>``."""
        return f"{self.project_name}-{self.project_id}"


def read(value_of: Callable[[str], Any]) -> Settings:
    """Return the settings from context; ``value_of`` gives None for what is not set.

    Raises:
        ValueError: a value is missing or wrong.
    """
    given = {f.name: value_of(f.name) for f in fields(Settings)}
    kinds = {f.name: int if f.type == "int" else str for f in fields(Settings)}
    known: dict[str, Any] = {n: kinds[n](value) for n, value in given.items() if value is not None}
    return Settings(**known)
