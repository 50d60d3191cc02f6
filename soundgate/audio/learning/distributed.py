"""Several processes that train one network: what ``torchrun`` starts, or a Slurm job under it."""

from __future__ import annotations

import contextlib
import gc
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """This process among those that train together; alone, every method is a plain one."""

    rank: int
    world: int
    device: torch.device

    @property
    def writes(self) -> bool:
        """Whether this is the one process that prints and writes files."""
        return self.rank == 0

    def share(self, value: T) -> T:
        """The first process's ``value``, in every process; waits for all."""
        if self.world == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def collect(self, value: T) -> list[T]:
        """Every process's ``value``, in every process, by rank."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:  # noqa: FBT001
        """Whether ``flag`` is set in any process."""
        return any(self.collect(flag))

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of ``values`` over the processes, in place."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def wrap(self, network: nn.Module) -> nn.Module:
        """``network`` with gradients averaged over the processes.

        Batch normalisation looks at the whole batch on GPUs; on CPUs torch has no such layer, and
        each process normalises its own share.
        """
        if self.world == 1:
            return network
        if self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
            return DistributedDataParallel(network, device_ids=[self.device.index])
        return DistributedDataParallel(network)

    def unshared(self, network: nn.Module) -> contextlib.AbstractContextManager[object]:
        """Within it, the gradients of a wrapped ``network`` stay in this process."""
        if isinstance(network, DistributedDataParallel):
            return network.no_sync()
        return contextlib.nullcontext()

    def same_buffers(self, network: nn.Module) -> None:
        """Give every process the first one's running means and variances."""
        if self.world > 1:
            for buffer in network.buffers():
                distributed.broadcast(buffer, src=0)


@contextlib.contextmanager
def joined() -> Iterator[Group]:
    """Join the processes that the environment speaks of (``RANK``, ``WORLD_SIZE``, ...).

    Raises:
        ParameterError: the environment names a GPU that this machine does not have.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    if world == 1:
        yield Group(0, 1, torch.device("cuda", torch.cuda.current_device()) if cuda else _CPU)
        return
    device = _CPU
    if cuda:
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        if local_rank >= torch.cuda.device_count():
            raise ParameterError(
                f"LOCAL_RANK {local_rank}: this machine has {torch.cuda.device_count()} GPUs; "
                "start one process per GPU"
            )
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Group(distributed.get_rank(), world, device)
    finally:
        # What still refers to the group (a wrapped network does, in a cycle) keeps its threads
        # alive; the interpreter's end would then abort the process now and again.
        gc.collect()
        distributed.destroy_process_group()


_CPU = torch.device("cpu")
