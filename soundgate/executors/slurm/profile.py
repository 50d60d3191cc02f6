"""A site's profile: everything about a cluster that does not belong in a pipeline.

A YAML file such as ``infra/slurm/generic.yaml``, chosen with ``--profile``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from soundgate.executors import profiles


def _word(value: str) -> str:
    """Refuse what sbatch would take for two words of a directive, or for two lines."""
    if re.search(r"[\s'\"#]", value):
        raise ValueError("expected one word, without spaces, quotes or '#'")
    return value


def _line(value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError("expected one line")
    return value


Word = Annotated[str, AfterValidator(_word)]
Line = Annotated[str, AfterValidator(_line)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Partition(_Section):
    """Where one kind of task runs."""

    name: Word | None = None
    """Partition; null: the cluster's default partition."""
    account: Word | None = None
    """Account to charge; null: the profile's account, or the user's default."""
    qos: Word | None = None
    """Quality of service."""
    constraint: Word | None = None
    """Node features that jobs require."""
    max_hours: float | None = Field(default=None, gt=0)
    """Longest time limit, hours; a task that asks for more is refused before anything is
    submitted."""
    max_cpus: int | None = Field(default=None, ge=1)
    """Cores of a node; a task that asks for more gets this many."""
    max_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a node, GB; a task that asks for more gets this much."""
    max_gpus: int | None = Field(default=None, ge=0)
    """GPUs of a node; a task that asks for more gets this many. 0: no GPUs."""
    lines: tuple[Line, ...] = ()
    """Further ``#SBATCH`` options, for example ``--exclusive``."""


class Container(_Section):
    """An image that steps run in; the worker stays outside, where ``scontrol`` is available."""

    image: str
    """Path of the ``.sif`` file on the shared file system."""
    command: str = "apptainer"
    """Program that starts it: ``apptainer`` or ``singularity``."""
    binds: tuple[str, ...] = ()
    """Folders to bind, ``SOURCE[:TARGET[:ro]]``; runs, checkout and scratch are always bound."""
    python: str = "python"
    """Python interpreter in the image."""
    options: tuple[str, ...] = ()
    """Further options for ``exec``."""


class Profile(_Section):
    """One cluster, as one group uses it."""

    account: Word | None = None
    """Account to charge."""
    cpu: Partition = Partition()
    """Partition for tasks without a GPU."""
    gpu: Partition = Partition()
    """Partition for tasks with GPUs."""
    network: Partition | None = None
    """Partition for tasks that need the network (a serial or data-transfer partition); null: they
    run on the submitting host before anything is submitted."""
    gpu_option: Line = "--gres=gpu:{gpus}"
    """The sbatch option that requests GPUs; ``{gpus}`` is replaced by the number per node."""
    memory: bool = True
    """Whether jobs request memory (``--mem``); some sites forbid it."""
    export: Literal["ALL", "NONE"] = "ALL"
    """Environment that jobs start with: ``ALL``, the submitter's, which is sbatch's default;
    ``NONE``, a fresh login, which costs up to one second per job because Slurm starts the login
    shells one at a time."""
    modules: tuple[str, ...] = ()
    """Environment modules to load; a job fails at once if one cannot be loaded."""
    setup: tuple[str, ...] = ()
    """Shell lines to run after the modules and before the worker, for example to activate an
    environment."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of every task."""
    python: str | None = None
    """Interpreter with Soundgate on the shared file system; null: the one that submits."""
    container: Container | None = None
    """Container that steps run in; null: none, they run with ``python``."""
    node_scratch: str | None = None
    """Node-local folder for temporary files, for example ``$SLURM_TMPDIR`` or ``$TMPDIR``; each job
    gets its own folder there, removed when the job ends. Null: the system's temporary folder."""
    offline: bool = True
    """Whether compute nodes have no network; a task that tries to use it then fails at once."""
    reachable: tuple[str, ...] = ()
    """Hosts that compute nodes can reach even so, for example a tracking server in the cluster."""
    warn_s: int = Field(default=180, ge=10)
    """How long before its time limit a task is told to save a checkpoint, seconds. Slurm may send
    the signal up to a minute early."""
    requeues: int = Field(default=10, ge=0)
    """How often a job may be requeued after its time limit, a preemption or a lost node."""
    throttle: int = Field(default=16, ge=1)
    """Array elements that run at the same time."""
    array_size: int = Field(default=1000, ge=1)
    """Largest job array; the cluster's MaxArraySize minus one."""
    short_minutes: float = Field(default=10, ge=0)
    """Tasks with at most this time limit share a job, minutes; 0: every task gets its own job."""
    job_minutes: float = Field(default=60, gt=0)
    """Largest sum of the time limits of tasks that share a job, minutes."""
    mail_user: Word | None = None
    """Address that Slurm sends mail to."""
    mail_type: Literal["NONE", "BEGIN", "END", "FAIL", "ALL"] = "FAIL"
    """Events that Slurm sends mail about."""
    lines: tuple[Line, ...] = ()
    """Further ``#SBATCH`` options for every job."""


def load(path: str) -> Profile:
    """Read a profile; without one, return the defaults.

    Raises:
        ConfigError: the file is absent, not YAML, or a field is unknown or wrong.
    """
    return profiles.check(Profile, profiles.read(path, "account: NAME"), f"--profile {path}")
