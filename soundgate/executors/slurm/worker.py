"""Executes the job description on a node: runs its tasks as the local executor would.

    python -m soundgate.executors.slurm.worker [--no-cache] HANDOVER JOB [ELEMENT]

A task starts only if the finished marks of its inputs exist, whatever exit codes earlier jobs had.
Results are looked up again here, because only now all inputs are known. On SIGUSR1, sent before the
time limit, tasks with checkpoints save their work and the job is requeued to continue. A task
stopped in any other way leaves no final mark, because only the controller knows whether its job
starts again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ExecutorError, SoundgateError, Stopped
from soundgate.executors import folders
from soundgate.executors.base import Submission, initial_tasks
from soundgate.executors.launcher import DirectLauncher
from soundgate.executors.machine import Machine
from soundgate.executors.processes import environment
from soundgate.executors.runner import Runner, Work
from soundgate.executors.slurm import handover as handovers
from soundgate.executors.slurm import marks
from soundgate.executors.slurm.client import Client
from soundgate.executors.slurm.command import step_argv
from soundgate.executors.slurm.workspace import workspace
from soundgate.pipeline import Pipeline
from soundgate.runs import State
from soundgate.task import Output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from soundgate.executors.launcher import Launcher
    from soundgate.executors.machine import Share
    from soundgate.executors.runner import Attempt
    from soundgate.executors.slurm.handover import Handover
    from soundgate.task import Resources, Task

NO_CACHE = "--no-cache"
CANCELLED_WITHIN_S = 5.0
"""How long a job that cancelled itself waits for its end."""
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_MODE": "offline",
}


class NodeRunner(Runner):
    """Runs the tasks of one element of a job, within what the job was given."""

    def __init__(
        self, given: Handover, tasks: Sequence[str], share: Resources, *, use_cache: bool
    ) -> None:
        """Prepare to run ``tasks`` with the job's resources."""
        pipeline = Pipeline(given.pipeline.name)
        pipeline.tasks = {name: given.pipeline.tasks[name] for name in tasks}
        machine = Machine(
            cpus=_given_cpus() or share.cpus,
            memory_gb=share.memory_gb,
            gpus=tuple(range(share.gpus)),
        )
        record = {"commit": given.commit, "tasks": initial_tasks(pipeline)}
        commands = {
            name: folders.command_of(task, given.run) for name, task in pipeline.tasks.items()
        }
        work = Work(pipeline=pipeline, run=given.run, commands=commands, use_cache=use_cache)
        super().__init__(work, record, Submission(), machine)
        self.given = given
        self.warned = False

    # -- what differs from a laptop ---------------------------------------------------------------

    def _known_digests(self) -> dict[Any, str]:
        """Return the digests of files at submission and of the outputs that other jobs finished."""
        found = dict(self.given.digests)
        for task in self.pipeline.tasks.values():
            for items in task.inputs.values():
                for item in items:
                    if isinstance(item, Output) and item.task not in self.pipeline.tasks:
                        mark = runs.read_mark(self.run.task(item.task))
                        if mark is not None and State(mark["state"]).done:
                            found[item] = mark["outputs"][item.name]["digest"]
        return found

    def _new_launcher(self, _libraries: list[str]) -> Launcher:
        return DirectLauncher()

    def _save(self, *, force: bool = False) -> None:
        """Do nothing: ``run.json`` is written by the process that polls the run."""

    def _argv(self, task: Task, share: Share) -> list[str]:
        command, site = self.work.commands[task.name], self.given.site
        return step_argv(command, task, site, self.run, processes=share.processes, cpus=share.cpus)

    def _limits(self, share: Share) -> dict[str, str]:
        limits = environment(share, gpus_here=False)  # which GPUs, Slurm says
        profile = self.given.site
        offline = {}
        # processes on several nodes must reach one another over the network
        needs = [task.resources.nodes for task in self.pipeline.tasks.values()]
        if profile.offline and not self._has_network() and max(needs) == 1:
            offline = {**OFFLINE, "SOUNDGATE_OFFLINE": ",".join(profile.reachable) or "none"}
        return {**limits, **offline, **profile.environment}

    def _has_network(self) -> bool:
        return any(task.needs_network for task in self.pipeline.tasks.values())

    # -- time limits ------------------------------------------------------------------------------

    def warn(self, _number: int, _frame: FrameType | None) -> None:
        """Signal tasks with checkpoints to save their work; start no further task."""
        self.warned = True
        for name in self.attempts:
            if self._keeps_checkpoints(self.pipeline.tasks[name]):
                self._processes().signal(name, signal.SIGUSR1)

    def _start_ready(self) -> None:
        if not self.warned:
            super()._start_ready()

    def _failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        path = self.run.task(task.name) / runs.MARK
        mark = runs.read_mark(path.parent) or {}
        # torchrun and srun replace the program's exit code with their own
        saved = Stopped.exit_code in (status, mark.get("exit_code"))
        if self.stop_signal or saved:
            if (
                mark.get("exit_code") not in marks.STOPPED
            ):  # it failed because other processes were stopped
                path.unlink(missing_ok=True)
            said = "its work was saved" if saved else reason
            self.tasks[task.name].update(state=State.PENDING, reason=said)
            return
        super()._failed(task, attempt, status, reason)

    def _mark_failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        if not self.stop_signal:
            # the task's own time limit is final; a signal from outside is not
            status = 1 if attempt.asked_to_stop is not None else status
            super()._mark_failed(task, attempt, status, reason)

    def _keeps_checkpoints(self, task: Task) -> bool:
        return any(argument.kind == "checkpoint" for argument in task.interface.values())

    @property
    def unfinished(self) -> list[str]:
        """Return the tasks that another start of the job could finish."""
        waiting = (State.PENDING, State.RUNNING, State.CANCELLED)
        return [name for name, task in self.tasks.items() if task["state"] in waiting]


def _given_cpus() -> int | None:
    text = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdigit() else None


def lacking(given: Handover, tasks: Sequence[str]) -> dict[str, str]:
    """Return the reason for each task that cannot run: an input without a finished mark."""
    found: dict[str, str] = {}
    for name in tasks:
        for needed in given.pipeline.tasks[name].depends_on:
            if needed in found or (needed not in tasks and not marks.is_done(given.run, needed)):
                found[name] = _why_lacking(given, needed, found)
                break
    return found


def _why_lacking(given: Handover, needed: str, found: Mapping[str, str]) -> str:
    if needed in found:
        return found[needed]
    if marks.has_failed(given.run, given.pipeline.tasks[needed]):
        return f"{needed} failed"
    return f"{needed} has no finished mark"


def work(given: Handover, job: str, element: int, client: Client, *, use_cache: bool = True) -> int:
    """Run the tasks of an element; return the exit code for Slurm."""
    tasks = given.jobs[job].elements[element]
    restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    missing = lacking(given, tasks)
    if restarts:
        missing.update(_over_and_done(given, tasks))
    for name, reason in missing.items():
        print(f"{name}  skipped  {reason}", flush=True)
    ready = [name for name in tasks if name not in missing]
    if restarts and not _may_start(given, ready, restarts):
        return 1
    if not ready:
        if not restarts and "SLURM_JOB_ID" in os.environ:
            _cancel_own_job(client)
        return 1
    with ExitStack() as stack:
        scratch = given.site.node_scratch
        if scratch and given.jobs[job].resources.nodes == 1:
            parent = Path(os.path.expandvars(scratch))
            os.environ["TMPDIR"] = str(stack.enter_context(workspace(parent, slurm_id())))
        runner = stack.enter_context(
            NodeRunner(given, ready, given.jobs[job].resources, use_cache=use_cache)
        )
        signal.signal(signal.SIGUSR1, runner.warn)
        runner.execute()
        left = runner.unfinished
    warned = (
        runner.warned and not runner.stop_signal
    )  # otherwise the job may have been cancelled since
    if left and (warned or client.is_running(slurm_id())):
        return _again(given, left, restarts, client)
    return 0 if any(marks.is_done(given.run, name) for name in tasks) else 1


def _cancel_own_job(client: Client) -> None:
    """End a job of which every task is skipped as cancelled: nothing in it failed."""
    with suppress(ExecutorError):  # it then counts as failed, which decides nothing
        client.cancel([slurm_id()])
        time.sleep(CANCELLED_WITHIN_S)


def _over_and_done(given: Handover, tasks: Sequence[str]) -> dict[str, str]:
    """Return tasks with a final failure in an earlier start, and the tasks that need them."""
    found: dict[str, str] = {}
    for name in tasks:
        task = given.pipeline.tasks[name]
        if marks.has_failed(given.run, task):
            found[name] = "failed in an earlier start"
        elif any(needed in found for needed in task.depends_on):
            found[name] = "follows what failed in an earlier start"
    return found


def _may_start(given: Handover, tasks: Sequence[str], restarts: int) -> bool:
    """Record which start this is; False if the site's limit is reached."""
    left = [name for name in tasks if not marks.is_done(given.run, name)]
    most = given.site.requeues + 1
    if restarts >= most:
        _give_up(given, left, restarts)
        return False
    print(f"start {restarts + 1} of at most {most}", flush=True)
    for name in left:
        marks.note_start(given.run, name, restarts + 1, most)
    return True


def _again(given: Handover, unfinished: Sequence[str], restarts: int, client: Client) -> int:
    """Requeue the job, or record that the limit of requeues is reached."""
    if restarts < given.site.requeues:
        print(f"stopped early: put back into the queue with {', '.join(unfinished)}", flush=True)
        client.requeue(slurm_id())
        return 0
    _give_up(given, unfinished, restarts + 1)
    return 1


def _give_up(given: Handover, unfinished: Sequence[str], starts: int) -> None:
    for name in unfinished:
        hours = given.pipeline.tasks[name].resources.hours
        reason = (
            f"not finished after {starts} starts of at most {hours:g} h; raise requeues in the "
            "profile, or hours in its Resources"
        )
        print(f"{name}  {reason}", flush=True)
        marks.write_failure(given, name, reason, slurm_id())


def slurm_id() -> str:
    """Return Slurm's id of this job or element, as ``scontrol`` takes it."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID", "by-hand")


def main(argv: Sequence[str]) -> int:
    """Run as a program."""
    path, job, *rest = [word for word in argv if word != NO_CACHE]
    try:
        given = handovers.read(Path(path))
        element = int(rest[0]) if rest else 0
        return work(given, job, element, Client(), use_cache=NO_CACHE not in argv)
    except SoundgateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
