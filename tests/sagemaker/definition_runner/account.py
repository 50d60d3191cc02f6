"""An AWS account as an execution sees it: where its services answer, and what jobs it has had."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from definition_runner.cache import Cache
from definition_runner.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from definition_runner.container import Image
    from definition_runner.job import Job

OWN = "definition-runner"
"""In the user agent of the platform's own requests, which no injected fault meets."""
KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}


@dataclass
class Account:
    """Where definitions are executed."""

    endpoint_url: str
    """Of every service that has no endpoint of its own."""
    image: Image
    """What stands for every container image."""
    folder: Path
    """Where jobs have their ``/opt/ml``."""
    s3_url: str = ""
    """Endpoint of S3, where it is another."""
    region: str = "eu-west-1"
    number: str = "123456789012"
    keys: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    grace_s: float = 120.0
    """From SIGTERM to SIGKILL."""
    second_s: float = 1.0
    """What a second of a retry policy's interval takes here; 0 where nothing is worth waiting."""
    synchronised_s: float = 0.3
    """Between two looks for new checkpoints."""
    java_numbers: bool = False
    """Numbers in text as Java prints doubles."""
    max_parallel: int = 50
    """Steps at once, where neither pipeline nor execution says."""
    cache: Cache = field(default_factory=Cache)
    faults: Faults = field(default_factory=Faults)
    jobs: dict[str, Job] = field(default_factory=dict)
    """Every job there was, by name."""
    on_log: Callable[[Job, Sequence[str]], None] | None = None
    """Told the lines of a job, when it has ended."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __post_init__(self) -> None:
        """Make the clients; they may be used by several threads."""
        self._lock = threading.Lock()
        self.s3 = self.client("s3")
        self.sagemaker = self.client("sagemaker")

    def client(self, service: str) -> Any:
        """Make a client of one of the account's services."""
        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=(self.s3_url or self.endpoint_url)
            if service == "s3"
            else self.endpoint_url,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            config=Config(
                s3={"addressing_style": "path"}, max_pool_connections=20, user_agent_extra=OWN
            ),
        )

    def arn(self, kind: str, name: str) -> str:
        """Return the name of a resource."""
        return f"arn:aws:sagemaker:{self.region}:{self.number}:{kind}/{name}"

    def environment(self) -> dict[str, str]:
        """Return what the platform puts into every job's environment."""
        found = {"AWS_REGION": self.region, "AWS_ENDPOINT_URL": self.endpoint_url, **self.keys}
        return found | ({"AWS_ENDPOINT_URL_S3": self.s3_url} if self.s3_url else {})

    def add(self, job: Job) -> None:
        """Remember a job."""
        with self._lock:
            self.jobs[job.name] = job

    def close(self) -> None:
        """Close the connections."""
        self.s3.close()
        self.sagemaker.close()
