"""A site's profile: everything about an AWS account that does not belong in a pipeline.

A YAML file such as ``infra/sagemaker/generic.yaml``, chosen with ``--profile``. What SageMaker's
project templates pass on the command line (``--kwargs``, ``--role-arn``, ``--tags``) overrides it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from soundgate.executors import profiles
from soundgate.executors.sagemaker.instances import PROCESSING, TRAINING, Instance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.executors.base import Options

_KEYWORDS = {
    "region": "region",
    "default_bucket": "bucket",
    "pipeline_name": "pipeline_name",
    "model_package_group_name": "model_package_group",
}
"""Keywords of project templates, and the fields that they set."""
_TAGS = {
    "sagemaker_project_name": "sagemaker:project-name",
    "sagemaker_project_id": "sagemaker:project-id",
    "usecase_name": "usecase",
}
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")


class Profile(BaseModel):
    """One AWS account and region, as one team uses it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = None
    """AWS region; null: from the environment (``AWS_REGION`` or the AWS config file)."""
    bucket: str | None = None
    """Name of the artifact bucket, without `s3://`; null: a parameter given when an execution
    starts."""
    prefix: str = "soundgate"
    """Prefix of all keys in the bucket."""
    image_uri: str | None = None
    """Container image with Soundgate, in ECR. Results are cached by its name: give a digest
    (`@sha256:...`) or a tag that never moves."""
    training_image_uri: str | None = None
    """Image for tasks with GPUs; null: ``image_uri``."""
    pipeline_role_arn: str | None = None
    """Role that SageMaker assumes to start jobs; `--role-arn` overrides it."""
    job_role_arn: str | None = None
    """Role of the jobs themselves; null: `role` in `--kwargs`, else the pipeline's role."""
    pipeline_name: str | None = None
    """Name of the pipeline in SageMaker; null: the name it has in Python."""
    model_package_group: str | None = None
    """Model package group in SageMaker's registry; null: the candidate's model name."""
    processing: tuple[Instance, ...] = PROCESSING
    """Instance types for Processing jobs; a task gets the first that fits."""
    training: tuple[Instance, ...] = TRAINING
    """Instance types for Training jobs; a task gets the first that fits."""
    volume_gb: int = Field(default=50, ge=1, le=16384)
    """Disk size of a job, GB."""
    spot: bool = False
    """Whether Training jobs run on spot capacity: cheaper, but they may be interrupted; they then
    continue from their checkpoints."""
    spot_wait_factor: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    """Longest duration of a spot job including its waiting, as a multiple of its time limit."""
    warm_pool_s: int = Field(default=0, ge=0, le=21600)
    """How long a training instance is kept (and charged) so that the next Training job starts at
    once, seconds. Cannot be combined with ``spot``."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Jobs that run at the same time; null: the account's limit."""
    subnets: tuple[str, ...] = ()
    """VPC subnets that jobs run in."""
    security_groups: tuple[str, ...] = ()
    """Security groups of those jobs."""
    kms_key: str | None = None
    """KMS key that encrypts disks and artifacts; null: the defaults of SageMaker and S3."""
    mlflow_tracking_uri: str | None = None
    """MLflow server in which candidates are registered: the ARN of an MLflow app or tracking
    server, or a URL; null: candidates are registered in SageMaker's model registry only."""
    cache_days: int = Field(default=30, ge=0, le=365)
    """How long results may be reused, days; 0: never."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every job."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of the pipeline and of its jobs."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Defaults of pipeline parameters at this site, for example ``store: s3://bucket/store``."""
    endpoint_url: str | None = None
    """URL to call instead of AWS's own: a VPC endpoint or a test server."""
    poll_s: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    """Time between two polls of an execution while waiting for it, seconds."""

    @property
    def tag_list(self) -> list[dict[str, str]]:
        """The tags as AWS takes them, in order of their keys."""
        return [{"Key": key, "Value": self.tags[key]} for key in sorted(self.tags)]

    @field_validator("pipeline_role_arn", "job_role_arn")
    @classmethod
    def _is_role(cls, value: str | None) -> str | None:
        if value is not None and not _ROLE.fullmatch(value):
            raise ValueError("expected the ARN of a role, arn:aws:iam::111122223333:role/NAME")
        return value

    @field_validator("bucket")
    @classmethod
    def _is_bucket(cls, value: str | None) -> str | None:
        if value is not None and not _BUCKET.fullmatch(value):
            raise ValueError("expected the name of a bucket, without s3:// and without a path")
        return value

    @field_validator("pipeline_name", "model_package_group")
    @classmethod
    def _is_name(cls, value: str | None) -> str | None:
        if value is not None and not _NAME.fullmatch(value):
            raise ValueError("expected at most 63 letters, digits and single dashes between them")
        return value

    @field_validator("image_uri", "training_image_uri")
    @classmethod
    def _is_fixed(cls, value: str | None) -> str | None:
        if value is None:
            return value
        name = value.rsplit("/", 1)[-1]
        if "@sha256:" not in name and (":" not in name or name.endswith(":latest")):
            raise ValueError(
                "can name another image later, but results are cached by this name; give a digest "
                "(@sha256:...) or a tag that never moves"
            )
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[\w.-]+(:\d+)?/?", value):
            raise ValueError("expected https://HOST or https://HOST:PORT")
        return value

    @field_validator("prefix")
    @classmethod
    def _is_prefix(cls, value: str) -> str:
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", value):
            raise ValueError(
                "expected parts of letters, digits, '.', '_' and '-', separated by slashes"
            )
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Profile:
        if self.spot and self.warm_pool_s:
            raise ValueError("spot and warm_pool_s cannot be combined: remove one")
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups go together: give both or none")
        return self


def load(options: Options) -> Profile:
    """Read the profile named by ``options``, or the defaults; the other options override it.

    Raises:
        ConfigError: the file is absent, not YAML, or a field is unknown or wrong.
    """
    fields = profiles.read(options.profile, "bucket: NAME")
    where = f"--profile {options.profile}" if options.profile else "--kwargs, --role-arn, --tags"
    return profiles.check(Profile, _merged(fields, options), where)


def _merged(fields: Mapping[str, Any], options: Options) -> dict[str, Any]:
    given = dict(options.keywords)
    found = dict(fields)
    found |= {name: given[key] for key, name in _KEYWORDS.items() if given.get(key)}
    if given.get("role") and not found.get("job_role_arn"):  # a site's own, narrower one stays
        found["job_role_arn"] = given["role"]
    if options.role_arn:
        found["pipeline_role_arn"] = options.role_arn
    tags = {label: given[key] for key, label in _TAGS.items() if given.get(key)}
    tags |= {tag["Key"]: tag["Value"] for tag in options.tags}
    if tags:
        own = found.get("tags") or {}
        found["tags"] = {**own, **tags} if isinstance(own, dict) else own
    return found
