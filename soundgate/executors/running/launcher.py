"""Starts tasks' processes on this machine and tells when they end.

On Linux a fork server does the work (see ``forkserver``): starting is fast, and a task cannot
outlive the runner. Elsewhere each task is a fresh interpreter. Either way a guard stands between
them and the runner.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from soundgate.executors.running import forkserver, guard
from soundgate.executors.running.descendants import lead_group, signal_group
from soundgate.executors.running.guarded import PATIENCE_S, Guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.leftovers import Hold

LONGEST_SEND_S = 30
"""How long the fork server may leave messages unread, for example while it imports a library."""

PRELOADABLE = ("numpy", "torch", "soundfile", "soxr", "pydantic", "yaml", "safetensors")
"""Libraries that start no thread when imported. The server counts its threads all the same."""


@dataclass(frozen=True, slots=True)
class Spec:
    """One process to start."""

    id: str
    argv: Sequence[str]
    env: dict[str, str]
    cwd: str
    log: str
    cpus: int


class Endings(Protocol):
    """Where ends of processes are taken note of, as with ``queue.SimpleQueue``."""

    def get(self, block: bool = True, timeout: float | None = None) -> tuple[str, int]:  # noqa: FBT001, FBT002 - the queue's own signature
        """Return an end; raise ``queue.Empty`` where none comes within ``timeout`` seconds."""


class Launcher(Protocol):
    """Starts processes."""

    @property
    def ended(self) -> Endings:
        """Ids and exit codes, negative for a signal, of the processes that ended."""

    def start(self, spec: Spec) -> None:
        """Start a process in a group of its own, its output appended to its log."""

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a process's whole group."""

    def abandon(self, name: str) -> None:
        """Take a process as ended that was killed some time ago and has not been told to end."""

    def close(self) -> None:
        """Kill what still runs."""


def launcher(libraries: Sequence[str], hold: Hold | None = None) -> Launcher:
    """Return the launcher of this platform.

    Args:
        libraries: what the tasks will import.
        hold: the run they belong to, which they keep held as long as one of them lives.
    """
    if sys.platform == "linux" and not os.environ.get("SOUNDGATE_FRESH_INTERPRETERS"):
        wanted = [name for name in PRELOADABLE if name in libraries]
        return ForkLauncher(["soundgate.step", *wanted], hold)
    return ProcessLauncher(hold)


class _Server:
    """A fork server as a runner sees it."""

    def __init__(self, libraries: Sequence[str], hold: Hold | None) -> None:
        """Start it; it imports ``libraries`` while it has nothing else to do."""
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        patience = struct.pack("ll", LONGEST_SEND_S, 0)  # a stopped server reads nothing
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)
        size = forkserver.MESSAGE_BYTES
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        self._hold = hold
        with theirs:
            self._guarded = Guarded(
                ["-m", forkserver.__name__, str(theirs.fileno())],
                libraries,
                hold,
                # numpy's BLAS would start threads when imported; torch has its own
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
            )

    @property
    def guard(self) -> int:
        """The process id of its guard, which is its parent."""
        return self._guarded.process.pid

    def end(self) -> None:
        """End it and all that descends from it, also where some of them are stopped."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self._guarded.end(self._hold)


class ForkLauncher:
    """Has a fork server start the processes; another one where the first was lost."""

    def __init__(self, libraries: Sequence[str], hold: Hold | None = None) -> None:
        """Start the server; it imports ``libraries`` while it has nothing else to do."""
        self.ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._libraries = libraries
        self._hold = hold
        self._running: dict[str, int | None] = {}
        self._unsent: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._serve()

    def _serve(self) -> None:
        self.server = _Server(self._libraries, self._hold)
        self._reader = threading.Thread(target=self._read, args=(self.server,), daemon=True)
        self._reader.start()

    def start(self, spec: Spec) -> None:
        """Ask the server for a process."""
        if not self._reader.is_alive():  # it was lost, and its tasks with it
            self.close()
            self._serve()
        with self._lock:
            self._running[spec.id] = None
        try:
            message = json.dumps(asdict(spec)).encode("utf-8", "surrogateescape")
            self.server.connection.send(message)
        except OSError:
            self._end(spec.id, -signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        """Signal the group now, or as soon as its id is known."""
        with self._lock:
            pid = self._running.get(name)
            if name in self._running and pid is None:
                self._unsent.setdefault(name, []).append(number)
        if pid is not None:
            signal_group(pid, number)

    def abandon(self, name: str) -> None:  # noqa: ARG002 - the server's other tasks end as well
        """End the server, which does not tell of an end although the task was killed."""
        self.server.end()
        self._reader.join(PATIENCE_S)

    def close(self) -> None:
        """Kill what still runs, and the server."""
        self.server.end()
        self._reader.join(PATIENCE_S)
        self.server.connection.close()

    def _read(self, server: _Server) -> None:
        while True:
            try:
                data = server.connection.recv(forkserver.MESSAGE_BYTES)
            except OSError:
                data = b""
            if not data:
                break
            message = json.loads(data)
            if "status" in message:
                self._end(message["id"], message["status"])
                continue
            with self._lock:
                self._running[message["id"]] = message["pid"]
                unsent = self._unsent.pop(message["id"], [])
            for number in unsent:
                signal_group(message["pid"], number)
        with self._lock:
            lost = list(self._running)
        for name in lost:  # the server is gone, and its children with it
            self._end(name, -signal.SIGKILL)

    def _end(self, name: str, status: int) -> None:
        with self._lock:
            known = name in self._running
            self._running.pop(name, None)
            self._unsent.pop(name, None)
        if known:
            self.ended.put((name, status))


class ProcessLauncher:
    """Starts a fresh interpreter for each task, each under a guard of its own."""

    def __init__(self, hold: Hold | None = None) -> None:
        """Start nothing yet."""
        self.ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._hold = hold
        self._running: dict[str, Guarded] = {}

    def start(self, spec: Spec) -> None:
        """Start the process, and a thread that waits for it."""
        with Path(spec.log).open("ab") as log:
            guarded = Guarded(
                ["-m", guard.__name__],
                spec.argv,
                self._hold,
                env=spec.env,
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._running[spec.id] = guarded
        threading.Thread(target=self._wait, args=(spec.id, guarded), daemon=True).start()

    def signal(self, name: str, number: int) -> None:
        """Have the guard signal the task's group."""
        if guarded := self._running.get(name):
            guarded.send(number)

    def abandon(self, name: str) -> None:
        """Kill a guard that does not end although it was to end its task."""
        if guarded := self._running.get(name):
            guarded.kill()

    def close(self) -> None:
        """Kill what still runs."""
        running = list(self._running.values())
        for guarded in running:
            guarded.let_go()
        for guarded in running:
            guarded.end(self._hold)

    def _wait(self, name: str, guarded: Guarded) -> None:
        status = guarded.process.wait()
        guarded.let_go()
        self._running.pop(name, None)
        self.ended.put((name, status))


class DirectLauncher:
    """Forks tasks from this very process: for a runner that is there for a few tasks only.

    The process must stay single-threaded; where a library started a thread all the same, a task is
    a fresh interpreter.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.ended: Endings = self
        self._running: dict[int, str] = {}
        self._abandoned: list[str] = []

    def start(self, spec: Spec) -> None:
        """Fork; the child becomes the task."""
        message = {**asdict(spec), "fresh": not forkserver.single_threaded()}
        sys.stdout.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            forkserver.become_task(message, parent)
        lead_group(pid)
        self._running[pid] = spec.id

    def get(self, block: bool = True, timeout: float | None = None) -> tuple[str, int]:  # noqa: ARG002, FBT001, FBT002
        """Reap a process; raise ``queue.Empty`` where none ends within ``timeout`` seconds."""
        deadline, pause_s = time.monotonic() + (timeout or 0.0), 0.001
        while True:
            if self._abandoned:
                return self._abandoned.pop(), -signal.SIGKILL
            for pid in self._running:
                # it is looked at without being reaped, so that its id is still its own
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return self._reap(pid)
            if time.monotonic() >= deadline:
                raise queue.Empty
            time.sleep(pause_s)
            pause_s = min(0.05, pause_s * 1.5)

    def signal(self, name: str, number: int) -> None:
        """Signal the group."""
        for pid, running in self._running.items():
            if running == name:
                signal_group(pid, number)

    def abandon(self, name: str) -> None:
        """Report a process as ended that the kernel holds; Slurm ends it with the job."""
        for pid in [pid for pid, running in self._running.items() if running == name]:
            self._abandoned.append(self._running.pop(pid))

    def close(self) -> None:
        """Kill what still runs."""
        for pid in list(self._running):
            signal_group(pid, signal.SIGKILL)
            self._reap(pid)

    def _reap(self, pid: int) -> tuple[str, int]:
        signal_group(pid, signal.SIGKILL)  # what it left behind
        _, status = os.waitpid(pid, 0)
        return self._running.pop(pid), os.waitstatus_to_exitcode(status)
