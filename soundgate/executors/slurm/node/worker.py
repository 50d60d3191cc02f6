"""Executes the job description on a node: runs its tasks as the local executor would.

    python -m soundgate.executors.slurm.node.worker [--no-cache] DESCRIPTION JOB [ELEMENT]

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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from soundgate.errors import ExecutorError, SoundgateError
from soundgate.executors import folders
from soundgate.executors.base import initial_tasks
from soundgate.executors.records import KeptRecord
from soundgate.executors.running.runner import Runner
from soundgate.executors.running.work import Work
from soundgate.executors.slurm import job_description, marks
from soundgate.executors.slurm.node.host import JobHost, known_digests, machine_of
from soundgate.executors.slurm.node.workspace import workspace
from soundgate.executors.slurm.service.client import Client
from soundgate.pipeline import Pipeline
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from soundgate.executors.slurm.job_description import JobDescription
    from soundgate.run_record import RunRecord
    from soundgate.task import Resources

NO_CACHE = "--no-cache"
CANCELLED_WITHIN_S = 5.0
"""How long a job that cancelled itself waits for its end."""


@dataclass(slots=True)
class TimeWarning:
    """Takes the warning before a job's time limit."""

    runner: Runner
    came: bool = False

    def take(self, _number: int, _frame: FrameType | None) -> None:
        """Signal tasks with checkpoints to save their work; start no further task."""
        self.came = True
        self.runner.pause()
        for name in self.runner.attempts:
            task = self.runner.pipeline.tasks[name]
            if any(argument.kind == "checkpoint" for argument in task.interface.values()):
                self.runner.signal(name, signal.SIGUSR1)


def _runner(
    description: JobDescription, tasks: Sequence[str], share: Resources, *, use_cache: bool
) -> Runner:
    """Return a runner of some tasks, within what their job was given."""
    pipeline = Pipeline(description.pipeline.name)
    pipeline.tasks = {name: description.pipeline.tasks[name] for name in tasks}
    work = Work(
        pipeline=pipeline,
        run=description.run,
        commands={
            n: folders.command_of(task, description.run) for n, task in pipeline.tasks.items()
        },
        use_cache=use_cache,
        digests=known_digests(description, pipeline),
    )
    # run.json is written by the process that polls the run: here is only what a runner reads
    read = {"commit": description.commit, "tasks": initial_tasks(pipeline)}
    record = KeptRecord(cast("RunRecord", read), write=None)
    return Runner(work, record, JobHost(description, pipeline, machine_of(share)))


def _unfinished(runner: Runner) -> list[str]:
    """Return the tasks that another start of the job could finish."""
    waiting = (State.PENDING, State.RUNNING, State.CANCELLED)
    return [name for name, task in runner.tasks.items() if task["state"] in waiting]


def lacking(description: JobDescription, tasks: Sequence[str]) -> dict[str, str]:
    """Return the reason for each task that cannot run: an input without a finished mark."""
    found: dict[str, str] = {}
    for name in tasks:
        for needed in description.pipeline.tasks[name].depends_on:
            if needed in found or (
                needed not in tasks and not marks.is_done(description.run, needed)
            ):
                found[name] = _why_lacking(description, needed, found)
                break
    return found


def _why_lacking(description: JobDescription, needed: str, found: Mapping[str, str]) -> str:
    if needed in found:
        return found[needed]
    if marks.has_failed(description.run, description.pipeline.tasks[needed]):
        return f"{needed} failed"
    return f"{needed} has no finished mark"


def work(
    description: JobDescription, job: str, element: int, client: Client, *, use_cache: bool = True
) -> int:
    """Run the tasks of an element; return the exit code for Slurm."""
    tasks = description.jobs[job].elements[element]
    restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    missing = lacking(description, tasks)
    if restarts:
        missing.update(_over_and_done(description, tasks))
    for name, reason in missing.items():
        print(f"{name}  skipped  {reason}", flush=True)
    ready = [name for name in tasks if name not in missing]
    if restarts and not _may_start(description, ready, restarts):
        return 1
    if not ready:
        if not restarts and "SLURM_JOB_ID" in os.environ:
            _cancel_own_job(client)
        return 1
    with ExitStack() as stack:
        scratch = description.site.node_scratch
        if scratch and description.jobs[job].resources.nodes == 1:
            parent = Path(os.path.expandvars(scratch))
            os.environ["TMPDIR"] = str(stack.enter_context(workspace(parent, slurm_id())))
        share = description.jobs[job].resources
        runner = stack.enter_context(_runner(description, ready, share, use_cache=use_cache))
        warning = TimeWarning(runner)
        signal.signal(signal.SIGUSR1, warning.take)
        runner.execute()
        left = _unfinished(runner)
    warned = warning.came and not runner.stop_signal  # else it may have been cancelled since
    if left and (warned or client.is_running(slurm_id())):
        return _again(description, left, restarts, client)
    return 0 if any(marks.is_done(description.run, name) for name in tasks) else 1


def _cancel_own_job(client: Client) -> None:
    """End a job of which every task is skipped as cancelled: nothing in it failed."""
    with suppress(ExecutorError):  # it then counts as failed, which decides nothing
        client.cancel([slurm_id()])
        time.sleep(CANCELLED_WITHIN_S)


def _over_and_done(description: JobDescription, tasks: Sequence[str]) -> dict[str, str]:
    """Return tasks with a final failure in an earlier start, and the tasks that need them."""
    found: dict[str, str] = {}
    for name in tasks:
        task = description.pipeline.tasks[name]
        if marks.has_failed(description.run, task):
            found[name] = "failed in an earlier start"
        elif any(needed in found for needed in task.depends_on):
            found[name] = "follows what failed in an earlier start"
    return found


def _may_start(description: JobDescription, tasks: Sequence[str], restarts: int) -> bool:
    """Record which start this is; False if the site's limit is reached."""
    left = [name for name in tasks if not marks.is_done(description.run, name)]
    most = description.site.requeues + 1
    if restarts >= most:
        _give_up(description, left, restarts)
        return False
    print(f"start {restarts + 1} of at most {most}", flush=True)
    for name in left:
        marks.note_start(description.run, name, restarts + 1, most)
    return True


def _again(
    description: JobDescription, unfinished: Sequence[str], restarts: int, client: Client
) -> int:
    """Requeue the job, or record that the limit of requeues is reached."""
    if restarts < description.site.requeues:
        print(f"stopped early: put back into the queue with {', '.join(unfinished)}", flush=True)
        client.requeue(slurm_id())
        return 0
    _give_up(description, unfinished, restarts + 1)
    return 1


def _give_up(description: JobDescription, unfinished: Sequence[str], starts: int) -> None:
    for name in unfinished:
        hours = description.pipeline.tasks[name].resources.hours
        reason = (
            f"not finished after {starts} starts of at most {hours:g} h; raise requeues in the "
            "profile, or hours in its Resources"
        )
        print(f"{name}  {reason}", flush=True)
        marks.write_failure(description, name, reason, slurm_id())


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
        description = job_description.read(Path(path))
        element = int(rest[0]) if rest else 0
        return work(description, job, element, Client(), use_cache=NO_CACHE not in argv)
    except SoundgateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
