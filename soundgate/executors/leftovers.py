"""Finds and ends what is left of a runner that was killed together with all that guarded its tasks.

Every process that a runner starts has the run's folder in its environment, and so do all that
descend from it. On Linux ``/proc`` shows that environment.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SOUNDGATE_PROCESS_OF"
LONGEST_END_S = 10.0


@dataclass(frozen=True, slots=True)
class Hold:
    """A held run, as the processes that are started for it must know it."""

    folder: Path
    """The run's folder, absolute."""
    lock: int | None = None
    """The lock's file descriptor. Whoever inherits it holds the run until the last of them ends."""

    @property
    def environment(self) -> dict[str, str]:
        """Return the variable that marks a process as one of the run's."""
        return {VARIABLE: str(self.folder)}


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a run."""

    pid: int
    started: str
    """When it was started, as the kernel counts; another process may have its id later."""
    host: str

    @classmethod
    def this(cls) -> Holder:
        """Return this process."""
        return cls(os.getpid(), _started(os.getpid()), os.uname().nodename)

    @classmethod
    def parse(cls, text: str) -> Holder | None:
        """Return what ``str`` wrote; None for anything else."""
        words = text.split()
        if len(words) != 3 or not words[0].isdigit():
            return None
        return cls(int(words[0]), words[1], words[2])

    def __str__(self) -> str:
        """Return one line for a lock's file."""
        return f"{self.pid} {self.started} {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == os.uname().nodename

    @property
    def lives(self) -> bool:
        """Whether it still runs; one of another machine is believed to."""
        return not self.is_here or _started(self.pid) == self.started


def _started(pid: int) -> str:
    """Return a living process's time of start, in ticks since boot; "dead" where it has ended.

    Where there is no ``/proc``, every living process has "0".
    """
    if sys.platform != "linux":
        try:
            os.kill(pid, 0)
        except PermissionError:
            return "0"
        except ProcessLookupError:
            return "dead"
        return "0"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return "dead"
    return "dead" if fields[0] in "ZX" else fields[19]


def processes_of(folder: Path) -> list[int]:
    """Return the ids of the processes that were started for the run in ``folder``."""
    own = (os.getpid(), os.getppid())
    every = (int(process.name) for process in Path("/proc").glob("[0-9]*"))
    return [pid for pid in every if pid not in own and _is_of(pid, folder)]


def _is_of(pid: int, folder: Path) -> bool:
    mark = f"{VARIABLE}={folder}\0".encode("utf-8", "surrogateescape")
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # another user's, or gone
        return False


def end(folder: Path) -> list[int]:
    """Kill the processes of the run in ``folder``; return those that have not ended after 10 s."""
    deadline = time.monotonic() + LONGEST_END_S
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        with ExitStack() as stack:
            killed = [d for pid in left if (d := _kill(pid, folder, stack)) is not None]
            for descriptor in killed:
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
    return left


def _kill(pid: int, folder: Path, stack: ExitStack) -> int | None:
    """Kill a process that is still one of the run's; return a descriptor that tells of its end."""
    with suppress(ProcessLookupError, PermissionError):
        descriptor = os.pidfd_open(pid)
        stack.callback(os.close, descriptor)
        if _is_of(pid, folder):  # its id is nobody else's as long as the descriptor is open
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            return descriptor
    return None
