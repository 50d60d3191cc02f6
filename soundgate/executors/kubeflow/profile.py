"""A site's profile: everything about a Kubeflow installation that does not belong in a pipeline.

A YAML file such as ``infra/kubeflow/generic.yaml``, chosen with ``--profile``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from soundgate.errors import ConfigError
from soundgate.executors import profiles

UNSET = "CHANGE_ME"
"""Placeholder of an image that is not configured yet; nothing is submitted while it is there."""
ROOTS = ("s3://", "minio://", "gs://", "file:///")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Toleration(_Section):
    """A taint that pods tolerate."""

    key: str | None = None
    """Key of the taint; null: every key, with ``operator: Exists``."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """``Equal`` compares the value; ``Exists`` accepts any value."""
    value: str | None = None
    """Value of the taint."""
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    """Effect of the taint; null: every effect."""
    seconds: int | None = None
    """How long a ``NoExecute`` taint is tolerated, seconds; null: without limit."""


class Pool(_Section):
    """The nodes that one kind of task runs on."""

    image: str | None = None
    """Container image; null: the profile's image."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that nodes must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that pods tolerate."""
    max_cpus: int | None = Field(default=None, ge=1)
    """Cores of a node; a task that asks for more gets this many."""
    max_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a node, GB; a task that asks for more gets this much."""
    max_gpus: int | None = Field(default=None, ge=0)
    """GPUs of a node; a task that asks for more gets this many. 0: no GPUs."""
    shm_gb: float | None = Field(default=None, gt=0)
    """Shared memory (``/dev/shm``), GB, counted against the task's memory; null: Kubernetes' 64 MB,
    or half of the memory for tasks with GPUs, whose data loaders need it."""


class Secret(_Section):
    """A Kubernetes secret whose keys become environment variables."""

    name: str
    """Name of the secret, in the namespace of the runs."""
    keys: dict[str, str] = Field(min_length=1)
    """Which environment variable each key of the secret becomes. A secret with only ``MLFLOW_*``
    variables is given to tasks that use the registry, any other secret to all tasks."""


class Volume(_Section):
    """A volume that is mounted in every task."""

    claim: str
    """Name of the PersistentVolumeClaim."""
    at: str
    """Mount point, an absolute path."""

    @field_validator("at")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("expected an absolute path")
        return value


class Profile(_Section):
    """One installation, as one group uses it."""

    host: str | None = None
    """Address of the API server, for example ``https://kubeflow.example/pipeline``; null: the
    service in the cluster this runs in, or the one named by the kubeconfig file."""
    namespace: str | None = None
    """Kubernetes namespace of the runs; null: a single-user installation."""
    experiment: str | None = None
    """Experiment that groups the runs, created if missing; null: the pipeline's name."""
    token_variable: str | None = None
    """Environment variable on the submitting host that holds a bearer token."""
    certificate: str | None = None
    """File with the certificate authority of ``host``."""
    image: str = Field(default=f"registry.example/soundgate:{UNSET}", min_length=1)
    """Container image with Soundgate. Name it by digest (``NAME@sha256:...``): with a tag that
    moves, Kubeflow reuses results of the old image."""
    pipeline_root: str | None = None
    """Where artifacts are kept: ``s3://bucket/prefix`` or ``minio://bucket/prefix``; null: the
    installation's default. With ``gs://``, ``get-output`` cannot fetch outputs; ``file:///folder``
    is for runners without an object store."""
    artifact_endpoint: str | None = None
    """URL at which the submitting host reaches the object store of ``pipeline_root``; null: AWS S3,
    or ``AWS_ENDPOINT_URL_S3``."""
    files: str | None = None
    """Where files of the submitting host are uploaded for tasks to read: ``s3://bucket/prefix``, or
    a folder on one of ``volumes`` that has the same path on the submitting host."""
    service_account: str | None = None
    """Kubernetes service account of the pods; null: the namespace's default for pipelines."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets used to pull the image."""
    accelerator: str = "nvidia.com/gpu"
    """Kubernetes resource name of a GPU."""
    cpu: Pool = Pool()
    """Nodes for tasks without a GPU."""
    gpu: Pool = Pool()
    """Nodes for tasks with GPUs."""
    secrets: tuple[Secret, ...] = ()
    """Secrets that are given to tasks as environment variables."""
    volumes: tuple[Volume, ...] = ()
    """Volumes that are mounted in every task."""
    checkpoints: str | None = None
    """Folder on one of ``volumes`` where trainings keep checkpoints, so that the next attempt
    continues from them; null: every attempt starts from the beginning."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every task."""
    mlflow_tracking_uri: str | None = None
    """URL at which pods reach the registry and tracking server; given to the tasks that use it."""
    retry_wait_s: int = Field(default=30, ge=0)
    """Wait before the next attempt, seconds; doubled each time."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Defaults of pipeline parameters at this site, for example ``store: s3://...``."""
    poll_s: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Time between two polls of the API server while waiting for a run, seconds."""

    @field_validator("host")
    @classmethod
    def _host_is_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/]+\S*", value):
            raise ValueError("expected http://... or https://...")
        return value

    @field_validator("pipeline_root")
    @classmethod
    def _root_is_known(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(ROOTS):
            raise ValueError(f"expected {'..., '.join(ROOTS)}...")
        return value

    @field_validator("files")
    @classmethod
    def _files_can_be_read(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("s3://", "/")):
            raise ValueError("expected s3://bucket/prefix or an absolute folder")
        return value

    def pool(self, gpus: int) -> Pool:
        """Return the nodes for a task with this many GPUs."""
        return self.gpu if gpus else self.cpu


def load(path: str) -> Profile:
    """Read a profile; without one, return the defaults, which name no image.

    Raises:
        ConfigError: the file is absent, not YAML, or a field is unknown or wrong.
    """
    fields = profiles.read(path, "image: NAME")
    profile = profiles.check(Profile, fields, f"--profile {path}")
    _check_mounts(path, profile)
    return profile


def _check_mounts(path: str, profile: Profile) -> None:
    """Refuse folders that no volume mounts, because pods would not see them."""
    mounts = [Path(volume.at) for volume in profile.volumes]
    for name in ("files", "checkpoints"):
        folder = getattr(profile, name)
        if folder is None or folder.startswith("s3://"):
            continue
        if not any(Path(folder).is_relative_to(mount) for mount in mounts):
            raise ConfigError(
                f"--profile {path}: {name}: {folder} is on none of the volumes, so pods cannot "
                "see it: mount a claim there (volumes:)"
            )
