"""Commands that look at runs, follow them and stop them."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import executors, invocation, runs
from soundgate.commands.output import count, output_argument, print_table, runs_root
from soundgate.errors import ExecutorError, ParameterError, SoundgateError, nearest
from soundgate.executors.display import duration
from soundgate.executors.pace import Pace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from soundgate.executors.base import Executor
    from soundgate.run_record import RunRecord

FOLLOW_INTERVAL_S = 0.5
FOLLOW_LONGEST_S = 30.0
"""Longest time between two polls of the engine while following a log."""


def list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``list-runs``."""
    parser.add_argument("pipeline", nargs="?", help="list only runs of this pipeline")
    parser.add_argument(
        "--limit", type=count, default=20, help="number of runs to list (default: 20)"
    )
    output_argument(parser)


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show-run``."""
    parser.add_argument("run", nargs="?", default="last", help="id of the run, or 'last'")
    output_argument(parser)


def log_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show-logs``."""
    parser.add_argument("run", help="id of the run, or 'last'")
    parser.add_argument("task", nargs="?", help="name of the task (default: all tasks)")
    parser.add_argument("--follow", action="store_true", help="print new lines until the task ends")


def cancel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cancel-run``."""
    parser.add_argument("run", help="id of the run, or 'last'")


def get_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``get-output``."""
    parser.add_argument("run", help="id of the run, or 'last'")
    parser.add_argument("task", help="name of the task")
    parser.add_argument(
        "name", nargs="?", metavar="OUTPUT", help="name of the output (default: all outputs)"
    )
    parser.add_argument(
        "--to", required=True, metavar="DIR", help="target folder, created if missing"
    )


def executor_of(record: RunRecord) -> Executor[Any]:
    """Return the executor of a run, with the site it was given."""
    asked = invocation.recorded(record)
    return executors.load(asked.executor, asked.options)


def _as_it_stands(run: runs.Run, silent: dict[tuple[str, str], str]) -> RunRecord:
    """Return a run's record, or the last known one if the engine does not answer.

    Args:
        run: the run.
        silent: engines that did not answer, with the reason. They are not asked again, because
            each attempt may take a minute. This function adds to it.
    """
    record = run.read()
    if runs.State(record["state"]).final:
        return record
    engine = record["executor"], record["invocation"]["profile"]
    reason = silent.get(engine, "")
    if not reason:
        try:
            return executor_of(record).poll(run)
        except SoundgateError as error:
            reason = f"as last known: {error}"
            if isinstance(error, ExecutorError) and error.may_pass:
                silent[engine] = reason
    return {**record, "reason": reason}


def _damaged(run: runs.Run, reason: str) -> dict[str, Any]:
    return {
        "run": run.id,
        "pipeline": run.pipeline,
        "executor": "",
        "state": "damaged",
        "duration_s": None,
        "reason": reason,
    }


def list_runs(args: argparse.Namespace) -> int:
    """List runs, newest first."""
    found: list[Mapping[str, Any]] = []
    silent: dict[tuple[str, str], str] = {}
    if args.pipeline:
        _check_pipeline(args.pipeline)
    for run in runs.all_runs(runs_root(), args.pipeline):
        if len(found) == args.limit:
            break
        try:
            found.append(_as_it_stands(run, silent))
        except ParameterError as error:  # one damaged record costs its own row
            found.append(_damaged(run, str(error)))
    if args.output == "json":
        kept = ("run", "pipeline", "state", "created_at", "duration_s", "executor", "reason")
        print(json.dumps([{k: r.get(k) for k in kept} for r in found], indent=1))
        return 0
    rows = [
        [r["run"], r["pipeline"], r["executor"], r["state"], duration(r["duration_s"]), r["reason"]]
        for r in found
    ]
    print_table([["run", "pipeline", "executor", "state", "time", "reason"], *rows])
    return 0


def _check_pipeline(name: str) -> None:
    """Refuse a pipeline that has no run and is not declared here: an empty list would mislead."""
    ran = {run.pipeline for run in runs.all_runs(runs_root())}
    known = sorted(ran | {path.stem for path in Path("pipelines").glob("[!_]*.py")})
    if name not in known:
        raise ParameterError(f"no pipeline {name!r}{nearest(name, known)}")


def show_run(args: argparse.Namespace) -> int:
    """Show one run: its tasks with their states, durations and reasons."""
    run = runs.find_run(runs_root(), args.run)
    record = run.read()
    if not runs.State(record["state"]).final:
        record = executor_of(record).poll(run)
    if args.output == "json":
        print(json.dumps(record, indent=1))
        return 0
    print(f"{record['pipeline']} {record['run']}  {record['state']}  {record['reason']}".rstrip())
    print(f"executor {record['executor']}, commit {record['commit']}, {run.folder}\n")
    rows = [
        [name, t["state"], duration(t["duration_s"]), t["reason"] or t["note"]]
        for name, t in record["tasks"].items()
    ]
    print_table([["task", "state", "time", ""], *rows])
    return 0


def show_logs(args: argparse.Namespace) -> int:
    """Print the log of one task or of all tasks."""
    run = runs.find_run(runs_root(), args.run)
    record = run.read()
    executor = executor_of(record)
    if args.task:
        _check_task(record, args.task)
    for name in [args.task] if args.task else list(record["tasks"]):
        if not args.task:
            print(f"--- {name}")
        _print_log(executor, run, name, follow=args.follow)
    return 0


def _print_log(executor: Executor[Any], run: runs.Run, name: str, *, follow: bool) -> None:
    """Print a task's log; with ``follow``, also new lines until the task or the run ends.

    Files on a shared file system are read every half second; the engine is polled less and less
    often.
    """
    shown, pace, files = 0, Pace(FOLLOW_LONGEST_S), executor.capabilities.shared_filesystem
    record = run.read()
    while follow and not _is_over(record, name):
        ask = pace.is_due() or (files and _is_over(run.read(), name))
        if ask:
            record = executor.poll(run)
        if (ask or files) and not _is_over(record, name):
            lines = [line for line in executor.logs(run, name) if line.endswith("\n")]
            print("".join(lines[shown:]), end="", flush=True)
            shown = len(lines)
        ended = files and runs.read_mark(run.task(name)) is not None
        pace.went_on(asked=ask, happened=ended)
        if not _is_over(record, name):
            time.sleep(FOLLOW_INTERVAL_S)
    print("".join(list(executor.logs(run, name))[shown:]), end="", flush=True)


def _is_over(record: RunRecord, task: str) -> bool:
    return any(runs.State(each["state"]).final for each in (record, record["tasks"][task]))


def cancel_run(args: argparse.Namespace) -> int:
    """Stop a run and everything it started."""
    run = runs.find_run(runs_root(), args.run)
    executor_of(run.read()).cancel(run)
    print(f"asked run {run.id} to stop")
    return 0


def get_output(args: argparse.Namespace) -> int:
    """Copy the outputs of a task to a folder on this machine."""
    run = runs.find_run(runs_root(), args.run)
    record = run.read()
    _check_task(record, args.task)
    executor = executor_of(record)
    asked = invocation.recorded(record)
    pipeline, _ = invocation.declare(asked, run.root, executor.parameter_defaults)
    known = pipeline.tasks[args.task].outputs
    if args.name and args.name not in known:
        raise ParameterError(f"{args.task} has no output {args.name!r}{nearest(args.name, known)}")
    for name in [args.name] if args.name else known:
        target = Path(args.to) if args.name else Path(args.to) / name
        if target.is_dir() and any(target.iterdir()):
            raise ParameterError(f"--to {target}: the folder is not empty; choose another one")
        with tempfile.TemporaryDirectory(dir=_made(target.parent), prefix=".get-output-") as part:
            executor.collect(run, args.task, name, Path(part))
            shutil.copytree(part, target, dirs_exist_ok=True)
        print(target)
    return 0


def collect_output(name: str, task: str, output: str, target: Path) -> None:
    """Copy one output of a task of the run ``name`` into ``target``, wherever it ran.

    Raises:
        ParameterError: there is no such run, task or output.
    """
    run = runs.find_run(runs_root(), name)
    record = run.read()
    _check_task(record, task)
    executor_of(record).collect(run, task, output, target)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _check_task(record: RunRecord, task: str) -> None:
    if task not in record["tasks"]:
        hint = nearest(task, record["tasks"])
        raise ParameterError(f"run {record['run']} has no task {task!r}{hint}")
