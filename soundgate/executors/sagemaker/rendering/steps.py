"""Renders tasks as Processing and Training steps: one container per task.

SageMaker's cache compares certain fields of a step. In a step that may be reused none of them may
differ between executions. For a Processing job these are AppSpecification, Environment and
ProcessingInputs; for a Training job AlgorithmSpecification, CheckpointConfig, Environment,
HyperParameters and InputDataConfig. Only the locations of outputs contain the execution's id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.arguments import spell
from soundgate.executors.sagemaker.instances import fitting, parameter_name
from soundgate.executors.sagemaker.rendering import limits
from soundgate.executors.sagemaker.rendering.expressions import EXECUTION_ID, join
from soundgate.executors.sagemaker.rendering.gates import thresholds
from soundgate.executors.sagemaker.rendering.locations import (
    CHECKPOINTS,
    OUTPUTS,
    PROCESSING,
    TRAINING,
)
from soundgate.executors.sagemaker.rendering.parameters import (
    COMMIT,
    FRESH,
    IMAGE,
    JOB_ROLE,
    RUN,
    TRAINING_IMAGE,
)
from soundgate.parameters import parameter_of
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.executors.base import OpenArgument
    from soundgate.executors.sagemaker.profile import Profile
    from soundgate.executors.sagemaker.rendering.job import Job
    from soundgate.executors.sagemaker.rendering.joins import Mount
    from soundgate.executors.sagemaker.rendering.locations import Bucket
    from soundgate.executors.sagemaker.rendering.parameters import Parameters
    from soundgate.task import LogMetric

STEP_RETRIES = {
    "ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"],
    "IntervalSeconds": 10,
    "BackoffRate": 2.0,
    "MaxAttempts": 5,
}
JOB_RETRIES = {
    "ExceptionType": [
        "SageMaker.JOB_INTERNAL_ERROR",
        "SageMaker.CAPACITY_ERROR",
        "SageMaker.RESOURCE_LIMIT",
    ],
    "IntervalSeconds": 60,
    "BackoffRate": 2.0,
    "MaxAttempts": 5,
}
MLFLOW = "MLFLOW_TRACKING_URI"
FRESH_VARIABLE = "SOUNDGATE_FRESH"
"""No program reads it: changing its value invalidates every cached result."""
FAILURE = {PROCESSING: "/opt/ml/output/message", TRAINING: "/opt/ml/output/failure"}
"""File from which SageMaker reads why a program failed."""


@dataclass(slots=True, kw_only=True)
class Site:
    """Settings shared by all jobs of a definition."""

    profile: Profile
    parameters: Parameters
    bucket: Bucket
    metrics: Mapping[str, Sequence[LogMetric]] = field(default_factory=dict)
    """Metrics to find in the log of each task."""

    def step(self, job: Job) -> dict[str, Any]:
        """Return a job as a step of the definition.

        Raises:
            DefinitionError: a limit of SageMaker is exceeded, or no instance type fits.
        """
        build = self._processing if job.kind == PROCESSING else self._training
        arguments = build(job)
        limits.check(job, arguments, self.parameters.opened)
        step: dict[str, Any] = {
            "Name": job.name,
            "Type": job.kind.title(),
            "Arguments": arguments,
            "RetryPolicies": [STEP_RETRIES, JOB_RETRIES],
        }
        if job.task and job.task.display_name:
            step["DisplayName"] = job.task.display_name
        if job.after:
            step["DependsOn"] = list(job.after)
        if self._caches(job):
            days = f"P{self.profile.cache_days}D"
            step["CacheConfig"] = {"Enabled": True, "ExpireAfter": days}
        return step

    def _caches(self, job: Job) -> bool:
        return job.cached and self.profile.cache_days > 0

    def _processing(self, job: Job) -> dict[str, Any]:
        found = self._shared(job)
        cluster = self._machines(job)
        found["ProcessingResources"] = {"ClusterConfig": cluster}
        found["AppSpecification"] = {"ImageUri": self._image(job), **self._command(job)}
        found["ProcessingInputs"] = [
            {
                "InputName": mount.name,
                "S3Input": {
                    "S3Uri": mount.uri,
                    "LocalPath": mount.path,
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
            for mount in job.mounts
        ]
        outputs = [
            {
                "OutputName": name,
                "S3Output": {
                    "S3Uri": self.bucket.output(job.name, name),
                    "LocalPath": f"{OUTPUTS[PROCESSING]}/{name}",
                    "S3UploadMode": "EndOfJob",
                },
            }
            for name in job.outputs
        ]
        found["ProcessingOutputConfig"] = {"Outputs": outputs, **self._key("KmsKeyId")}
        found["StoppingCondition"] = {"MaxRuntimeInSeconds": limits.seconds(job)}
        if vpc := self._vpc():
            found["NetworkConfig"] = {"VpcConfig": vpc}
        return found

    def _training(self, job: Job) -> dict[str, Any]:
        profile, found = self.profile, self._shared(job)
        printed = self.metrics.get(job.task.name, ()) if job.task else ()
        limits.check_metrics(job.name, printed)
        metrics = [{"Name": metric.name, "Regex": metric.regex} for metric in printed]
        found["AlgorithmSpecification"] = {
            "TrainingImage": self._image(job),
            "TrainingInputMode": "File",
            **self._command(job),
            **({"MetricDefinitions": metrics} if metrics else {}),
        }
        if channels := [_channel(mount) for mount in job.mounts]:
            found["InputDataConfig"] = channels
        if mirrored := self._hyperparameters(job):
            found["HyperParameters"] = mirrored
        found["OutputDataConfig"] = {
            "S3OutputPath": self.bucket.output(job.name),
            "CompressionType": "GZIP",
            **self._key("KmsKeyId"),
        }
        warm = {"KeepAlivePeriodInSeconds": profile.warm_pool_s} if profile.warm_pool_s else {}
        found["ResourceConfig"] = {**self._machines(job), **warm}
        limit_s = limits.seconds(job)
        found["StoppingCondition"] = {"MaxRuntimeInSeconds": limit_s}
        if profile.spot:
            found["EnableManagedSpotTraining"] = True
            wait_s = round(limit_s * profile.spot_wait_factor)
            found["StoppingCondition"]["MaxWaitTimeInSeconds"] = wait_s
        if vpc := self._vpc():
            found["VpcConfig"] = vpc
        # checkpoints outlive their training; a task that must not be reused must not find an old
        # one
        anew = found["Environment"].get(FRESH_VARIABLE, EXECUTION_ID)
        uri = self.bucket.checkpoints(job.name, self._identity(found), anew)
        found["CheckpointConfig"] = {"S3Uri": uri, "LocalPath": CHECKPOINTS}
        return found

    def _shared(self, job: Job) -> dict[str, Any]:
        role = self.parameters.site(JOB_ROLE, self.profile.job_role_arn)
        found = {"RoleArn": role, "Environment": self._environment(job)}
        return {**found, "Tags": self.profile.tag_list} if self.profile.tags else found

    def _image(self, job: Job) -> dict[str, Any]:
        if job.resources.gpus:
            default = self.profile.training_image_uri or self.profile.image_uri
            return self.parameters.site(TRAINING_IMAGE, default)
        return self.parameters.site(IMAGE, self.profile.image_uri)

    def _machines(self, job: Job) -> dict[str, Any]:
        table = self.profile.processing if job.kind == PROCESSING else self.profile.training
        types = fitting(job.name, job.resources, table, table_name=job.kind)
        name = parameter_name(job.kind, job.resources)
        return {
            "InstanceType": self.parameters.site(name, types[0], types),
            "InstanceCount": 1,
            "VolumeSizeInGB": self.profile.volume_gb,
            **self._key("VolumeKmsKeyId"),
        }

    def _key(self, field: str) -> dict[str, str]:
        return {field: self.profile.kms_key} if self.profile.kms_key else {}

    def _vpc(self) -> dict[str, Any]:
        if not self.profile.subnets:
            return {}
        groups = list(self.profile.security_groups)
        return {"Subnets": list(self.profile.subnets), "SecurityGroupIds": groups}

    def _command(self, job: Job) -> dict[str, Any]:
        entrypoint, arguments = list(job.words[:3]), [self._word(word) for word in job.words[3:]]
        rest = {"ContainerArguments": arguments} if arguments else {}
        return {"ContainerEntrypoint": entrypoint, **rest}

    def _word(self, word: str | OpenArgument) -> Any:
        if isinstance(word, str):
            return word
        return join("", f"{word.flag}=", self.parameters.use(word.parameter))

    def _hyperparameters(self, job: Job) -> dict[str, Any]:
        """Return the scalar arguments again, for the console only.

        Programs read the command line.
        """
        found: dict[str, Any] = {}
        for name, value in (job.task.arguments if job.task else {}).items():
            parameter = parameter_of(value)
            if parameter is not None and parameter in self.parameters.opened:
                found[name] = join("", self.parameters.use(parameter))
            elif job.task and name not in job.task.inputs:
                found[name] = spell(value)
        return found

    def _environment(self, job: Job) -> dict[str, Any]:
        found: dict[str, Any] = {
            "PYTHONUNBUFFERED": "1",
            **self.profile.environment,
            "SOUNDGATE_FAILURE": FAILURE[job.kind],
            "SOUNDGATE_PIPELINE": self.bucket.pipeline.name,
            "SOUNDGATE_TASK": job.task.name if job.task else job.name,
        }
        if job.task and job.task.retries:
            found["SOUNDGATE_RETRIES"] = str(job.task.retries)
        if job.task and MLFLOW in job.task.environment and self.profile.mlflow_tracking_uri:
            found[MLFLOW] = self.profile.mlflow_tracking_uri
        if job.task and job.task.names_run:
            found["SOUNDGATE_RUN"] = self.parameters.site(RUN, "by-hand")
            found["SOUNDGATE_COMMIT"] = self.parameters.site(COMMIT, "unknown")
            if bounds := thresholds(self.bucket.pipeline, self.parameters):
                found["SOUNDGATE_THRESHOLDS"] = join(" ", *bounds)
        elif self._caches(job):
            found[FRESH_VARIABLE] = self.parameters.site(FRESH, "")
        return found

    def _identity(self, arguments: dict[str, Any]) -> str:
        """Return what distinguishes trainings, as in SageMaker's cache key.

        Each training therefore finds its own checkpoints.

        Parameters count with their values in this render. A value that is changed when an execution
        starts is noticed by the program, which ignores a checkpoint of a different training.
        """
        keys = ("AlgorithmSpecification", "Environment", "HyperParameters", "InputDataConfig")
        kept = {key: arguments.get(key) for key in keys}
        used = {ref.removeprefix("Parameters.") for ref in references(kept, "Parameters.")}
        text, values = (
            json.dumps(each, sort_keys=True) for each in (kept, self.parameters.defaults(used))
        )
        return digest_text(text, values)[:32]


def _channel(mount: Mount) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": mount.uri,
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "ChannelName": mount.name,
        "DataSource": {"S3DataSource": source},
        "InputMode": "File",
    }


def references(value: Any, prefix: str = "") -> set[str]:
    """Return what a value in a definition refers to, for example ``Parameters.epochs``."""
    found: set[str] = set()
    below: Iterable[Any] = ()
    if isinstance(value, dict):
        if set(value) == {"Get"} and str(value["Get"]).startswith(prefix):
            found.add(value["Get"])
        below = value.values()
    elif isinstance(value, list):
        below = value
    for each in below:
        found |= references(each, prefix)
    return found
