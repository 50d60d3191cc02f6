"""Where artifacts lie in the bucket, and where a job finds them.

    <prefix>/files/<digest>/<name>                         files known at submit, named by content
    <prefix>/<pipeline>/executions/<execution>/<step>/...  what an execution wrote
    <prefix>/<pipeline>/checkpoints/<step>/...             of trainings that may be interrupted

A reused result stays where the execution put it that made it; its readers are told through a
property of its step, so that their own cache keys stay the same, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.executors.sagemaker.expressions import (
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
    """Tell which kind of job a task is: one that keeps checkpoints is a Training job.

    Only Training jobs can be interrupted and continued.
    """
    keeps = any(argument.kind == "checkpoint" for argument in task.interface.values())
    return TRAINING if keeps else PROCESSING


@dataclass(frozen=True, slots=True)
class Upload:
    """A file or folder of the submitting machine, and the key it is read under.

    A folder's files go below the key.
    """

    file: File
    key: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where an artifact lies, and its path below the folder that it is copied to."""

    uri: Expression
    below: str = ""


@dataclass(slots=True, kw_only=True)
class Bucket:
    """The keys of one pipeline's artifacts."""

    pipeline: Pipeline
    prefix: str
    name: Expression
    """The bucket, a parameter."""
    digests: Mapping[Output | File, str]
    steps: dict[str, str] = field(default_factory=dict)
    """Task to the step that writes its outputs, where they differ."""
    uploads: dict[str, Upload] = field(default_factory=dict)

    def output(self, step: str, *parts: str) -> Expression:
        """Return where an execution puts what a step wrote."""
        folder = (self.prefix, self.pipeline.name, "executions")
        return s3_uri(self.name, *folder, EXECUTION_ID, step, *parts)

    def checkpoints(self, step: str, digest: str, occasion: Expression) -> Expression:
        """Return where a training keeps its checkpoints.

        Args:
            step: its step.
            digest: tells it from other trainings of that step.
            occasion: what tells a training that is to begin anew from one that may go on.
        """
        folder = f"/{self.prefix}/{self.pipeline.name}/checkpoints/{step}/"
        return join("", "s3://", self.name, folder, occasion, digest)

    def source(self, item: Output | File) -> Source:
        """Return where an artifact lies; a file is then to be uploaded."""
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
            uri = join("/", uri, "")  # a prefix: ".../report" would bring ".../report_low" along
        return Source(uri)
