"""What this machine can give to tasks at the same time."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundgate.task import Resources

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Share:
    """What one task was given; at most what there is, so that a laptop runs every pipeline."""

    cpus: int
    memory_gb: float
    gpus: tuple[int, ...]
    processes: int = 0
    """Processes that torchrun starts; 0: the program runs by itself."""

    @property
    def cpus_each(self) -> int:
        """Cores of one process."""
        return max(1, self.cpus // max(1, self.processes))


class Machine:
    """Hands out cores, memory and GPUs; takes them back."""

    def __init__(
        self,
        cpus: int | None = None,
        memory_gb: float | None = None,
        gpus: tuple[int, ...] | None = None,
    ) -> None:
        """Describe a machine; what is not said is read off this one."""
        self.cpus = cpus if cpus is not None else available_cpus()
        self.memory_gb = memory_gb if memory_gb is not None else available_memory_gb()
        self.gpus = gpus if gpus is not None else available_gpus()
        self._given: list[Share] = []

    def take(self, wanted: Resources) -> Share | None:
        """Give a share, or None while other tasks hold what it needs."""
        used = {gpu for share in self._given for gpu in share.gpus}
        free_gpus = [gpu for gpu in self.gpus if gpu not in used]
        cpus = self.cores_of(wanted)
        memory_gb = min(wanted.memory_gb, self.memory_gb)
        gpus = min(wanted.gpus, len(self.gpus))
        if (
            cpus > self.cpus - sum(share.cpus for share in self._given)
            or memory_gb > self.memory_gb - sum(share.memory_gb for share in self._given)
            or gpus > len(free_gpus)
        ):
            return None
        # a machine with fewer GPUs runs fewer processes, one a GPU
        processes = min(wanted.processes, max(1, gpus)) if wanted.gpus else wanted.processes
        share = Share(cpus, memory_gb, tuple(free_gpus[:gpus]), processes)
        self._given.append(share)
        return share

    def cores_of(self, wanted: Resources) -> int:
        """Return how many cores a task gets here, whenever it starts."""
        return min(wanted.cpus, self.cpus)

    def give_back(self, share: Share) -> None:
        """Return a share."""
        self._given.remove(share)


def available_cpus() -> int:
    """Return the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory_gb() -> float:
    """Return the memory of the machine, or of the container where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no container, or one without a limit ("max")
        total = min(total, int(CGROUP_LIMIT.read_text()))
    return total / 2**30


def available_gpus() -> tuple[int, ...]:
    """Return the indices of the NVIDIA GPUs this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(int(text) for text in visible.split(",") if text.strip().isdigit())
    devices = Path("/dev").glob("nvidia[0-9]*")
    return tuple(
        sorted(int(d.name.removeprefix("nvidia")) for d in devices if d.name[6:].isdigit())
    )
