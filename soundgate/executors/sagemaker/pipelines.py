"""The pipeline that an execution is started of: made, or changed where it differs.

Nothing is sent where nothing changed: every update makes a version of the pipeline that people
have to tell apart.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from soundgate.errors import ExecutorError
from soundgate.executors.sagemaker.client import AwsRefused, is_gone
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.executors.sagemaker.client import Aws
    from soundgate.store import Store

INLINE_BYTES = 100_000
"""Longer definitions are put into the bucket; SageMaker reads them there."""
THERE_ALREADY = frozenset({"ConflictException", "ValidationException"})
"""Codes of a service that has a pipeline of that name."""
DESCRIPTION_CHARACTERS = 400
"""Of a description; more is not shown by the console."""


def canonical(definition: Mapping[str, Any]) -> str:
    """Return a definition as it is sent and compared: sorted, without spaces."""
    return json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def comparable(value: Any) -> Any:
    """Return a definition as it is compared: 2.0 and 2 are the same number, whoever wrote it."""
    if isinstance(value, dict):
        return {name: comparable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def describe(text: str) -> str:
    """Return a description as SageMaker takes it: one line of at most 400 characters."""
    line = " ".join(text.split())
    limit = DESCRIPTION_CHARACTERS
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


class Deployment:
    """Brings one pipeline up to date, and takes back what it made where nothing came of it."""

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
        """Say what the pipeline is to be; nothing is sent yet.

        Args:
            aws: where to.
            name: the pipeline's name.
            definition: what it does.
            role_arn: the role that its executions have.
            description: what the console shows beside it.
            max_parallel: steps that run at a time; None: the service's default.
            tags: ``{"Key", "Value"}`` each; others that the pipeline has are kept.
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
        """What was done: created, updated or unchanged."""
        self.version: int | None = None
        """The version that was made, where the service told."""

    def look(self) -> dict[str, Any] | None:
        """Return the pipeline as it is, None where there is none; changes nothing."""
        try:
            return self.aws.call("sagemaker", "describe_pipeline", PipelineName=self.name)
        except AwsRefused as error:
            if is_gone(error):
                return None
            raise

    def apply(self, place: Place) -> None:
        """Create or update the pipeline, where that is needed.

        Args:
            place: where a long definition is put.
        """
        found = self.look() or self._create(place)
        if found is None:
            return
        self.action, self.version = "unchanged", None
        if self._differs(found):
            answer = self.aws.change(
                "sagemaker",
                "update_pipeline",
                PipelineName=self.name,
                **self.wanted,
                **self._definition(place),
            )
            self.action, self.version = "updated", answer.get("PipelineVersionId")
        self._add_tags(str(found["PipelineArn"]))

    def _create(self, place: Place) -> dict[str, Any] | None:
        """Make the pipeline; return it where another run just did."""
        try:
            self.aws.call(
                "sagemaker",
                "create_pipeline",
                PipelineName=self.name,
                **self.wanted,
                **self._definition(place),
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
        """Whether a definition is the one that this deployment is of."""
        return bool(comparable(definition) == comparable(json.loads(self.text)))

    def take_back(self) -> None:
        """Delete a pipeline that this deployment created and that nothing was started of."""
        if self.action == "created":
            with suppress(ExecutorError):  # what made this necessary tells more
                self.aws.call("sagemaker", "delete_pipeline", PipelineName=self.name)

    def _differs(self, found: Mapping[str, Any]) -> bool:
        if any(found.get(name) != value for name, value in self.wanted.items()):
            return True
        try:
            return not self.is_wanted(json.loads(found["PipelineDefinition"]))
        except (KeyError, ValueError):
            return True

    def _definition(self, place: Place) -> dict[str, Any]:
        content = self.text.encode()
        if len(content) < INLINE_BYTES:
            return {"PipelineDefinition": self.text}
        key = place.key(f"definitions/{digest_text(self.text)}.json")
        place.store.put(key, content)
        return {"PipelineDefinitionS3Location": {"Bucket": place.bucket, "ObjectKey": key}}

    def _add_tags(self, arn: str) -> None:
        """Add the tags that the pipeline lacks; those of others stay."""
        if not self.tags:
            return
        entries = self.aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
        has = {tag["Key"]: tag["Value"] for tag in entries}
        missing = [tag for tag in self.tags if has.get(tag["Key"]) != tag["Value"]]
        if missing:
            self.aws.call("sagemaker", "add_tags", ResourceArn=arn, Tags=missing)


class Place:
    """A prefix of a bucket."""

    def __init__(self, store: Store, bucket: str, prefix: str) -> None:
        """Join a store of the whole bucket with the prefix that keys begin with."""
        self.store, self.bucket, self.prefix = store, bucket, prefix.strip("/")

    def key(self, rest: str) -> str:
        """Return the key of ``rest`` below the prefix."""
        return f"{self.prefix}/{rest}" if self.prefix else rest
