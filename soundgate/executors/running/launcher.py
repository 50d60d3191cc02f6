"""Starts tasks' processes on this machine and tells when they end.

On Linux a fork server does the work (see ``forkserver``): starting is fast, and a task cannot
outlive the runner. Elsewhere each task is a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from soundgate.executors.running import forkserver

if TYPE_CHECKING:
    from collections.abc import Sequence

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

    def close(self) -> None:
        """Kill what still runs."""


def launcher(libraries: Sequence[str]) -> Launcher:
    """Return the launcher of this platform; ``libraries`` are what the tasks will import."""
    if sys.platform == "linux" and not os.environ.get("SOUNDGATE_FRESH_INTERPRETERS"):
        wanted = [name for name in PRELOADABLE if name in libraries]
        return ForkLauncher(["soundgate.step", *wanted])
    return ProcessLauncher()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class ForkLauncher:
    """Has a fork server start the processes."""

    def __init__(self, libraries: Sequence[str]) -> None:
        """Start the server; it imports ``libraries`` while it has nothing else to do."""
        self.ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._running: dict[str, int | None] = {}
        self._unsent: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        size = forkserver.MESSAGE_BYTES
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        command = [sys.executable, "-m", forkserver.__name__, str(theirs.fileno()), *libraries]
        # numpy's BLAS would start threads when imported; torch has its own
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        )
        theirs.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, spec: Spec) -> None:
        """Ask the server for a process."""
        with self._lock:
            self._running[spec.id] = None
        try:
            self._socket.send(json.dumps(asdict(spec)).encode("utf-8", "surrogateescape"))
        except OSError:
            self._end(spec.id, -signal.SIGKILL)

    def signal(self, name: str, number: int) -> None:
        """Signal the group now, or as soon as its id is known."""
        with self._lock:
            pid = self._running.get(name)
            if name in self._running and pid is None:
                self._unsent.setdefault(name, []).append(number)
        if pid is not None:
            _signal_group(pid, number)

    def close(self) -> None:
        """Kill what still runs, then the server."""
        with self._lock:
            pids = [pid for pid in self._running.values() if pid is not None]
        for pid in pids:
            _signal_group(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._server.kill()
        self._server.wait()
        self._reader.join(timeout=5)
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(forkserver.MESSAGE_BYTES)
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
                _signal_group(message["pid"], number)
        with self._lock:
            lost = list(self._running)
        for name in lost:  # the server is gone, and its children with it
            self._end(name, -signal.SIGKILL)

    def _end(self, name: str, status: int) -> None:
        with self._lock:
            self._running.pop(name, None)
        self.ended.put((name, status))


class ProcessLauncher:
    """Starts a fresh interpreter for each task."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, spec: Spec) -> None:
        """Start the process, and a thread that waits for it."""
        with Path(spec.log).open("ab") as log:
            process = subprocess.Popen(
                spec.argv,
                env=spec.env,
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running[spec.id] = process
        threading.Thread(target=self._wait, args=(spec.id, process), daemon=True).start()

    def signal(self, name: str, number: int) -> None:
        """Signal the group."""
        process = self._running.get(name)
        if process is not None:
            _signal_group(process.pid, number)

    def close(self) -> None:
        """Kill what still runs."""
        for name in list(self._running):
            self.signal(name, signal.SIGKILL)

    def _wait(self, name: str, process: subprocess.Popen[bytes]) -> None:
        status = process.wait()
        _signal_group(process.pid, signal.SIGKILL)  # what it left behind
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

    def start(self, spec: Spec) -> None:
        """Fork; the child becomes the task."""
        message = {**asdict(spec), "fresh": not forkserver.single_threaded()}
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            forkserver.become_task(message)
        forkserver.lead_group(pid)
        self._running[pid] = spec.id

    def get(self, block: bool = True, timeout: float | None = None) -> tuple[str, int]:  # noqa: ARG002, FBT001, FBT002
        """Reap a process; raise ``queue.Empty`` where none ends within ``timeout`` seconds."""
        deadline, pause_s = time.monotonic() + (timeout or 0.0), 0.001
        while True:
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
                _signal_group(pid, number)

    def close(self) -> None:
        """Kill what still runs."""
        for pid in list(self._running):
            forkserver.end_group(pid)
            self._reap(pid)

    def _reap(self, pid: int) -> tuple[str, int]:
        forkserver.end_group(pid)  # what it left behind
        _, status = os.waitpid(pid, 0)
        return self._running.pop(pid), os.waitstatus_to_exitcode(status)
