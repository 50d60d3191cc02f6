"""A job of Slurm as the host of a runner: a node's share, srun, and what a stop means there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import Stopped
from soundgate.executors.running.hosts import Failure, Verdict, retry_or_fail
from soundgate.executors.running.launcher import DirectLauncher
from soundgate.executors.running.machine import Machine
from soundgate.executors.running.processes import environment
from soundgate.executors.slurm import marks
from soundgate.executors.slurm.node.command import step_argv
from soundgate.runs import State
from soundgate.task import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.executors.running.launcher import Launcher
    from soundgate.executors.running.machine import Share
    from soundgate.executors.slurm.job_description import JobDescription
    from soundgate.pipeline import Pipeline
    from soundgate.task import Resources, Task

OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "WANDB_MODE": "offline",
}


@dataclass(slots=True)
class JobHost:
    """What a job was given on its node, and the site's rules for it."""

    description: JobDescription
    pipeline: Pipeline
    """The tasks of this job."""
    machine: Machine
    marks_stopped_tasks: bool = False
    """What becomes of a job that is stopped from outside, the controller knows."""

    def launcher(self, libraries: Sequence[str]) -> Launcher:  # noqa: ARG002 - for a few tasks
        """Fork tasks from this process: it is there for a few of them only."""
        return DirectLauncher()

    def argv(self, task: Task, command: Sequence[str], share: Share) -> list[str]:
        """Return the command in the site's image, under srun and torchrun where it needs them."""
        description = self.description
        return step_argv(
            command,
            task,
            description.site,
            description.run,
            processes=share.processes,
            cpus=share.cpus,
        )

    def variables(self, share: Share) -> dict[str, str]:
        """Return limits of threads, the site's variables, and what keeps libraries offline."""
        limits = environment(share, gpus_here=False)  # which GPUs, Slurm says
        site = self.description.site
        tasks = self.pipeline.tasks.values()
        offline = {}
        # processes on several nodes must reach one another over the network
        alone = max(task.resources.nodes for task in tasks) == 1
        if site.offline and alone and not any(task.needs_network for task in tasks):
            offline = {**OFFLINE, "SOUNDGATE_OFFLINE": ",".join(site.reachable) or "none"}
        return {**limits, **offline, **site.environment}

    def judge(self, failure: Failure) -> Verdict:
        """Leave what was stopped from outside, or saved its work, to another start of the job."""
        exit_code = failure.mark["exit_code"] if failure.mark is not None else None
        # torchrun and srun replace the program's exit code with their own
        saved = Stopped.exit_code in (failure.status, exit_code)
        if not (failure.stopped or saved):
            return retry_or_fail(failure)
        return Verdict(
            state=State.PENDING,
            reason="its work was saved" if saved else failure.reason,
            keeps_mark=exit_code in marks.STOPPED,  # else other processes were stopped
        )


def machine_of(share: Resources) -> Machine:
    """Return what a job was given on its node."""
    text = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return Machine(
        cpus=int(text) if text.isdigit() else share.cpus,
        memory_gb=share.memory_gb,
        gpus=tuple(range(share.gpus)),
    )


def known_digests(description: JobDescription, pipeline: Pipeline) -> dict[Any, str]:
    """Return the digests of files at submission and of the outputs that other jobs finished."""
    found = dict(description.digests)
    for task in pipeline.tasks.values():
        for items in task.inputs.values():
            for item in items:
                if isinstance(item, Output) and item.task not in pipeline.tasks:
                    mark = runs.read_mark(description.run.task(item.task))
                    if mark is not None and State(mark["state"]).done:
                        found[item] = mark["outputs"][item.name]["digest"]
    return found
