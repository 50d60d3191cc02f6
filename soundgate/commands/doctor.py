"""The command that checks a machine, cluster or cloud account before a run."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import executors, invocation
from soundgate.commands.output import output_argument, runs_root
from soundgate.executors.base import Finding, Options
from soundgate.reuse import requirements
from soundgate.reuse.cache import Cache

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from soundgate.executors.base import Executor


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
    parser.add_argument(
        "-n",
        "--module-name",
        metavar="MODULE",
        help="pipeline whose steps' libraries are looked for (default: every step in steps/)",
    )
    parser.add_argument(
        "--executor",
        default="local",
        help=f"one of: {', '.join(executors.EXECUTORS)} (default: local)",
    )
    parser.add_argument(
        "--profile", metavar="FILE", default="", help="YAML file that describes the site"
    )
    output_argument(parser)


def doctor(args: argparse.Namespace) -> int:
    """Check everything a run needs, report problems and how to fix them."""
    executor = executors.load(args.executor, Options(profile=args.profile))
    shown = []
    for finding in _findings(executor, args.module_name):
        shown.append(asdict(finding))
        if args.output == "text":
            mark = "fix" if finding.fix else "ok"
            todo = f": {finding.fix}" if finding.fix else ""
            print(f"{mark:3}  {finding.what:20}  {finding.found}{todo}", flush=True)
    if args.output == "json":
        print(json.dumps(shown, indent=1))
    return 1 if any(each["fix"] for each in shown) else 0


def _findings(executor: Executor[Any], module: str | None) -> Iterator[Finding]:
    """Yield what the executor finds at its site, and what this interpreter lacks."""
    yield from executor.examine(runs_root())
    if not executor.capabilities.runs_here:
        return
    missing = requirements.find(_step_modules(module), Cache(runs_root()).sources)
    if missing.libraries:
        yield Finding("libraries", f"missing: {', '.join(missing.libraries)}", missing.command)
    else:
        yield Finding("libraries", "every library that the steps import is installed")


def _step_modules(pipeline: str | None) -> list[str]:
    """Return the steps of a pipeline, or all of the project in the current folder."""
    if pipeline:
        invocation.load_module(pipeline)
        return sorted(name for name in sys.modules if name.startswith("steps."))
    return sorted(f"steps.{path.stem}" for path in Path("steps").glob("[!_]*.py"))
