"""Starts tasks fast: one process that has imported what tasks need, and forks for each of them.

    python -m soundgate.executors.running.forkserver FD LIFELINE [LIBRARY ...]

Starting an interpreter costs tens of milliseconds and importing torch seconds; a fork costs a few
milliseconds. Forking is safe only from a process of one thread, so before every fork this one
counts its threads, and where a library has started any it starts a fresh interpreter instead. It
touches no GPU. Libraries are imported while nothing is asked for, so no task waits for one that it
does not use. Every child leads its own process group; what it leaves behind, there or in sessions
of its own, ends with it. A guard (see ``guard``) ends everything when the runner ends.

The runner sends one JSON object a message over a SOCK_SEQPACKET socket:
``{"id", "argv", "env", "cwd", "log", "cpus"}``; the answers are ``{"id", "pid"}`` and
``{"id", "status"}`` (an exit code, negative for a signal). ``argv`` is
``[python, -m, module, ...]``; anything else is executed as a program.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

from soundgate.executors.running import guard
from soundgate.executors.running.descendants import (
    adopt_orphans,
    die_with_parent,
    end_children,
    lead_group,
    signal_group,
)

MESSAGE_BYTES = 1 << 20
STOPS = (signal.SIGINT, signal.SIGTERM)


def single_threaded() -> bool:
    """Whether forking is safe: no lock can be held by a thread that the child will not have."""
    return len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - before every fork


def _prepare(spec: dict[str, Any], parent: int) -> None:
    """Become the task's process: own group, own environment, output into its log."""
    lead_group(0)
    die_with_parent(parent)
    adopt_orphans()  # what it started stays its own as long as it runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the step can take note of it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # one that came since the fork counts now
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)
    os.chdir(spec["cwd"])
    os.environ.clear()
    os.environ.update(spec["env"])


def _run_module(spec: dict[str, Any]) -> int:
    """Run ``python -m module`` in this very process; return its exit code."""
    torch = sys.modules.get("torch")
    if torch is not None:  # OMP_NUM_THREADS was read when the library was loaded, before the fork
        torch.set_num_threads(spec["cpus"])
    sys.argv = spec["argv"][2:]
    sys.path[0] = spec["cwd"]
    try:
        runpy.run_module(spec["argv"][2], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - the last frame of a program: show it, exit 1
        traceback.print_exc()
        return 1
    return 0


def become_task(spec: dict[str, Any], parent: int) -> NoReturn:
    """Run a task in this process, which ``parent`` just forked, and end with it."""
    python_module = spec["argv"][0] == sys.executable and spec["argv"][1] == "-m"
    fresh = spec["fresh"] or not python_module
    code = 1
    try:
        _prepare(spec, parent)
        if fresh:
            os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - no shell
        code = _run_module(spec)
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what an interpreter does at its end
        atexit._run_exitfuncs()  # noqa: SLF001 - likewise
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing may return into the server's loop
        traceback.print_exc()
    finally:
        os._exit(code)


class Server:
    """Answers the runner and reaps what it started."""

    def __init__(self, connection: socket.socket, libraries: list[str]) -> None:
        """Serve ``connection``; import ``libraries`` whenever there is nothing else to do."""
        self.connection = connection
        self.libraries = libraries
        self.running: set[int] = set()
        self.selector = selectors.DefaultSelector()
        self.selector.register(connection, selectors.EVENT_READ)

    def serve(self) -> None:
        """Serve until the runner closes the connection; then end what still runs."""
        while True:
            events = self.selector.select(0 if self.libraries else None)
            if not events:
                self._import_one()
            for key, _ in events:
                if key.fileobj is self.connection:
                    data = self.connection.recv(MESSAGE_BYTES)
                    if not data:
                        self._end()
                        return
                    self._start(json.loads(data))
                else:
                    self._reap(key)

    def _import_one(self) -> None:
        name = self.libraries.pop(0)
        with contextlib.suppress(Exception):  # the task that needs it will say what is wrong
            module = importlib.import_module(name)
            getattr(module, "warm_up", lambda: None)()
        gc.collect()
        gc.freeze()  # children then share these pages instead of copying them

    def _start(self, spec: dict[str, Any]) -> None:
        spec["fresh"] = not single_threaded()
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self.connection.close()
            become_task(spec, server)
        lead_group(pid)
        self.running.add(pid)
        self.selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (spec["id"], pid))
        self._answer({"id": spec["id"], "pid": pid})

    def _reap(self, key: selectors.SelectorKey) -> None:
        name, pid = key.data
        signal_group(pid, signal.SIGKILL)  # before it is reaped: until then its id is its own
        self.running.discard(pid)
        _, status = os.waitpid(pid, 0)
        end_children(kept=self.running)  # it handed down what left its group
        self.selector.unregister(key.fileobj)
        os.close(key.fd)
        self._answer({"id": name, "status": os.waitstatus_to_exitcode(status)})

    def _end(self) -> None:
        for pid in self.running:
            signal_group(pid, signal.SIGKILL)
        end_children()

    def _answer(self, message: dict[str, Any]) -> None:
        self.connection.send(json.dumps(message).encode())


def main() -> None:
    """Serve the connection whose file descriptor is the first argument, under a guard."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # the runner decides what these mean
    descriptor, lifeline = map(int, sys.argv[1:3])
    guard.fork(lifeline, not_ours=[descriptor])
    adopt_orphans()
    with socket.socket(fileno=descriptor) as connection:
        Server(connection, sys.argv[3:]).serve()


if __name__ == "__main__":
    main()
