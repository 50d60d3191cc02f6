"""Stands between a runner and what it starts, and lets nothing outlive the runner.

    python -m soundgate.executors.running.guard LIFELINE PROGRAM [ARGUMENT ...]

A guard has one child: the fork server, or a task where there is none. It waits for the child's end,
or for the end of file of a pipe whose other end the runner alone holds, which comes however the
runner ends. Then it kills the child, and everything that descends from it. It holds the run's lock
until all of them are gone, so that nobody resumes the run beside them. It ends as its child did.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from soundgate.executors.running.descendants import (
    adopt_orphans,
    die_with_parent,
    end_children,
    lead_group,
    signal_group,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def fork(lifeline: int, *, not_ours: Sequence[int] = (), forwards: bool = False) -> None:
    """Fork; the child returns and goes on, the parent guards it and never returns.

    Args:
        lifeline: the pipe's reading end.
        not_ours: file descriptors that only the child needs.
        forwards: pass signals that ask to stop on to the child's group.
    """
    adopt_orphans()
    guard = os.getpid()
    arrived = _announce_signals(FORWARDED if forwards else ())
    child = os.fork()
    if child:
        for descriptor in not_ours:
            os.close(descriptor)
        lead_group(child)
        _end_as(_watch(child, lifeline, arrived))
    lead_group(0)
    die_with_parent(guard)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, *FORWARDED):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in (lifeline, arrived):
        os.close(descriptor)


def _announce_signals(numbers: Sequence[signal.Signals]) -> int:
    """Have a child's end and ``numbers`` write their number into a pipe; return its reading end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *numbers):
        signal.signal(number, lambda *_: None)
    return reading


def _watch(child: int, lifeline: int, arrived: int) -> int:
    """Wait for the child or the runner to end, end all that is left; return the child's status."""
    status = None
    while status is None:
        ready, _, _ = select.select([lifeline, arrived], [], [])
        if lifeline in ready:  # nothing is ever written into it
            signal_group(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            break
        for number in os.read(arrived, 512):
            if number != signal.SIGCHLD:
                signal_group(child, number)
        pid, ended = os.waitpid(child, os.WNOHANG)
        status = ended if pid else None
    signal_group(child, signal.SIGKILL)  # what it left behind
    end_children()
    return os.waitstatus_to_exitcode(status)


def _end_as(code: int) -> NoReturn:
    """End with an exit code, or by a signal where it is negative."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has dumped its own
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code)


def main() -> NoReturn:
    """Run a program under a guard."""
    fork(int(sys.argv[1]), forwards=True)
    adopt_orphans()  # it keeps its own children's orphans while it runs
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
