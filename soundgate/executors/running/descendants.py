"""Finds and ends the processes that descend from this one, wherever they went.

On Linux a process can be made the one that orphans below it are handed to (a *subreaper*). What a
task leaves behind, also in a session of its own, then becomes a child of the process that started
the task, which can find and end it. Elsewhere only the task's process group is known.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LONGEST_END_S = 5.0
"""How long killed processes are waited for; one that the kernel holds in a read may take longer."""
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when ``parent`` ends; end now where it already has."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    if sys.platform == "linux":
        _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def lead_group(pid: int) -> None:
    """Give a process its own group; parent and child both do, so that neither comes too late."""
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.setpgid(pid, pid)


def signal_group(pid: int, number: int) -> None:
    """Signal a process and all that it left in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def children() -> set[int]:
    """Return the ids of this process's children, ended ones included; none where unknown."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found.update(map(int, thread.read_text("ascii").split()))
    return found


def end_children(kept: Collection[int] = ()) -> None:
    """Kill and reap every child but ``kept``, and the orphans that this hands down."""
    deadline = time.monotonic() + LONGEST_END_S
    while (strays := children() - set(kept)) and time.monotonic() < deadline:
        reaped = 0
        for pid in strays:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                reaped += os.waitpid(pid, os.WNOHANG)[0]
        if not reaped:
            time.sleep(0.001)
