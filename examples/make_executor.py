"""Run a pipeline with GNU make: all that a fifth executor takes.

This file, and one line in the table of ``soundgate/executors/__init__.py``:

    "make": "examples.make_executor:MakeExecutor",

A task is a rule, an edge a prerequisite, a file ``done`` the target. It passes the suite that all
executors pass (``tests/conformance/test_example.py``).
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.executors import folders
from soundgate.executors.base import (
    NOTHING_REUSED,
    Capabilities,
    Options,
    PlannedTask,
    Submission,
    refuse_processes,
)
from soundgate.executors.reuse import require_files
from soundgate.executors.running import processes
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from soundgate.executors.base import Finding
    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord, TaskRecord
    from soundgate.runs import Run

SCRIPT = """cd {project} && rm -f {folder}/task.json && export {environment}
timeout --foreground --kill-after=5 {limit_s:g} {command} > {folder}/log.txt 2>&1
code=$?; echo $code > {folder}/exit; test $code = 0 && touch {folder}/done
"""


@dataclass(frozen=True)
class MakeRequest:
    """The rules, and a script for each task, by its path below the run's folder."""

    pipeline: Pipeline
    files: dict[str, str]

    def __str__(self) -> str:
        """Return every file under its name."""
        return "\n".join(f"# {name}\n{text}" for name, text in self.files.items())


class MakeExecutor:
    """Tasks are rules of a Makefile; see the module."""

    capabilities = Capabilities(
        shared_filesystem=True,
        renders_whole_graph=True,
        can_cancel=True,
        reuses_results=False,
        keeps_parameters=False,
    )

    def __init__(self, options: Options = Options()) -> None:  # noqa: ARG002 - as all executors
        """Take what every executor takes."""
        self.parameter_defaults: Mapping[str, Any] = {}

    def render(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        use_cache: bool = True,  # noqa: ARG002 - it reuses nothing
        reused: Mapping[str, Hit] = NOTHING_REUSED,  # noqa: ARG002
    ) -> MakeRequest:
        """Turn a pipeline into a Makefile and scripts. Pure."""
        refuse_processes(pipeline, "make")
        run = replace(run, root=run.root.absolute())
        files, targets = {}, " ".join(f"tasks/{name}/done" for name in pipeline.tasks)
        rules = f"all: {targets}\n"
        for task in pipeline.tasks.values():
            needed = " ".join(f"tasks/{name}/done" for name in task.depends_on)
            rules += f"tasks/{task.name}/done: {needed}\n\t@sh tasks/{task.name}/task.sh\n"
            folder = run.task(task.name)
            context = runs.Context(
                task=task.name,
                task_folder=str(folder),
                run=run.id,
                pipeline=run.pipeline,
                root=str(run.root),
                retries=str(task.retries or ""),
            )
            files[f"tasks/{task.name}/task.sh"] = SCRIPT.format(
                project=shlex.quote(str(Path.cwd())),
                folder=shlex.quote(str(folder)),
                environment=shlex.join(f"{k}={v}" for k, v in context.environment().items()),
                limit_s=task.resources.hours * 3600,
                command=shlex.join([sys.executable, *folders.command_of(task, run)[1:]]),
            )
        return MakeRequest(pipeline, {"Makefile": rules, **files})

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:  # noqa: ARG002
        """Tell what make would do: all of it, for a new run."""
        require_files(pipeline)
        return [PlannedTask(name, "run", "make knows only this run") for name in pipeline.tasks]

    def submit(
        self, request: MakeRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Write the files, start make, and wait for it unless told not to."""
        folders.keep_request(run, request)
        for task in request.pipeline.tasks.values():
            folders.write_inputs(run, [item for items in task.inputs.values() for item in items])
        for name, text in request.files.items():
            (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (run.folder / name).write_text(text, "utf-8")
        for told in record["tasks"].values():
            told.update({"state": State.PENDING, "reason": ""})
        command = ["make", "--keep-going", "--silent", f"-j{os.cpu_count()}", "-C", str(run.folder)]
        with (run.folder / "make.txt").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        record.update({"state": State.RUNNING, "reason": "", "engine_id": str(process.pid)})
        run.write(record)
        if submission.no_wait:
            process.returncode = 0  # it outlives this process on purpose
            return record
        process.wait(submission.timeout_s)
        record = self.poll(run)
        for name, told in record["tasks"].items():
            print(f"{name}: {told['state']} {told['reason']}", file=sys.stderr)
        return record

    def poll(self, run: Run) -> RunRecord:
        """Return the run's record, brought up to date from what the tasks wrote."""
        record = run.read()
        if record["state"] != State.RUNNING:
            return record
        over = not Path(f"/proc/{record['engine_id']}").exists()
        stopped = State.CANCELLED if (run.folder / "cancelled").exists() else State.SKIPPED
        for name, task in record["tasks"].items():
            folder, mark = run.task(name), runs.read_mark(run.task(name))
            if mark is not None and (folder / "done").exists():
                task.update({"state": State.SUCCEEDED, "duration_s": mark["duration_s"]})
                task["outputs"] = mark["outputs"]
            elif (folder / "exit").exists():
                status = int((folder / "exit").read_text("utf-8"))
                reason = (mark and mark["reason"]) or processes.exit_reason(status)
                task.update({"state": State.FAILED, "reason": reason})
            elif over:
                task["state"] = stopped
        if over:
            states = {task["state"] for task in record["tasks"].values()}
            tasks = record["tasks"]
            failed = [n for n, t in tasks.items() if t["state"] == State.FAILED]
            for task in tasks.values():
                if task["state"] == State.SKIPPED:
                    task["reason"] = f"{_failed_before(task, tasks)} failed"
            state = State.FAILED if failed else State.SUCCEEDED
            state = State.CANCELLED if State.CANCELLED in states else state
            reason = "; ".join(f"{name}: {tasks[name]['reason']}" for name in failed)
            record.update({"state": state, "reason": reason, "ended_at": runs.now()})
            run.write(record)
        return record

    def cancel(self, run: Run) -> None:
        """End make and everything it started."""
        (run.folder / "cancelled").touch()
        os.killpg(int(run.read()["engine_id"]), signal.SIGTERM)

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task."""
        if run.log(task).exists():
            yield from run.log(task).read_text("utf-8").splitlines(keepends=True)

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy what a task wrote below ``target``."""
        folders.collect(run, task, output, target)

    def examine(self, root: Path) -> Iterator[Finding]:  # noqa: ARG002
        """Find nothing: make is there, or it is not."""
        yield from ()


def _failed_before(task: TaskRecord, tasks: Mapping[str, TaskRecord]) -> str:
    """Return the failed task that a skipped one waited for; empty where none did."""
    for name in task["depends_on"]:
        if tasks[name]["state"] == State.FAILED:
            return name
        if found := _failed_before(tasks[name], tasks):
            return found
    return ""
