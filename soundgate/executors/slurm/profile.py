"""A site's profile: everything about a cluster that a pipeline must not know.

A YAML file, ``infra/slurm/generic.yaml`` say, chosen with ``--profile``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from soundgate.executors import profiles


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Partition(_Section):
    """Where one kind of task runs."""

    name: str | None = None
    """Partition; null: the cluster's default."""
    account: str | None = None
    """Account that is charged; null: the profile's, or the user's default."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that a node must have."""
    max_hours: float | None = Field(default=None, gt=0)
    """Longest time limit; what asks for more is refused before anything is submitted."""
    max_cpus: int | None = Field(default=None, ge=1)
    """Cores of a node; a task that asks for more runs with these."""
    max_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a node; a task that asks for more runs with this."""
    max_gpus: int | None = Field(default=None, ge=0)
    """GPUs of a node; a task that asks for more runs with these. 0: there are none."""
    lines: tuple[str, ...] = ()
    """Further ``#SBATCH`` options, ``--exclusive`` say."""


class Container(_Section):
    """An image that steps run in; the worker stays outside, where ``scontrol`` is."""

    image: str
    """Path of the ``.sif``, on the shared file system."""
    command: str = "apptainer"
    """Program: ``apptainer`` or ``singularity``."""
    binds: tuple[str, ...] = ()
    """Folders to bind, ``SOURCE[:TARGET[:ro]]``; runs, checkout and scratch are bound anyway."""
    python: str = "python"
    """Interpreter in the image."""
    options: tuple[str, ...] = ()
    """Further options of ``exec``."""


class Profile(_Section):
    """One cluster, as one group uses it."""

    account: str | None = None
    """Account that is charged."""
    cpu: Partition = Partition()
    """Where tasks without a GPU run."""
    gpu: Partition = Partition()
    """Where tasks with GPUs run."""
    network: Partition | None = None
    """Where tasks that need the network run (a serial or data-transfer partition); null: on the
    submitting host, before anything is submitted."""
    gpu_option: str = "--gres=gpu:{gpus}"
    """How GPUs are asked for; ``{gpus}`` is their number on a node."""
    memory: bool = True
    """Whether memory is asked for (``--mem``); some sites forbid it."""
    export: Literal["ALL", "NONE"] = "ALL"
    """What jobs begin with: ``ALL``, the environment of whoever submits, as sbatch does it;
    ``NONE``, that of a fresh login, for which Slurm starts a login shell for each job, one at a
    time: up to a second."""
    modules: tuple[str, ...] = ()
    """Modules to load; a job whose module cannot be loaded fails at once."""
    setup: tuple[str, ...] = ()
    """Shell lines after them, before the worker starts: an environment to activate, say."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Variables of every task."""
    python: str | None = None
    """Interpreter with Soundgate, on the shared file system; null: the one that submits."""
    container: Container | None = None
    """Image that steps run in; null: the interpreter above."""
    node_scratch: str | None = None
    """Node-local folder for temporary files, ``$SLURM_TMPDIR`` or ``$TMPDIR`` say; each job has a
    folder of its own there, removed at its end. Null: the system's."""
    offline: bool = True
    """Whether compute nodes have no network; a task that tries it then fails at once."""
    reachable: tuple[str, ...] = ()
    """Hosts that compute nodes reach all the same, a tracking server inside the cluster say."""
    warn_s: int = Field(default=180, ge=10)
    """How long before its time limit a task is asked for a checkpoint, seconds. Slurm may be a
    minute early."""
    requeues: int = Field(default=10, ge=0)
    """How often a job may be put back, after its time limit, a preemption or a lost node."""
    throttle: int = Field(default=16, ge=1)
    """Elements of an array that run at a time."""
    array_size: int = Field(default=1000, ge=1)
    """Largest array; the cluster's MaxArraySize less one."""
    short_minutes: float = Field(default=10, ge=0)
    """Tasks whose time limit is at most this share a job; 0: every task has its own."""
    job_minutes: float = Field(default=60, gt=0)
    """Tasks are put into one job up to this sum of their time limits."""
    mail_user: str | None = None
    """Where Slurm writes to."""
    mail_type: Literal["NONE", "BEGIN", "END", "FAIL", "ALL"] = "FAIL"
    """About what."""
    lines: tuple[str, ...] = ()
    """Further ``#SBATCH`` options of every job."""


def load(path: str) -> Profile:
    """Read a profile; without one, the cluster's own defaults.

    Raises:
        ConfigError: the file is absent, not YAML, or a field is unknown or wrong.
    """
    return profiles.check(Profile, profiles.read(path, "account: NAME"), f"--profile {path}")
