"""Where artifacts are stored in the bucket and mounted in a job.

    <prefix>/files/<digest>/<name>                         files known at submission, named by
    content <prefix>/<pipeline>/executions/<execution>/<step>/...  outputs of an execution
    <prefix>/<pipeline>/checkpoints/<step>/...             checkpoints of trainings

A reused result stays in the prefix of the execution that made it. Tasks that read it get its
location through a property of its step, so their own cache keys do not change either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.executors.sagemaker.rendering.expressions import (
    EXECUTION_ID,
    Expression,
    join,
    model_artifacts,
    processing_output,
    s3_uri,
)
from soundgate.reuse.digests import digest_text
from soundgate.task import File, Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.pipeline import Pipeline
    from soundgate.task import Task

PROCESSING, TRAINING = "processing", "training"
INPUTS = {PROCESSING: "/opt/ml/processing/input", TRAINING: "/opt/ml/input/data"}
OUTPUTS = {PROCESSING: "/opt/ml/processing/output", TRAINING: "/opt/ml/model"}
CHECKPOINTS = "/opt/ml/checkpoints"
ARCHIVE = "model.tar.gz"


def kind_of(task: Task) -> str:
    """Return the kind of job of a task: one with checkpoints is a Training job.

    Only Training jobs can be interrupted and continued.
    """
    keeps = any(argument.kind == "checkpoint" for argument in task.interface.values())
    return TRAINING if keeps else PROCESSING


@dataclass(frozen=True, slots=True)
class Upload:
    """A file or folder of the submitting machine and its key.

    A folder's files go below the key.
    """

    file: File
    key: str


@dataclass(frozen=True, slots=True)
class Source:
    """Location of an artifact, and its path below the folder it is copied to."""

    uri: Expression
    below: str = ""


@dataclass(slots=True, kw_only=True)
class Bucket:
    """The keys of one pipeline's artifacts."""

    pipeline: Pipeline
    prefix: str
    name: Expression
    """Name of the bucket, a parameter."""
    digests: Mapping[Output | File, str]
    steps: dict[str, str] = field(default_factory=dict)
    """Maps a task to the step that writes its outputs, if their names differ."""
    uploads: dict[str, Upload] = field(default_factory=dict)

    def output(self, step: str, *parts: str) -> Expression:
        """Return the location of a step's output in an execution."""
        folder = (self.prefix, self.pipeline.name, "executions")
        return s3_uri(self.name, *folder, EXECUTION_ID, step, *parts)

    def checkpoints(self, step: str, digest: str, fresh: Expression) -> Expression:
        """Return the location of a training's checkpoints.

        Args:
            step: its step.
            digest: distinguishes it from other trainings of that step.
            fresh: differs for a training that must start from the beginning.
        """
        folder = f"/{self.prefix}/{self.pipeline.name}/checkpoints/{step}/"
        return join("", "s3://", self.name, folder, fresh, digest)

    def source(self, item: Output | File) -> Source:
        """Return the location of an artifact; a file is noted for upload."""
        if isinstance(item, Output):
            return self._written(item)
        digest = digest_text(item.name, self.digests[item])
        key = f"{self.prefix}/files/{digest}/{item.name}"
        self.uploads[key] = Upload(item, key)
        return Source(s3_uri(self.name, self.prefix, "files", digest, ""), f"/{item.name}")

    def _written(self, item: Output) -> Source:
        task = self.pipeline.tasks[item.task]
        step = self.steps.get(item.task, item.task)
        if kind_of(task) == TRAINING:
            return Source(model_artifacts(step), f"/{ARCHIVE}/{item.name}")
        uri = processing_output(step, item.name)
        if any(o != item.name and o.startswith(item.name) for o in task.outputs):
            uri = join(
                "/", uri, ""
            )  # a trailing slash: the prefix ".../report" would include ".../report_low"
        return Source(uri)
