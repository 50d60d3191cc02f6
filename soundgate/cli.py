"""The command line: load, render, submit, wait, report.

``soundgate COMMAND`` holds every command; ``run-pipeline`` and the others are also programs of
their own, because users of SageMaker's project templates know them by these names.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import executors, invocation, parameters, runs
from soundgate.arguments import Parser
from soundgate.errors import ParameterError, SoundgateError, UserError, about_place, nearest
from soundgate.executors.base import Submission, initial_tasks
from soundgate.executors.display import duration
from soundgate.invocation import Invocation
from soundgate.mermaid import mermaid

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

RUNS_VARIABLE = "SOUNDGATE_RUNS"
FOLLOW_INTERVAL_S = 0.5
RECORDED = ("module_name", "config", "assignments", "kwargs", "executor", "description", "tags")
"""Options that a resumed run takes from its record."""
UNRUN = "RUN-ID"  # stands for a run's id where nothing is run


def _pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--module-name", metavar="MODULE", help="pipelines.aed, say")
    parser.add_argument(
        "--kwargs", help="parameters as a mapping: JSON first, a Python literal second"
    )
    parser.add_argument("--config", metavar="FILE", help="user config (YAML)")
    parser.add_argument(
        "--set",
        dest="assignments",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a parameter, or section.key of the user config; may be repeated",
    )
    parser.add_argument(
        "--executor", help=f"one of: {', '.join(executors.EXECUTORS)}; local where omitted"
    )
    parser.add_argument("--graph", action="store_true", help="print the graph (Mermaid) and end")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    _pipeline_arguments(parser)
    parser.add_argument("--role-arn", help="role that SageMaker assumes")
    parser.add_argument("--description", default="", help="what this run is for")
    parser.add_argument("--tags", help='[{"Key": ..., "Value": ...}]: JSON or a Python literal')
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and why")
    parser.add_argument("--resume", metavar="RUN", help="continue a run: its id, or 'last'")
    parser.add_argument("--no-wait", action="store_true", help="return once the run has started")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="cancel the run then")
    parser.add_argument("--no-cache", action="store_true", help="run every task")
    _output_argument(parser)


def _output_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", choices=("text", "json"), default="text")


def _definition_arguments(parser: argparse.ArgumentParser) -> None:
    _pipeline_arguments(parser)
    parser.add_argument("-f", "--file-name", help="write it there instead of printing it")


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pipeline", nargs="?", help="only runs of this pipeline")
    parser.add_argument("--limit", type=int, default=20, help="newest runs shown (20)")
    _output_argument(parser)


def _show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="last", help="a run's id, or 'last'")
    _output_argument(parser)


def _log_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's id, or 'last'")
    parser.add_argument("task", nargs="?", help="a task; all of them where omitted")
    parser.add_argument("--follow", action="store_true", help="go on until the task ends")


def _cancel_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="a run's id, or 'last'")


def _parameter_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--module-name", metavar="MODULE", required=True)


def _root() -> Path:
    return Path(os.environ.get(RUNS_VARIABLE) or "runs")


def _invocation(args: argparse.Namespace) -> Invocation:
    if not args.module_name:
        raise ParameterError("-n/--module-name is missing: name a pipeline, pipelines.aed say")
    return Invocation(
        module=args.module_name,
        executor=args.executor or "local",
        config=args.config,
        assignments=tuple(args.assignments),
        kwargs=parameters.parse_keywords(args.kwargs, "--kwargs") or {},
        description=getattr(args, "description", ""),
        tags=_tags(getattr(args, "tags", None)),
        role_arn=getattr(args, "role_arn", None),
    )


def _tags(text: str | None) -> list[dict[str, str]]:
    tags = parameters.parse_keywords(text, "--tags") or []
    if not isinstance(tags, list) or any(
        not isinstance(tag, dict) or set(tag) != {"Key", "Value"} for tag in tags
    ):
        raise ParameterError(f'--tags: expected [{{"Key": ..., "Value": ...}}], not {tags!r}')
    return tags


def _run_pipeline(args: argparse.Namespace) -> int:
    """Run a pipeline."""
    root = _root()
    if args.timeout is not None and not args.timeout > 0:
        raise ParameterError(f"--timeout {args.timeout:g}: expected more than 0 seconds")
    if args.resume:
        if any(getattr(args, name) for name in RECORDED):
            raise ParameterError("--resume takes everything from the run; pass nothing else")
        run = runs.find_run(root, args.resume)
        record = run.read()
        asked = invocation.recorded(record)
        pipeline, _ = invocation.declare(asked, run.root)
        record["tasks"] = {**initial_tasks(pipeline), **_kept(record, pipeline.tasks)}
    else:
        asked = _invocation(args)
        pipeline, values = invocation.declare(asked, root)
        if args.graph:
            print(mermaid(pipeline), end="")
            return 0
        run = runs.Run(root, pipeline.name, UNRUN if args.dry_run else runs.new_run_id())
        record = {} if args.dry_run else invocation.new_record(asked, pipeline, values, run)
    executor = executors.load(asked.executor)
    request = executor.render(pipeline, run)
    if args.dry_run:
        return _show_plan(executor.plan(pipeline, run, use_cache=not args.no_cache), request, args)
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "request.txt").write_text(str(request), "utf-8")
    if not args.resume:  # whoever holds a run writes its record
        run.write(record)
    submission = Submission(
        no_wait=args.no_wait,
        timeout_s=args.timeout,
        use_cache=not args.no_cache,
        quiet=args.output == "json",
    )
    record = executor.submit(pipeline, run, record, submission)
    return _report(run, record, args)


def _kept(record: dict[str, Any], tasks: Any) -> dict[str, Any]:
    return {name: task for name, task in record["tasks"].items() if name in tasks}


def _show_plan(plan: Sequence[Any], request: Any, args: argparse.Namespace) -> int:
    if args.output == "json":
        rows = [{"task": p.task, "action": p.action, "reason": p.reason} for p in plan]
        print(json.dumps({"plan": rows, "request": str(request)}, indent=1))
        return 0
    _print_table([["task", "would", "because"], *([p.task, p.action, p.reason] for p in plan)])
    print(f"\n{request}", end="")
    return 0


def _report(run: runs.Run, record: dict[str, Any], args: argparse.Namespace) -> int:
    state = record["state"]
    if args.output == "json":
        print(json.dumps(record, indent=1))
    elif args.no_wait:
        print(f"{record['pipeline']} {run.id} started; look with: show-run {run.id}")
    else:
        took = f" in {duration(record['duration_s'])}" if record.get("duration_s") else ""
        failed = [name for name, t in record["tasks"].items() if t["state"] == runs.State.FAILED]
        reason = ", ".join(failed) or record["reason"]  # why a task failed was said when it did
        reason = f": {reason}" if reason else ""
        print(f"{record['pipeline']} {run.id} {state}{took}{reason}\n{run.folder}")
        if state not in (runs.State.SUCCEEDED, runs.State.RUNNING):
            print(f"continue it with: run-pipeline --resume {run.id}")
    if state == runs.State.CANCELLED:
        return 128 + int(record.get("exit_signal") or 0)
    return 1 if state == runs.State.FAILED else 0


def _get_definition(args: argparse.Namespace) -> int:
    """Print exactly what would be sent to an engine."""
    asked = _invocation(args)
    pipeline, _ = invocation.declare(asked, _root())
    run = runs.Run(_root(), pipeline.name, UNRUN)
    executor = executors.load(asked.executor)
    text = mermaid(pipeline) if args.graph else str(executor.render(pipeline, run))
    if args.file_name:
        file = Path(args.file_name)
        if not file.parent.exists():
            raise ParameterError(f"--file-name {file}: there is no folder {file.parent}: make it")
        file.write_text(text, "utf-8")
    else:
        print(text, end="")
    return 0


def _list_runs(args: argparse.Namespace) -> int:
    """List runs, newest first."""
    found: list[dict[str, Any]] = []
    for run in runs.all_runs(_root(), args.pipeline):
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
    _print_table([["run", "pipeline", "executor", "state", "time", "reason"], *rows])
    return 0


def _show_run(args: argparse.Namespace) -> int:
    """Show one run: its tasks, times and reasons."""
    run = runs.find_run(_root(), args.run)
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
    _print_table([["task", "state", "time", ""], *rows])
    return 0


def _show_logs(args: argparse.Namespace) -> int:
    """Print the log of a task, or of all tasks."""
    run = runs.find_run(_root(), args.run)
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


def _cancel_run(args: argparse.Namespace) -> int:
    """Stop a run and everything it started."""
    run = runs.find_run(_root(), args.run)
    executors.load(run.read()["executor"]).cancel(run)
    print(f"asked run {run.id} to stop")
    return 0


def _show_parameters(args: argparse.Namespace) -> int:
    """List a pipeline's parameters with their defaults and meaning."""
    kind = parameters.parameter_type(invocation.load_module(args.module_name).get_pipeline)
    rows = [list(row) for row in parameters.describe(kind)] if kind else []
    _print_table([["parameter", "type", "default", "meaning"], *rows])
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        print("  ".join(f"{cell!s:{width}}" for cell, width in cells).rstrip())


COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[..., None]]] = {
    "run-pipeline": (_run_pipeline, _run_arguments),
    "get-pipeline-definition": (_get_definition, _definition_arguments),
    "list-runs": (_list_runs, _list_arguments),
    "show-run": (_show_run, _show_arguments),
    "show-logs": (_show_logs, _log_arguments),
    "cancel-run": (_cancel_run, _cancel_arguments),
    "show-parameters": (_show_parameters, _parameter_arguments),
}
"""Every command: what it does, and its arguments. The one place to add one."""


def _execute(command: str, args: argparse.Namespace) -> int:
    try:
        return COMMANDS[command][0](args)
    except SoundgateError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `show-logs last | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        line = about_place(error)
        if line is None:
            raise
        print(f"{command}: {line}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:  # `show-logs --follow` is ended this way
        return 128 + signal.SIGINT


def _program(command: str, argv: Sequence[str] | None = None) -> int:
    run, add_arguments = COMMANDS[command]
    parser = Parser(prog=command, description=run.__doc__)
    add_arguments(parser)
    return _execute(command, parser.parse_args(argv))


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``soundgate COMMAND ...``."""
    parser = Parser(prog="soundgate", description="Audio machine learning as code")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (run, add_arguments) in COMMANDS.items():
        add_arguments(commands.add_parser(name, help=run.__doc__, description=run.__doc__))
    args = parser.parse_args(argv)
    return _execute(args.command, args)


def run_pipeline() -> int:
    """``run-pipeline`` as a program."""
    return _program("run-pipeline")


def get_pipeline_definition() -> int:
    """``get-pipeline-definition`` as a program."""
    return _program("get-pipeline-definition")


def list_runs() -> int:
    """``list-runs`` as a program."""
    return _program("list-runs")


def show_run() -> int:
    """``show-run`` as a program."""
    return _program("show-run")


def show_logs() -> int:
    """``show-logs`` as a program."""
    return _program("show-logs")


def cancel_run() -> int:
    """``cancel-run`` as a program."""
    return _program("cancel-run")


if __name__ == "__main__":
    sys.exit(main())
