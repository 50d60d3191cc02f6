"""Commands that run: a pipeline, its definition, its parameters."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import executors, invocation, parameters, runs
from soundgate.commands.mermaid import mermaid
from soundgate.commands.output import output_argument, print_table, runs_root
from soundgate.errors import ParameterError
from soundgate.executors.base import Submission, initial_tasks, rendered
from soundgate.executors.display import duration
from soundgate.executors.reuse import require_files
from soundgate.invocation import Invocation
from soundgate.reuse import requirements
from soundgate.reuse.cache import Cache

if TYPE_CHECKING:
    import argparse
    from collections.abc import Container, Sequence

    from soundgate.executors.base import Executor
    from soundgate.pipeline import Pipeline
    from soundgate.run_record import RunRecord, TaskRecord

RECORDED = (
    "module_name",
    "config",
    "assignments",
    "kwargs",
    "executor",
    "profile",
    "description",
    "tags",
)
"""Options that a resumed run reads from its record."""
UNRUN = "RUN-ID"  # placeholder for the run's id where nothing is run


def _pipeline_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        "--module-name",
        metavar="MODULE",
        help="module of the pipeline, for example pipelines.aed",
    )
    # SageMaker's project templates write some options with one dash: those spellings work, too
    parser.add_argument(
        *("-kwargs", "--kwargs"), help="parameters as a mapping, in JSON or as a Python literal"
    )
    parser.add_argument("--config", metavar="FILE", help="user config (a YAML file)")
    parser.add_argument(
        "--set",
        dest="assignments",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter, or section.key of the user config; can be repeated",
    )
    parser.add_argument(
        "--executor",
        help=f"one of: {', '.join(executors.EXECUTORS)} (default: local; sagemaker with a role)",
    )
    parser.add_argument(
        "--profile", metavar="FILE", help="YAML file that describes the cluster or cloud account"
    )


def _graph_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--graph", action="store_true", help="print the graph as Mermaid text and exit"
    )


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run-pipeline``."""
    _pipeline_arguments(parser)
    _graph_argument(parser)
    parser.add_argument(
        *("-role-arn", "--role-arn"), help="IAM role that SageMaker assumes to start jobs"
    )
    parser.add_argument(
        *("-description", "--description"), default="", help="purpose of this run, recorded with it"
    )
    parser.add_argument(
        *("-tags", "--tags"),
        help='tags for the engine: [{"Key": ..., "Value": ...}], in JSON or Python',
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show which tasks would run and why, and start nothing",
    )
    parser.add_argument("--resume", metavar="RUN", help="continue this run: its id, or 'last'")
    parser.add_argument(
        "--no-wait", action="store_true", help="return as soon as the run has started"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="cancel the run after this many seconds"
    )
    parser.add_argument("--no-cache", action="store_true", help="run every task, reuse no result")
    output_argument(parser)


def definition_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``get-pipeline-definition``."""
    _pipeline_arguments(parser)
    _graph_argument(parser)
    parser.add_argument(
        "-f", "--file-name", help="write the definition to this file instead of printing it"
    )


def parameter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``show-parameters``."""
    _pipeline_arguments(parser)
    output_argument(parser)


def _invocation(args: argparse.Namespace) -> Invocation:
    if not args.module_name:
        raise ParameterError(
            "-n/--module-name is missing: name a pipeline, for example pipelines.aed"
        )
    return Invocation(
        module=args.module_name,
        executor=args.executor or _usual_executor(args),
        profile=args.profile or "",
        config=args.config,
        assignments=tuple(args.assignments),
        kwargs=parameters.parse_keywords(args.kwargs, "--kwargs") or {},
        description=getattr(args, "description", ""),
        tags=_tags(getattr(args, "tags", None)),
        role_arn=getattr(args, "role_arn", None),
    )


def _usual_executor(args: argparse.Namespace) -> str:
    """Return the executor of a call that names none: only SageMaker assumes a role.

    Project templates write ``run-pipeline --module-name ... --role-arn ...`` and nothing more; to
    run that on this machine would train on whatever lies here, and the build would pass.
    """
    return "sagemaker" if getattr(args, "role_arn", None) else "local"


def _executor(asked: Invocation) -> Executor[Any]:
    """Return the executor that was asked for; say which arguments mean nothing to it."""
    executor = executors.load(asked.executor, asked.options)
    unread = ["--role-arn"] if asked.role_arn else []
    unread += [f"{name} of --kwargs" for name in sorted(asked.options.keywords)]
    if unread and not executor.capabilities.reads_keywords:
        listed = ", ".join(unread)
        print(f"no effect with --executor {asked.executor}: {listed}", file=sys.stderr)
    return executor


def _tags(text: str | None) -> list[dict[str, str]]:
    tags = parameters.parse_keywords(text, "--tags") or []
    if not isinstance(tags, list) or any(
        not isinstance(tag, dict) or set(tag) != {"Key", "Value"} for tag in tags
    ):
        raise ParameterError(f'--tags: expected [{{"Key": ..., "Value": ...}}], got {tags!r}')
    return tags


def run_pipeline(args: argparse.Namespace) -> int:
    """Run a pipeline."""
    root = runs_root()
    if args.timeout is not None and not args.timeout > 0:
        raise ParameterError(f"--timeout must be more than 0 seconds, got {args.timeout:g}")
    if args.resume:
        run, record, executor, pipeline = _resumed(args, root)
    else:
        asked = _invocation(args)
        executor = _executor(asked)
        pipeline, values = invocation.declare(asked, root, executor.parameter_defaults)
        if args.graph:
            print(mermaid(pipeline), end="")
            return 0
        run = runs.Run(root, pipeline.name, UNRUN if args.dry_run else runs.new_run_id(root))
    if executor.capabilities.runs_here:
        modules = [task.module for task in pipeline.tasks.values()]
        requirements.require(modules, Cache(root).sources)
    require_files(pipeline)  # before the folder is made: a run that cannot start leaves none
    request, plan = rendered(executor, pipeline, run, use_cache=not args.no_cache)
    if args.dry_run:
        plan = plan or executor.plan(pipeline, run, use_cache=not args.no_cache)
        return _show_plan(plan, request, args)
    run.folder.mkdir(parents=True, exist_ok=True)
    if not args.resume:  # a resumed run may still be held, and only its holder writes the record
        record = invocation.new_record(asked, pipeline, values, run)
        run.write(record)
    submission = Submission(
        no_wait=args.no_wait, timeout_s=args.timeout, quiet=args.output == "json"
    )
    record = executor.submit(request, run, record, submission)
    return _report(run, record, args)


def _resumed(
    args: argparse.Namespace, root: Path
) -> tuple[runs.Run, RunRecord, Executor[Any], Pipeline]:
    """Return an earlier run with the executor and the pipeline that it was started with."""
    if any(getattr(args, name) for name in RECORDED):
        raise ParameterError(
            "--resume uses the options of the earlier run: remove the other options"
        )
    run = runs.find_run(root, args.resume)
    record = run.read()
    asked = invocation.recorded(record)
    invocation.require_whole(asked, run.id)
    executor = executors.load(asked.executor, asked.options)
    pipeline, _ = invocation.declare(asked, run.root, executor.parameter_defaults)
    record["tasks"] = {**initial_tasks(pipeline), **_kept(record, pipeline.tasks)}
    return run, record, executor, pipeline


def _kept(record: RunRecord, tasks: Container[str]) -> dict[str, TaskRecord]:
    return {name: task for name, task in record["tasks"].items() if name in tasks}


def _show_plan(plan: Sequence[Any], request: Any, args: argparse.Namespace) -> int:
    if args.output == "json":
        rows = [{"task": p.task, "action": p.action, "reason": p.reason} for p in plan]
        print(json.dumps({"plan": rows, "request": str(request)}, indent=1))
        return 0
    print_table([["task", "action", "reason"], *([p.task, p.action, p.reason] for p in plan)])
    print(f"\n{request}", end="")
    return 0


def _report(run: runs.Run, record: RunRecord, args: argparse.Namespace) -> int:
    state = record["state"]
    if args.output == "json":
        print(json.dumps(record, indent=1))
    elif args.no_wait:
        print(f"{record['pipeline']} {run.id} started; watch it with: show-run {run.id}")
    else:
        took = f" in {duration(record['duration_s'])}" if record.get("duration_s") else ""
        failed = [name for name, t in record["tasks"].items() if t["state"] == runs.State.FAILED]
        reason = ", ".join(failed) or record["reason"]  # a task's own reason was printed earlier
        reason = f": {reason}" if reason else ""
        print(f"{record['pipeline']} {run.id} {state}{took}{reason}\n{run.folder}")
        if state not in (runs.State.SUCCEEDED, runs.State.RUNNING):
            print(f"continue it with: run-pipeline --resume {run.id}")
    if state == runs.State.CANCELLED:
        return 128 + int(record.get("exit_signal") or 0)
    return 1 if state == runs.State.FAILED else 0


def get_definition(args: argparse.Namespace) -> int:
    """Print exactly what would be sent to the engine."""
    asked = _invocation(args)
    executor = _executor(asked)
    pipeline, _ = invocation.declare(asked, runs_root(), executor.parameter_defaults)
    run = runs.Run(runs_root(), pipeline.name, UNRUN)
    text = mermaid(pipeline) if args.graph else str(executor.render(pipeline, run))
    if args.file_name:
        file = Path(args.file_name)
        if not file.parent.exists():
            raise ParameterError(
                f"--file-name {file}: folder {file.parent} does not exist: create it"
            )
        file.write_text(text, "utf-8")
    else:
        print(text, end="")
    return 0


def show_parameters(args: argparse.Namespace) -> int:
    """List a pipeline's parameters: type, value, what set it, and meaning."""
    asked = _invocation(args)
    kind = parameters.parameter_type(invocation.load_module(asked.module).get_pipeline)
    rows = _parameter_rows(asked, kind) if kind else []
    if args.output == "json":
        print(json.dumps(rows, indent=1))
        return 0
    shown = ("parameter", "type", "value", "from", "meaning")
    print_table([shown, *([row[column] for column in shown] for row in rows)])
    return 0


def _parameter_rows(asked: Invocation, kind: type) -> list[dict[str, str]]:
    defaults = executors.load(asked.executor, asked.options).parameter_defaults
    loaded = invocation.resolve(asked, kind, defaults)
    spelled = {name: parameters.spelled(value) for name, value in loaded.values.items()}
    return [
        {
            "parameter": each.name,
            "type": each.type,
            "value": spelled.get(each.name, each.default),
            "from": loaded.origins.get(each.name, "default"),
            "meaning": each.meaning,
            "group": each.group,
        }
        for each in parameters.describe(kind)
    ]
