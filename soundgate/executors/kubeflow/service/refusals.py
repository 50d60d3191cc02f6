"""What Kubeflow's API server, or the network before it, says when something was not done."""

from __future__ import annotations

import json
from typing import Any

from soundgate.errors import ExecutorError

BROKEN = 500
"""Answers from here on are the server's own trouble."""


class KubeflowRefused(ExecutorError):
    """The API server did not do what it was asked, or its answer never came."""

    def __init__(self, text: str, *, status: int = 0, absent: bool = False) -> None:
        """Keep what follows from it.

        Args:
            text: one line.
            status: of the answer; 0: there was none.
            absent: what was asked for is not there, says Kubeflow itself.
        """
        super().__init__(text)
        self.status, self.absent = status, absent

    @property
    def may_be_done(self) -> bool:
        """Whether what was asked may have been done all the same."""
        return not self.status or self.status >= BROKEN


def answer_of(error: Any) -> dict[str, Any]:
    """Return what the server answered, where it is a JSON object."""
    try:
        told = json.loads(getattr(error, "body", None) or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def said(error: Any) -> str:
    """Return what the server wrote, in one line."""
    told, body = answer_of(error), getattr(error, "body", None)
    text = told.get("error") or told.get("message") or ""
    text = text.get("message", "") if isinstance(text, dict) else text
    if not told:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    text = str(text) or str(getattr(error, "reason", "") or error)
    return " ".join(text.split())[:300]


def innermost(error: BaseException) -> str:
    """Return the cause that a person can do something about."""
    while inner := [e for e in (getattr(error, "reason", None), *error.args) if _is_error(e)]:
        error = inner[0]
    text = " ".join(str(error).split())
    return text.rpartition(": ")[2] or type(error).__name__


def _is_error(value: object) -> bool:
    return isinstance(value, BaseException)
