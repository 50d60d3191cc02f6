"""Creates the SageMaker Pipeline of a run, or updates it if it differs.

An unchanged pipeline is never updated, because each update creates a version that people have to
tell apart.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from soundgate.errors import ExecutorError
from soundgate.executors.sagemaker.service.client import AwsRefused, is_gone
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.executors.sagemaker.service.client import Aws
    from soundgate.store import Store

INLINE_BYTES = 100_000
"""Longer definitions are stored in the bucket, from which SageMaker reads them."""
THERE_ALREADY = frozenset({"ConflictException", "ValidationException"})
"""Error codes that mean that a pipeline of this name exists."""
DESCRIPTION_CHARACTERS = 400
"""Longest description that the console shows, characters."""


def canonical(definition: Mapping[str, Any]) -> str:
    """Return a definition as it is sent and compared: sorted, without spaces."""
    return json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def comparable(value: Any) -> Any:
    """Return a definition in a form to compare, in which 2.0 and 2 are equal."""
    if isinstance(value, dict):
        return {name: comparable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def describe(text: str) -> str:
    """Return a description as SageMaker accepts it: one line of at most 400 characters."""
    line = " ".join(text.split())
    limit = DESCRIPTION_CHARACTERS
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


class Deployment:
    """Creates or updates one pipeline, and deletes what it created if the start fails."""

    def __init__(  # noqa: PLR0913 - what CreatePipeline takes
        self,
        aws: Aws,
        *,
        name: str,
        definition: Mapping[str, Any],
        role_arn: str,
        description: str = "",
        max_parallel: int | None = None,
        tags: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Describe the intended pipeline; nothing is sent yet.

        Args:
            aws: client of the account.
            name: the pipeline's name.
            definition: its definition, JSON.
            role_arn: role of its executions.
            description: text shown in the console.
            max_parallel: steps that run at the same time; None: the service's default.
            tags: ``{"Key", "Value"}`` each; other tags of the pipeline are kept.
        """
        self.aws, self.name = aws, name
        self.text = canonical(definition)
        self.wanted: dict[str, Any] = {"RoleArn": role_arn}
        if description:
            self.wanted["PipelineDescription"] = describe(description)
        if max_parallel:
            self.wanted["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": max_parallel}
        self.tags = [dict(tag) for tag in tags]
        self.action = ""
        """What happened: created, updated or unchanged."""
        self.version: int | None = None
        """The version that was created, if the service reported it."""

    def look(self) -> dict[str, Any] | None:
        """Return the existing pipeline, or None; changes nothing."""
        try:
            return self.aws.call("sagemaker", "describe_pipeline", PipelineName=self.name)
        except AwsRefused as error:
            if is_gone(error):
                return None
            raise

    def apply(self, bucket_prefix: BucketPrefix) -> None:
        """Create or update the pipeline if needed.

        Args:
            bucket_prefix: location for a long definition.
        """
        found = self.look() or self._create(bucket_prefix)
        if found is None:
            return
        self.action, self.version = "unchanged", None
        if self._differs(found):
            answer = self.aws.change(
                "sagemaker",
                "update_pipeline",
                PipelineName=self.name,
                **self.wanted,
                **self._definition(bucket_prefix),
            )
            self.action, self.version = "updated", answer.get("PipelineVersionId")
        self._add_tags(str(found["PipelineArn"]))

    def _create(self, bucket_prefix: BucketPrefix) -> dict[str, Any] | None:
        """Create the pipeline; return the existing one if another run has just created it."""
        try:
            self.aws.call(
                "sagemaker",
                "create_pipeline",
                PipelineName=self.name,
                **self.wanted,
                **self._definition(bucket_prefix),
                **({"Tags": self.tags} if self.tags else {}),
            )
        except AwsRefused as error:
            found = self.look() if error.code in THERE_ALREADY else None
            if found is None:
                raise
            return found
        self.action = "created"
        return None

    def is_wanted(self, definition: Any) -> bool:
        """Whether a definition equals the one of this deployment."""
        return bool(comparable(definition) == comparable(json.loads(self.text)))

    def take_back(self) -> None:
        """Delete a pipeline that this deployment created and never started."""
        if self.action == "created":
            with suppress(ExecutorError):  # the error that led here is more informative
                self.aws.call("sagemaker", "delete_pipeline", PipelineName=self.name)

    def _differs(self, found: Mapping[str, Any]) -> bool:
        if any(found.get(name) != value for name, value in self.wanted.items()):
            return True
        try:
            return not self.is_wanted(json.loads(found["PipelineDefinition"]))
        except (KeyError, ValueError):
            return True

    def _definition(self, bucket_prefix: BucketPrefix) -> dict[str, Any]:
        content = self.text.encode()
        if len(content) < INLINE_BYTES:
            return {"PipelineDefinition": self.text}
        key = bucket_prefix.key(f"definitions/{digest_text(self.text)}.json")
        bucket_prefix.store.put(key, content)
        return {"PipelineDefinitionS3Location": {"Bucket": bucket_prefix.bucket, "ObjectKey": key}}

    def _add_tags(self, arn: str) -> None:
        """Add missing tags to the pipeline; other tags stay."""
        if not self.tags:
            return
        entries = self.aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        has = {tag["Key"]: tag["Value"] for tag in entries}
        missing = [tag for tag in self.tags if has.get(tag["Key"]) != tag["Value"]]
        if missing:
            self.aws.call("sagemaker", "add_tags", ResourceArn=arn, Tags=missing)


class BucketPrefix:
    """A prefix of a bucket."""

    def __init__(self, store: Store, bucket: str, prefix: str) -> None:
        """Join a store of the whole bucket with the prefix that keys begin with."""
        self.store, self.bucket, self.prefix = store, bucket, prefix.strip("/")

    def key(self, rest: str) -> str:
        """Return the key of ``rest`` below the prefix."""
        return f"{self.prefix}/{rest}" if self.prefix else rest
