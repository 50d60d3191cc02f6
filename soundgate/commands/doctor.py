"""The command that looks at a site before anything is run there."""

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
        "--executor", default="local", help=f"one of: {', '.join(executors.EXECUTORS)}"
    )
    parser.add_argument("--profile", metavar="FILE", default="", help="describes the site")
    output_argument(parser)


def doctor(args: argparse.Namespace) -> int:
    """Look for what could keep a run from working, and say what to mend."""
    findings = executors.load(args.executor, Options(profile=args.profile)).examine(runs_root())
    shown = []
    for finding in findings:
        shown.append(asdict(finding))
        if args.output == "text":
            mark = "mend" if finding.fix else "ok"
            todo = f": {finding.fix}" if finding.fix else ""
            print(f"{mark:4}  {finding.what:20}  {finding.found}{todo}", flush=True)
    if args.output == "json":
        print(json.dumps(shown, indent=1))
    return 1 if any(each["fix"] for each in shown) else 0
