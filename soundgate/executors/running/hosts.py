"""What a runner needs of the place where it runs: how tasks become processes, what a failure means.

A runner is given a host instead of being subclassed: ``ThisMachine`` here, a job of Slurm in
``executors/slurm``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from soundgate.errors import UserError
from soundgate.executors.running.launcher import Launcher, launcher
from soundgate.executors.running.machine import Machine, Share
from soundgate.executors.running.processes import environment, process_argv
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.leftovers import Hold
    from soundgate.run_record import TaskMark
    from soundgate.task import Task

LONGEST_RETRY_WAIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt of a task that did not succeed."""

    task: Task
    attempt: int
    """Its number, from 1."""
    status: int
    """Exit code of its process; negative for a signal."""
    reason: str
    mark: TaskMark | None
    """What the task itself wrote about its end."""
    stopped: str
    """Why the whole run was stopped before; empty where it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a task after a failed attempt."""

    state: State
    """FAILED skips what reads the task; anything else leaves it open."""
    reason: str
    retry_after_s: float | None = None
    """Wait before another attempt; None: there is none."""
    keeps_mark: bool = True
    """False removes the mark of an end that is not the task's own."""


class Host(Protocol):
    """The place where tasks run."""

    @property
    def machine(self) -> Machine:
        """What can be given to tasks at the same time."""

    @property
    def marks_stopped_tasks(self) -> bool:
        """Whether a task that was stopped from outside, without a word of its own, gets a mark."""

    def launcher(self, libraries: Sequence[str]) -> Launcher:
        """Return what starts processes; ``libraries`` are what the tasks will import."""

    def argv(self, task: Task, command: Sequence[str], share: Share) -> list[str]:
        """Return what is executed for a task's ``command``."""

    def variables(self, share: Share) -> dict[str, str]:
        """Return the environment variables that keep a task within its share."""

    def judge(self, failure: Failure) -> Verdict:
        """Say what becomes of a task after a failed attempt."""


def retry_or_fail(failure: Failure) -> Verdict:
    """Try a task again as often as it says, but never after a mistake of its user's."""
    if failure.attempt <= failure.task.retries and failure.status != UserError.exit_code:
        wait_s = min(LONGEST_RETRY_WAIT_S, 2.0 ** (failure.attempt - 1))
        reason = f"{failure.reason}; trying again"
        return Verdict(state=State.PENDING, reason=reason, retry_after_s=wait_s)
    return Verdict(state=State.FAILED, reason=failure.reason)


@dataclass(slots=True)
class ThisMachine:
    """Tasks are processes of this machine and share its cores, memory and GPUs."""

    machine: Machine = field(default_factory=Machine)
    marks_stopped_tasks: bool = True
    hold: Hold | None = None
    """The run that the tasks belong to; their processes keep it held and can be found by it."""

    def launcher(self, libraries: Sequence[str]) -> Launcher:
        """Return a fork server where the platform has one."""
        return launcher(libraries, self.hold)

    def argv(self, task: Task, command: Sequence[str], share: Share) -> list[str]:  # noqa: ARG002
        """Return the command under this interpreter."""
        return process_argv(command, share)

    def variables(self, share: Share) -> dict[str, str]:
        """Return limits of threads, which GPUs are the task's, and which run it belongs to."""
        mark = self.hold.environment if self.hold else {}
        return {**mark, **environment(share, gpus_here=bool(self.machine.gpus))}

    def judge(self, failure: Failure) -> Verdict:
        """Cancel a task with the run; else try it again, or give up."""
        if failure.stopped:
            return Verdict(state=State.CANCELLED, reason=failure.stopped)
        return retry_or_fail(failure)
