"""Run a pipeline's tasks as processes on this machine: the embedded default.

Independent tasks run side by side within the machine's cores, memory and GPUs; a result that is
already there is reused; a killed run is resumed from the marks its tasks left.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.executors import folders, reuse
from soundgate.executors.base import (
    NOTHING_REUSED,
    Capabilities,
    Finding,
    Options,
    PlannedTask,
    Submission,
)
from soundgate.executors.running.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run
    from soundgate.task import Task

LEAST_FREE_GB = 2.0
LONGEST_START_S = 60.0
"""How long the runner of a detached run may take until it holds the run."""


@dataclass(frozen=True, slots=True)
class Command:
    """One task as it is run."""

    task: str
    argv: tuple[str, ...]
    about: str


@dataclass(frozen=True, slots=True)
class LocalRequest:
    """The commands of a run in an order that respects their edges; a shell script as text."""

    pipeline: Pipeline
    folder: str
    commands: tuple[Command, ...]
    use_cache: bool = True

    def __str__(self) -> str:
        """Return a script that does by hand what the executor does, one task after another."""
        lines = ["#!/bin/sh", f"# {self.folder}"]
        lines += [] if self.use_cache else ["# --no-cache: no earlier result is reused"]
        lines += ["set -eu"]
        for command in self.commands:
            lines += ["", f"# {command.task}: {command.about}", shlex.join(command.argv)]
        return "\n".join(lines) + "\n"


class LocalExecutor:
    """Tasks are processes of this machine; see the module."""

    capabilities = Capabilities(
        shared_filesystem=True,
        renders_whole_graph=False,
        can_cancel=True,
        reuses_results=True,
        keeps_parameters=False,
        runs_here=True,
    )

    def __init__(self, options: Options = Options()) -> None:  # noqa: ARG002 - as all executors
        """Take what every executor takes; this machine needs no description."""
        self.parameter_defaults: Mapping[str, Any] = {}

    def render(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        use_cache: bool = True,
        reused: Mapping[str, Hit] = NOTHING_REUSED,  # noqa: ARG002 - decided task by task
    ) -> LocalRequest:
        """Turn a pipeline into commands. Pure: reads and writes nothing."""
        commands = [
            Command(task.name, tuple(folders.command_of(task, run)), _about(task))
            for task in pipeline.tasks.values()
        ]
        return LocalRequest(pipeline, str(run.folder), tuple(commands), use_cache)

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:
        """Tell for each task whether it would be run or reused, and why."""
        machine = Machine()
        return reuse.plan(
            pipeline, run, use_cache=use_cache, cores=lambda task: machine.cores_of(task.resources)
        )

    def submit(
        self, request: LocalRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Run the commands; with ``no_wait`` in a process of its own."""
        if submission.no_wait:
            folders.keep_request(run, request)
            return self._detach(request, run, record, submission)
        from soundgate.executors.records import KeptRecord
        from soundgate.executors.running.hosts import ThisMachine
        from soundgate.executors.running.runner import Runner
        from soundgate.executors.running.work import Work
        from soundgate.reuse.cache import Cache

        commands = {each.task: each.argv for each in request.commands}
        with folders.lock(run) as hold:
            folders.keep_request(run, request)
            work = Work(
                pipeline=request.pipeline,
                run=run,
                commands=commands,
                digests=reuse.file_digests(Cache(run.root), request.pipeline),
                use_cache=request.use_cache,
                quiet=submission.quiet,
            )
            kept = KeptRecord(record, run.write)
            host = ThisMachine(hold=hold)
            with Runner(work, kept, host, timeout_s=submission.timeout_s) as runner:
                return runner.execute()

    def _detach(
        self, request: LocalRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        command = [sys.executable, "-m", "soundgate.cli", "run-pipeline"]
        command += ["--resume", str(run.folder.resolve())]
        if submission.timeout_s is not None:
            command += ["--timeout", str(submission.timeout_s)]
        if not request.use_cache:
            command += ["--no-cache"]
        told = {runs.INVOCATION_VARIABLE: json.dumps(record["invocation"])}
        with (run.folder / "runner.txt").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        record["engine_id"] = str(process.pid)
        latest = time.monotonic() + LONGEST_START_S
        while process.poll() is None and folders.lock_holder(run) is None:
            if time.monotonic() > latest:
                break
            time.sleep(0.05)  # until then the run would be taken for an interrupted one
        process.returncode = 0  # it outlives this process on purpose; nobody will wait for it
        return record

    def poll(self, run: Run) -> RunRecord:
        """Return the run's record; one whose runner is gone is shown as interrupted."""
        record = run.read()
        held = folders.lock_holder(run) is not None
        if record["state"] == runs.State.PENDING and held:
            record["state"] = runs.State.RUNNING  # its runner has not written yet
        if record["state"] == runs.State.RUNNING and not held:
            record["state"] = runs.State.FAILED
            record["reason"] = f"its runner ended; continue with --resume {run.id}"
            for task in record["tasks"].values():
                if task["state"] == runs.State.RUNNING:
                    task["state"] = runs.State.PENDING
        return record

    def cancel(self, run: Run) -> None:
        """Ask the run's runner to end its tasks and itself.

        Raises:
            ParameterError: the run is not running.
        """
        holder = folders.lock_holder(run)
        if holder is None:
            raise ParameterError(f"run {run.id} is not running on this machine")
        if not holder.is_here:
            raise ParameterError(f"run {run.id} is running on {holder.host}: cancel it there")
        os.kill(holder.pid, signal.SIGTERM)

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task."""
        path = run.log(task)
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            yield from file

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy what a task wrote below ``target``."""
        folders.collect(run, task, output, target)

    def examine(self, root: Path) -> Iterator[Finding]:
        """Look at this machine: cores, memory, GPUs, room for runs."""
        from soundgate.executors.running.machine import Machine

        here = Machine()
        yield Finding("cores", str(here.cpus))
        yield Finding("memory", f"{here.memory_gb:.1f} GB")
        yield Finding("GPUs", str(len(here.gpus)))
        root.mkdir(parents=True, exist_ok=True)
        free_gb = shutil.disk_usage(root).free / 2**30
        fix = "" if free_gb > LEAST_FREE_GB else "free space, or set SOUNDGATE_RUNS"
        yield Finding("folder of runs", f"{root.absolute()}, {free_gb:.1f} GB free", fix)


def _about(task: Task) -> str:
    r = task.resources
    needs = [f"{r.cpus} cpus", f"{r.gpus} gpus" if r.gpus else "", f"{r.memory_gb:g} GB"]
    after = f"; after {', '.join(task.depends_on)}" if task.depends_on else ""
    return ", ".join(n for n in needs if n) + after
