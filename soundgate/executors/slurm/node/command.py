"""The command that runs a task on its node: in an image, across GPUs and nodes."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.task import File

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.slurm.job_description import Box, Site
    from soundgate.runs import Run
    from soundgate.task import Task

TORCHRUN = "soundgate.executors.slurm.node.torchrun"


def step_argv(
    command: Sequence[str], task: Task, site: Site, run: Run, *, processes: int, cpus: int
) -> list[str]:
    """Return the argument vector of a task on its node.

    Args:
        command: ``python -m steps.NAME ...``, as on every executor.
        task: the task.
        site: where it runs.
        run: its run.
        processes: processes that torchrun starts on each node; up to 1 on one node: no torchrun.
        cpus: number of cores on each node.
    """
    box = site.container
    python = box.python if box else site.python or sys.executable
    nodes = task.resources.nodes
    together = processes > 1 or nodes > 1
    argv = [python, *(_torchrun(nodes, processes) if together else []), *command[1:]]
    if box:
        argv = [*_in_image(box, task, run), *argv]
    if together:
        # Since Slurm 22.05 a step does not inherit --cpus-per-task. --kill-on-bad-exit: a node that
        # fails ends the others, which would otherwise wait for it forever
        shape = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
        argv = ["srun", *shape, f"--cpus-per-task={cpus}", "--kill-on-bad-exit=1", *argv]
    return argv


def _torchrun(nodes: int, processes: int) -> list[str]:
    rendezvous = ["--standalone"]
    if nodes > 1:
        # derived from the job id: two jobs on one node need different ports
        port = 20000 + int(os.environ.get("SLURM_JOB_ID") or 0) % 10000
        endpoint = f"--rdzv-endpoint={_this_node()}:{port}"
        rendezvous = [f"--nnodes={nodes}", "--rdzv-backend=c10d", endpoint]
    return ["-m", TORCHRUN, *rendezvous, f"--nproc-per-node={processes}"]


def _this_node() -> str:
    """Return the name under which other nodes reach this one, the first of the job."""
    name = os.environ.get("SLURMD_NODENAME", "")
    try:
        socket.getaddrinfo(name or None, 0)
    except OSError:
        name = ""  # the name is known to Slurm only, not to DNS
    return name or os.uname().nodename


def _in_image(box: Box, task: Task, run: Run) -> list[str]:
    folders = [str(run.root.absolute()), str(Path.cwd())]
    scratch = os.environ.get("TMPDIR", "")
    if scratch and Path(scratch).is_dir():
        folders.append(scratch)
    for items in task.inputs.values():
        found = [item.path for item in items if isinstance(item, File) and item.path is not None]
        outside = [path.absolute() for path in found]
        folders += [str(p) for p in outside if not any(p.is_relative_to(f) for f in folders)]
    return in_image(box, folders, gpus=task.resources.gpus)


def in_image(box: Box, folders: Sequence[str], *, gpus: int) -> list[str]:
    """Return the words that run a command in an image with ``folders`` bound."""
    binds = ",".join([*dict.fromkeys(folders), *box.binds])
    nv = ["--nv"] if gpus else []
    return [box.command, "exec", *nv, "--bind", binds, *box.options, box.image]
