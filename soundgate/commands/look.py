"""Commands that look at runs, follow them and stop them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from soundgate import executors, runs
from soundgate.commands.output import count, output_argument, print_table, runs_root
from soundgate.errors import ParameterError, nearest
from soundgate.executors.display import duration

if TYPE_CHECKING:
    import argparse

FOLLOW_INTERVAL_S = 0.5


def list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``list-runs``."""
    parser.add_argument("pipeline", nargs="?", help="only runs of this pipeline")
    parser.add_argument("--limit", type=count, default=20, help="newest runs shown (20)")
    output_argument(parser)


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show-run``."""
    parser.add_argument("run", nargs="?", default="last", help="a run's id, or 'last'")
    output_argument(parser)


def log_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show-logs``."""
    parser.add_argument("run", help="a run's id, or 'last'")
    parser.add_argument("task", nargs="?", help="a task; all of them where omitted")
    parser.add_argument("--follow", action="store_true", help="go on until the task ends")


def cancel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``cancel-run``."""
    parser.add_argument("run", help="a run's id, or 'last'")


def list_runs(args: argparse.Namespace) -> int:
    """List runs, newest first."""
    found: list[dict[str, Any]] = []
    for run in runs.all_runs(runs_root(), args.pipeline):
        if len(found) == args.limit:
            break
        found.append(executors.load(run.read()["executor"]).poll(run))
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


def show_run(args: argparse.Namespace) -> int:
    """Show one run: its tasks, times and reasons."""
    run = runs.find_run(runs_root(), args.run)
    record = executors.load(run.read()["executor"]).poll(run)
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
    """Print the log of a task, or of all tasks."""
    run = runs.find_run(runs_root(), args.run)
    record = run.read()
    executor = executors.load(record["executor"])
    if args.task and args.task not in record["tasks"]:
        hint = nearest(args.task, record["tasks"])
        raise ParameterError(f"run {run.id} has no task {args.task!r}{hint}")
    for name in [args.task] if args.task else list(record["tasks"]):
        if not args.task:
            print(f"--- {name}")
        shown = 0
        while True:
            now = executor.poll(run)
            ended = any(runs.State(r["state"]).final for r in (now, now["tasks"][name]))
            for number, line in enumerate(executor.logs(run, name)):
                if number >= shown:
                    print(line, end="", flush=True)
                    shown += 1
            if ended or not args.follow:
                break
            time.sleep(FOLLOW_INTERVAL_S)
    return 0


def cancel_run(args: argparse.Namespace) -> int:
    """Stop a run and everything it started."""
    run = runs.find_run(runs_root(), args.run)
    executors.load(run.read()["executor"]).cancel(run)
    print(f"asked run {run.id} to stop")
    return 0
