"""Commands for reviewers: list and show candidates, approve, reject, roll back a release."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from soundgate.commands.output import count, output_argument, runs_root
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    import argparse
    from types import FrameType

    from soundgate.registry.notifications.hooks import Event
    from soundgate.registry.review.decisions import Entry
    from soundgate.registry.review.session import ReviewSession

MODEL = "aed"
CANDIDATE = "candidate"


def _place_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model-name", default=MODEL, metavar="NAME", help=f"name of the model (default: {MODEL})"
    )
    parser.add_argument(
        "--registry",
        metavar="URI",
        help="MLflow registry (default: MLFLOW_TRACKING_URI, or mlflow.db in the runs folder)",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="where decisions are recorded: a folder or s3://bucket/prefix (default: runs/store)",
    )
    output_argument(parser)


def _decision_arguments(parser: argparse.ArgumentParser) -> None:
    _place_arguments(parser)
    parser.add_argument(
        "--comment", metavar="TEXT", help="reason for the decision (default: prompt for it)"
    )
    parser.add_argument(
        "--reviewer",
        metavar="NAME",
        help="name of the reviewer (default: MLFLOW_TRACKING_USERNAME, or the login name)",
    )
    parser.add_argument(
        "--hook",
        metavar="COMMAND",
        help="command that receives the decision as JSON on standard input "
        "(default: SOUNDGATE_REVIEW_HOOK)",
    )


def list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model list``."""
    parser.add_argument(
        "--limit", type=count, default=20, help="number of candidates to list (default: 20)"
    )
    _place_arguments(parser)


def show_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model show``."""
    parser.add_argument(
        "version",
        nargs="?",
        default=CANDIDATE,
        help="number, alias or run of the candidate (default: the newest)",
    )
    _place_arguments(parser)


def approve_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model approve``."""
    parser.add_argument("version", help="number, alias or run of the candidate")
    parser.add_argument(
        "--override",
        action="store_true",
        help="approve it even though it missed a gate or was rejected",
    )
    parser.add_argument(
        "--accept-changes",
        action="store_true",
        help="approve it even though classes of the champion are lost or renamed, or it was not "
        "compared with the champion on the same test clips",
    )
    _decision_arguments(parser)


def reject_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model reject``."""
    parser.add_argument("version", help="number, alias or run of the candidate")
    _decision_arguments(parser)


def rollback_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model rollback``."""
    parser.add_argument(
        "--to", metavar="VERSION", help="version of the model (default: the previous champion)"
    )
    parser.add_argument(
        "--override", action="store_true", help="release it even though its candidate was rejected"
    )
    _decision_arguments(parser)


def listen_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-model listen``."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument(
        "--command",
        dest="hook",
        required=True,
        metavar="COMMAND",
        help="command that receives each event as JSON on standard input",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="maximum age of a delivery, seconds (default: 300)",
    )


def list_candidates(args: argparse.Namespace) -> int:
    """List candidates, those awaiting review first, and the champion."""
    from soundgate.registry.review.overview import overview

    found = overview(_session(args), args.limit)
    if args.output == "json":
        print(json.dumps(asdict(found), indent=1, ensure_ascii=False))
    else:
        from soundgate.commands.review_text import overview_text

        print(overview_text(found))
    return 0


def show_candidate(args: argparse.Namespace) -> int:
    """Show one candidate: gates, metrics, history and the path of its report."""
    from soundgate.registry.review.overview import candidate_details

    found = candidate_details(_session(args), args.version)
    if args.output == "json":
        print(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
    else:
        from soundgate.commands.review_text import details_text

        print(details_text(found))
    return 0


def approve_candidate(args: argparse.Namespace) -> int:
    """Release a candidate as the champion; the current champion becomes previous."""
    entry = _session(args).approve(
        args.version, override=args.override, accept_changes=args.accept_changes
    )
    return _told(entry, args)


def reject_candidate(args: argparse.Namespace) -> int:
    """Reject a candidate."""
    return _told(_session(args).reject(args.version), args)


def roll_back(args: argparse.Namespace) -> int:
    """Make the previous champion, or another released version, the champion again."""
    return _told(_session(args).roll_back(args.to, override=args.override), args)


def listen(args: argparse.Namespace) -> int:
    """Receive MLflow webhooks signed with SOUNDGATE_WEBHOOK_SECRET; run a command for each."""
    from soundgate.registry.notifications import hooks, webhooks

    secret = os.environ.get(webhooks.SECRET_VARIABLE)
    if not secret:
        raise ParameterError(
            f"{webhooks.SECRET_VARIABLE} is not set: set it to the secret of the webhook"
        )
    if not 0 < args.tolerance < math.inf:  # an unlimited age would allow replayed deliveries
        raise ParameterError(f"--tolerance must be more than 0 seconds, got {args.tolerance}")
    command = hooks.parse_command(args.hook, "--command")
    try:
        receiver = webhooks.Receiver(
            (args.host, args.port),
            secret,
            command,
            tolerance_s=args.tolerance,
            say=webhooks.tell,
        )
    except (OSError, OverflowError) as error:
        raise ParameterError(f"cannot listen on {args.host}:{args.port}: {error}") from error
    signal.signal(signal.SIGTERM, _interrupt)
    webhooks.tell(f"listening on http://{args.host}:{receiver.server_port}")
    with receiver:
        receiver.serve_forever()
    return 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def _session(args: argparse.Namespace) -> ReviewSession:
    import getpass

    from soundgate.registry.review.decisions import DecisionLog
    from soundgate.registry.review.session import ReviewSession
    from soundgate.registry.service.connection import Registry, tracking_uri
    from soundgate.store import open_store

    root = runs_root()
    account = os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    return ReviewSession(
        registry=Registry(args.registry or tracking_uri(root)),
        log=DecisionLog(open_store(args.store or str(root / "store")), args.model_name),
        by=getattr(args, "reviewer", None) or account,
        account=account,
        comment=lambda: _comment(args.comment),
    )


def _comment(given: str | None) -> str:
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise ParameterError("--comment is missing: give the reason for the decision")
    try:
        return input("reason: ")
    except EOFError:
        raise ParameterError("no comment was given; no decision was made") from None


def _told(entry: Entry, args: argparse.Namespace) -> int:
    """Print the decision, then call the hook; a failing hook does not undo the decision."""
    from soundgate.commands.review_text import decision_text
    from soundgate.registry.notifications import hooks

    event = _event(entry)
    if args.output == "json":
        print(json.dumps(event.as_json(), indent=1, ensure_ascii=False), flush=True)
    else:
        print(decision_text(entry), flush=True)
    text = args.hook or os.environ.get(hooks.HOOK_VARIABLE)
    if text:
        try:
            failure = hooks.call(hooks.parse_command(text, "--hook"), event)
        except ParameterError as error:
            failure = str(error)
        if failure:
            print(f"review-model: {failure}; the decision remains valid", file=sys.stderr)
    return 0


def _event(entry: Entry) -> Event:
    from soundgate.registry.notifications.hooks import Event

    decision, outcome = entry.decision, entry.outcome
    return Event(
        event=f"review.{decision.verdict}",
        model=decision.model,
        version=(outcome.champion if outcome else None) or "",
        alias="" if decision.verdict == "reject" else "champion",
        at=decision.at,
        details={"decision": asdict(decision), "outcome": asdict(outcome) if outcome else None},
    )
