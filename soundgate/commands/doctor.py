"""The command that checks a machine, cluster or cloud account before a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from soundgate import executors
from soundgate.commands.output import output_argument, runs_root
from soundgate.executors.base import Options

if TYPE_CHECKING:
    import argparse


def doctor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``."""
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
    findings = executors.load(args.executor, Options(profile=args.profile)).examine(runs_root())
    shown = []
    for finding in findings:
        shown.append(asdict(finding))
        if args.output == "text":
            mark = "fix" if finding.fix else "ok"
            todo = f": {finding.fix}" if finding.fix else ""
            print(f"{mark:3}  {finding.what:20}  {finding.found}{todo}", flush=True)
    if args.output == "json":
        print(json.dumps(shown, indent=1))
    return 1 if any(each["fix"] for each in shown) else 0
