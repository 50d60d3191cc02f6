"""What a job runs on its node: some tasks of a run, as the local executor would run them.

    python -m soundgate.executors.slurm.worker HANDOVER JOB [ELEMENT]

A task starts only where the finished marks of its inputs are there, whatever the controller
thought of the jobs before. Results that exist are reused here too, because only now all inputs are
known. Asked by SIGUSR1, a while before the time limit, tasks that keep checkpoints save their work,
and the job is put back into the queue to go on.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import SoundgateError, Stopped
from soundgate.executors import folders
from soundgate.executors.base import Submission, initial_tasks
from soundgate.executors.launcher import DirectLauncher
from soundgate.executors.machine import Machine
from soundgate.executors.processes import environment
from soundgate.executors.runner import Runner
from soundgate.executors.slurm import handover as handovers
from soundgate.executors.slurm.client import Client
from soundgate.executors.slurm.workspace import workspace
from soundgate.pipeline import Pipeline
from soundgate.runs import State
from soundgate.task import Output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from soundgate.executors.launcher import Launcher
    from soundgate.executors.machine import Share
    from soundgate.executors.runner import Attempt
    from soundgate.executors.slurm.handover import Handover, Site
    from soundgate.task import Resources, Task

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_MODE": "offline",
}


class NodeRunner(Runner):
    """Runs the tasks of one element of a job, within what the job was given."""

    def __init__(self, given: Handover, tasks: Sequence[str], share: Resources) -> None:
        """Prepare to run ``tasks`` with what the job was given."""
        pipeline = Pipeline(given.pipeline.name)
        pipeline.tasks = {name: given.pipeline.tasks[name] for name in tasks}
        machine = Machine(
            cpus=_given_cpus() or share.cpus,
            memory_gb=share.memory_gb,
            gpus=tuple(range(share.gpus)),
        )
        record = {"commit": given.commit, "tasks": initial_tasks(pipeline)}
        submission = Submission(use_cache=given.use_cache)
        super().__init__(pipeline, given.run, record, submission, machine)
        self.given = given
        self.warned = False

    # -- what differs from a laptop ---------------------------------------------------------------

    def _known_digests(self) -> dict[Any, str]:
        """Digests of files as they were at submit, and of what other jobs have finished."""
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
        """The run's record belongs to whoever looks at the run."""

    def _argv(self, task: Task, share: Share) -> list[str]:
        command = folders.command_of(task, self._absolute())
        return step_argv(command, task, self.given.site, self.run, len(share.gpus))

    def _limits(self, share: Share) -> dict[str, str]:
        limits = environment(share, gpus_here=False)  # Slurm says which GPUs
        profile = self.given.site
        offline = {}
        # the processes of several nodes have to find one another
        needs = [task.resources.nodes for task in self.pipeline.tasks.values()]
        if profile.offline and not self._has_network() and max(needs) == 1:
            offline = {**OFFLINE, "SOUNDGATE_OFFLINE": ",".join(profile.reachable) or "none"}
        return {**limits, **offline, **profile.environment}

    def _has_network(self) -> bool:
        return any(task.needs_network for task in self.pipeline.tasks.values())

    # -- time limits ------------------------------------------------------------------------------

    def warn(self, _number: int, _frame: FrameType | None) -> None:
        """Ask tasks that can save their work to do so; start nothing more."""
        self.warned = True
        for name in self.attempts:
            if self._keeps_checkpoints(self.pipeline.tasks[name]):
                self._processes().signal(name, signal.SIGUSR1)

    def _start_ready(self) -> None:
        if not self.warned:
            super()._start_ready()

    def _failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        if self.warned and status == Stopped.exit_code:
            (self.run.task(task.name) / runs.MARK).unlink(missing_ok=True)
            self.tasks[task.name].update(state=State.PENDING, reason="its work was saved")
            return
        super()._failed(task, attempt, status, reason)

    def _keeps_checkpoints(self, task: Task) -> bool:
        return any(argument.kind == "checkpoint" for argument in task.interface.values())

    @property
    def unfinished(self) -> list[str]:
        """Tasks that another start of the job could finish."""
        waiting = (State.PENDING, State.RUNNING)
        return [name for name, task in self.tasks.items() if task["state"] in waiting]


def step_argv(
    command: Sequence[str], task: Task, profile: Site, run: runs.Run, gpus: int
) -> list[str]:
    """Return what is executed on the node: ``command`` in its image, over GPUs and nodes."""
    box = profile.container
    python = box.python if box else profile.python or sys.executable
    argv = [python, *command[1:]]
    nodes = task.resources.nodes
    if gpus > 1 or nodes > 1:
        place = ["--standalone"]
        if nodes > 1:
            # the worker runs on the first node; ports of two jobs on one node differ
            head = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
            port = 20000 + int(os.environ.get("SLURM_JOB_ID") or 0) % 10000
            place = [f"--nnodes={nodes}", "--rdzv-backend=c10d", f"--rdzv-endpoint={head}:{port}"]
        torchrun = ["-m", "torch.distributed.run", *place, f"--nproc-per-node={max(gpus, 1)}"]
        argv[1:1] = torchrun
    if box:
        binds = [str(run.root.absolute()), str(Path.cwd()), *box.binds]
        gpu_flag = ["--nv"] if task.resources.gpus else []
        argv = [
            box.command,
            "exec",
            *gpu_flag,
            "--bind",
            ",".join(binds),
            *box.options,
            box.image,
            *argv,
        ]
    if gpus > 1 or nodes > 1:
        argv = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *argv]
    return argv


def _given_cpus() -> int | None:
    text = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdigit() else None


def lacking(given: Handover, tasks: Sequence[str]) -> dict[str, str]:
    """Return for each task that cannot run the reason: an input without a finished mark."""
    found: dict[str, str] = {}
    for name in tasks:
        for needed in given.pipeline.tasks[name].depends_on:
            if needed in found or (needed not in tasks and not _is_done(given.run, needed)):
                found[name] = f"{needed} has no finished mark"
                break
    return found


def _is_done(run: runs.Run, task: str) -> bool:
    mark = runs.read_mark(run.task(task))
    return mark is not None and State(mark["state"]).done


def work(given: Handover, job: str, element: int, client: Client) -> int:
    """Run the tasks of an element; return the exit code for Slurm."""
    tasks = given.jobs[job].elements[element]
    missing = lacking(given, tasks)
    for name, reason in missing.items():
        print(f"{name}  skipped  {reason}", flush=True)
    ready = [name for name in tasks if name not in missing]
    if not ready:
        return 1
    restarts = int(os.environ.get("SLURM_RESTART_COUNT") or 0)
    with ExitStack() as stack:
        scratch = given.site.node_scratch
        if scratch:
            parent = Path(os.path.expandvars(scratch))
            os.environ["TMPDIR"] = str(stack.enter_context(workspace(parent, slurm_id())))
        runner = stack.enter_context(NodeRunner(given, ready, given.jobs[job].resources))
        signal.signal(signal.SIGUSR1, runner.warn)
        if restarts:
            print(f"start {restarts + 1} of at most {given.site.requeues + 1}", flush=True)
        runner.execute()
        unfinished = runner.unfinished
        if runner.warned and unfinished and not runner.stop_signal:
            return _again(given, unfinished, restarts, client)
    done = [name for name in tasks if _is_done(given.run, name)]
    return 0 if done else 1


def _again(given: Handover, unfinished: Sequence[str], restarts: int, client: Client) -> int:
    """Put the job back into the queue, or say that this happened often enough."""
    if restarts < given.site.requeues:
        print(f"time is up: put back into the queue with {', '.join(unfinished)}", flush=True)
        client.requeue(slurm_id())
        return 0
    for name in unfinished:
        task = given.pipeline.tasks[name]
        reason = (
            f"not finished after {restarts + 1} jobs of {task.resources.hours:g} h; raise hours in "
            "its Resources or requeues in the profile"
        )
        write_failure(given, name, reason)
    return 1


def write_failure(given: Handover, task: str, reason: str) -> None:
    """Write the mark of a task that did not get to write its own."""
    context = runs.Context(task=task, run=given.run.id, pipeline=given.run.pipeline)
    context = replace(context, commit=given.commit)
    values = {"state": State.FAILED, "reason": reason, "exit_code": 1, "engine_id": slurm_id()}
    at = runs.now()
    runs.write_mark(
        given.run.task(task),
        context,
        **values,
        argv=[],
        started_at=at,
        ended_at=at,
        duration_s=0.0,
    )


def slurm_id() -> str:
    """Return Slurm's id of this job or element, as ``scontrol`` takes it."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID", "by-hand")


def main(argv: Sequence[str]) -> int:
    """Run as a program."""
    path, job, *rest = argv
    try:
        given = handovers.read(Path(path))
        return work(given, job, int(rest[0]) if rest else 0, Client())
    except SoundgateError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
