"""A site's profile: everything about a Kubeflow installation that a pipeline must not know.

A YAML file, ``infra/kubeflow/generic.yaml`` say, chosen with ``--profile``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from soundgate.errors import ConfigError
from soundgate.executors import profiles

UNSET = "CHANGE_ME"
"""Stands in an image that nobody has named yet; nothing is submitted with it."""
ROOTS = ("s3://", "minio://", "gs://", "file:///")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Toleration(_Section):
    """A taint that pods put up with."""

    key: str | None = None
    """Of the taint; null: every key, with ``operator: Exists``."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the value counts."""
    value: str | None = None
    """Of the taint."""
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None
    """Of the taint; null: every effect."""
    seconds: int | None = None
    """How long a ``NoExecute`` taint is put up with; null: for ever."""


class Pool(_Section):
    """The nodes that one kind of task runs on."""

    image: str | None = None
    """Container image; null: the profile's."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that pods put up with."""
    max_cpus: int | None = Field(default=None, ge=1)
    """Cores of a node; a task that asks for more runs with these."""
    max_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a node; a task that asks for more runs with this."""
    max_gpus: int | None = Field(default=None, ge=0)
    """GPUs of a node; a task that asks for more runs with these. 0: there are none."""
    shm_gb: float | None = Field(default=None, gt=0)
    """Shared memory (``/dev/shm``), counted against the task's memory; null: Kubernetes' 64 MB,
    half of the memory for tasks with GPUs, whose loaders need it."""


class Secret(_Section):
    """A Kubernetes secret whose keys become environment variables."""

    name: str
    """Of the secret, in the namespace of the runs."""
    keys: dict[str, str] = Field(min_length=1)
    """Key of the secret to environment variable. A secret of nothing but ``MLFLOW_*`` variables
    goes only to tasks that use the registry, any other to all."""


class Volume(_Section):
    """A volume that every task sees."""

    claim: str
    """Name of the PersistentVolumeClaim."""
    at: str
    """Where it is mounted, an absolute path."""

    @field_validator("at")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if not value.startswith("/"):
            raise ValueError("expected an absolute path")
        return value


class Profile(_Section):
    """One installation, as one group uses it."""

    host: str | None = None
    """Address of the API server, ``https://kubeflow.example/pipeline`` say; null: the service of
    the cluster that this runs in, or the one that the kubeconfig file names."""
    namespace: str | None = None
    """Kubernetes namespace of the runs; null: a single-user installation."""
    experiment: str | None = None
    """Experiment that runs are put into, made where absent; null: the pipeline's name."""
    token_variable: str | None = None
    """Environment variable of the submitting host that holds a bearer token."""
    certificate: str | None = None
    """File with the certificate authority of the host."""
    image: str = Field(default=f"registry.example/soundgate:{UNSET}", min_length=1)
    """Container image with Soundgate; by digest (``NAME@sha256:...``), or Kubeflow reuses results
    of an older program."""
    pipeline_root: str | None = None
    """Where artifacts are kept, ``s3://bucket/prefix`` or ``minio://bucket/prefix``; null: the
    installation's own. (``gs://``: outputs cannot be fetched by ``get-output``; ``file:///folder``:
    for runners without an object store.)"""
    artifact_endpoint: str | None = None
    """Address of the object store of ``pipeline_root``, as the submitting host reaches it; null:
    AWS S3, or ``AWS_ENDPOINT_URL_S3``."""
    files: str | None = None
    """Where files of the submitting host are put for tasks to read: ``s3://bucket/prefix``, or a
    folder below the mount of one of ``volumes``, at the same path on the submitting host."""
    service_account: str | None = None
    """Kubernetes service account of the pods; null: the namespace's default for pipelines."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets with which the image is pulled."""
    accelerator: str = "nvidia.com/gpu"
    """Kubernetes' name of a GPU."""
    cpu: Pool = Pool()
    """Where tasks without a GPU run."""
    gpu: Pool = Pool()
    """Where tasks with GPUs run."""
    secrets: tuple[Secret, ...] = ()
    """Secrets that tasks get as environment variables."""
    volumes: tuple[Volume, ...] = ()
    """Volumes that every task sees."""
    checkpoints: str | None = None
    """Folder below the mount of one of ``volumes`` in which trainings keep checkpoints, so that a
    further attempt continues; null: it begins anew."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables of every task."""
    mlflow_tracking_uri: str | None = None
    """Registry and tracking server, as pods reach it; given to the tasks that use it."""
    retry_wait_s: int = Field(default=30, ge=0)
    """Wait before a further attempt; doubled each time."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Defaults for parameters of any pipeline that has them, ``store: s3://...`` say."""
    poll_s: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Between questions to the API server while a run is waited for."""

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
        """The nodes for a task with this many GPUs."""
        return self.gpu if gpus else self.cpu


def load(path: str) -> Profile:
    """Read a profile; without one, the installation's own defaults and no image.

    Raises:
        ConfigError: the file is absent, not YAML, or a field is unknown or wrong.
    """
    fields = profiles.read(path, "image: NAME")
    profile = profiles.check(Profile, fields, f"--profile {path}")
    _check_mounts(path, profile)
    return profile


def _check_mounts(path: str, profile: Profile) -> None:
    """Refuse folders that pods would not see."""
    mounts = [Path(volume.at) for volume in profile.volumes]
    for name in ("files", "checkpoints"):
        folder = getattr(profile, name)
        if folder is None or folder.startswith("s3://"):
            continue
        if not any(Path(folder).is_relative_to(mount) for mount in mounts):
            raise ConfigError(
                f"--profile {path}: {name}: {folder} lies on none of the volumes, so that pods do "
                "not see it: mount a claim there (volumes:)"
            )
