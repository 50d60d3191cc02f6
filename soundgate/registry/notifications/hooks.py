"""A command that is told what happened to a model: the event as JSON on its standard input."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIME_LIMIT_S = 60.0
HOOK_VARIABLE = "SOUNDGATE_REVIEW_HOOK"
LAST_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a model; texts are empty where there is no such thing."""

    event: str
    """``review.approve``, or MLflow's name, ``model_version_alias.created``."""
    model: str
    version: str
    alias: str
    at: str
    """When, as its source says it."""
    details: Mapping[str, object]
    """What else its source says: a decision and its outcome, or all that MLflow sent."""

    def as_json(self) -> dict[str, object]:
        """The object that a hook reads: the details stand beside the other fields."""
        fields = asdict(self)
        details = fields.pop("details")
        return {**fields, **details}


def parse_command(text: str, option: str) -> list[str]:
    """Split a command into its arguments, as a shell would; no shell runs it.

    Raises:
        ParameterError: it is empty, or a quote is not closed.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ParameterError(f"{option} {text!r}: {error}") from error
    if not words:
        raise ParameterError(f"{option} is empty: give a command")
    return words


def call(command: list[str], event: Event, limit_s: float = TIME_LIMIT_S) -> str:
    """Run a hook to its end; returns why it failed, empty where it did not.

    Args:
        command: the argument vector.
        event: what happened; the hook reads it as one line of JSON.
        limit_s: seconds after which the hook is killed.
    """
    try:
        ended = subprocess.run(
            command,
            input=json.dumps(event.as_json(), ensure_ascii=False) + "\n",
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # neither what it says nor a name in the event may stop its caller
            check=False,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired:
        return f"hook {command[0]!r} was killed: it took more than {limit_s:g} s"
    except OSError as error:
        return f"hook {command[0]!r} cannot be run: {error.strerror}"
    if ended.returncode == 0:
        return ""
    said = " / ".join((ended.stderr or ended.stdout).strip().splitlines()[-LAST_LINES:])
    return f"hook {command[0]!r} ended with exit code {ended.returncode}: {said}".rstrip(": ")
