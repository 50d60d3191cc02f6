"""Choose the machine for a task: the instance types, and which of them fit its resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from soundgate.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.task import Resources


class Instance(BaseModel):
    """One instance type, as a profile's table lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(pattern=r"^ml\.")
    """Name, for example ``ml.m5.xlarge``."""
    cpus: int = Field(ge=1)
    """Virtual CPUs."""
    memory_gb: float = Field(gt=0)
    """Memory, GB."""
    gpus: int = Field(default=0, ge=0)
    """Number of GPUs."""


def _table(text: str) -> tuple[Instance, ...]:
    rows = (line.split() for line in text.splitlines() if line)
    return tuple(
        Instance(type=f"ml.{name}", cpus=int(cpus), memory_gb=float(memory), gpus=int(gpus))
        for name, cpus, memory, gpus in rows
    )


# Type, vCPUs, memory in GB, GPUs: the smallest first, so that the first that fits is the cheapest
# of its kind. From the instance tables of the EC2 documentation.
_CPU = """
m5.large      2    8  0
c5.xlarge     4    8  0
m5.xlarge     4   16  0
c5.2xlarge    8   16  0
r5.xlarge     4   32  0
m5.2xlarge    8   32  0
c5.4xlarge   16   32  0
r5.2xlarge    8   64  0
m5.4xlarge   16   64  0
r5.4xlarge   16  128  0
c5.9xlarge   36   72  0
m5.12xlarge  48  192  0
c5.18xlarge  72  144  0
m5.24xlarge  96  384  0
r5.24xlarge  96  768  0
"""
_GPU = """
g4dn.xlarge    4   16  1
g5.xlarge      4   16  1
g4dn.2xlarge   8   32  1
g5.2xlarge     8   32  1
g6.2xlarge     8   32  1
g5.4xlarge    16   64  1
g5.8xlarge    32  128  1
g5.16xlarge   64  256  1
g4dn.12xlarge 48  192  4
g5.12xlarge   48  192  4
g5.48xlarge  192  768  8
"""
PROCESSING = _table("t3.medium 2 4 0" + _CPU + _GPU)
"""Types for Processing jobs, in order of preference."""
TRAINING = _table(_CPU + _GPU + "p4d.24xlarge 96 1152 8\np5.48xlarge 192 2048 8")
"""Types for Training jobs, in order of preference."""


def fitting(
    task: str, needs: Resources, table: Sequence[Instance], *, table_name: str
) -> list[str]:
    """Return the types that give a task what it needs, in the table's order: the first is taken.

    A task without GPUs is never put on a machine with some; it would be paid for and not used.

    Args:
        task: its name, for the error.
        needs: what one node of it needs.
        table: what the site has.
        table_name: the profile's field that holds the table.

    Raises:
        DefinitionError: none fits.
    """
    found = [
        each.type
        for each in table
        if each.cpus >= needs.cpus
        and each.memory_gb >= needs.memory_gb
        and each.gpus >= needs.gpus
        and bool(each.gpus) == bool(needs.gpus)
    ]
    if not found:
        gpus = f", {needs.gpus} GPUs" if needs.gpus else ", no GPU"
        raise DefinitionError(
            f"task {task!r} needs {needs.cpus} CPUs, {needs.memory_gb:g} GB{gpus}, but no instance "
            f"type of `{table_name}` in the profile fits; add one, or lower Resources"
        )
    return list(dict.fromkeys(found))


def parameter_name(kind: str, needs: Resources) -> str:
    """Return the parameter that chooses the instance type of such tasks.

    >>> from soundgate.task import Resources
    >>> parameter_name("training", Resources(cpus=8, memory_gb=32, gpus=1))
    'training_8cpu_32gb_1gpu'
    """
    memory = f"{needs.memory_gb:g}".replace(".", "_")
    gpus = f"_{needs.gpus}gpu" if needs.gpus else ""
    return f"{kind}_{needs.cpus}cpu_{memory}gb{gpus}"
