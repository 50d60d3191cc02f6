"""How a task becomes a process of this machine, and what its end means."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.running.machine import Share


def process_argv(command: Sequence[str], share: Share) -> list[str]:
    """Return what is really executed: this interpreter; torchrun where several were asked for."""
    argv = [sys.executable, *command[1:]]
    if share.processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--standalone"]
        argv[1:1] = [*torchrun, f"--nproc-per-node={share.processes}"]
    return argv


def environment(share: Share, *, gpus_here: bool) -> dict[str, str]:
    """Return the variables that keep a task within its share."""
    threads = str(share.cpus_each)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    found = {"PYTHONUNBUFFERED": "1", **dict.fromkeys(names, threads)}
    if gpus_here:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, share.gpus))
    return found


def exit_reason(status: int) -> str:
    """Say why a process ended that left no mark; a negative status is a signal."""
    if status == 0:
        return "ended without a finished mark"
    if status < 0:
        name = {s.value: s.name for s in signal.Signals}.get(-status, f"signal {-status}")
        memory = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"killed by {name}{memory}"
    return f"exit code {status}"
