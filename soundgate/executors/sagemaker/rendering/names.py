"""Names of steps: those of tasks and of the steps added for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Collection

MOST_CHARACTERS = 64
MISSED, VERDICT, PACKAGE, GATHER = "missed", "verdict", "package", "gather"
"""Suffixes added to a task's name: its fail step, its verdict job, its model package, and the
numbered jobs that gather its inputs."""
ADDED = re.compile(rf"-(?:{MISSED}|{VERDICT}|{PACKAGE}|{GATHER}-\d+)$")


def step_name(task: str, added: str, taken: Collection[str]) -> str:
    """Return a unique name of allowed length for a step that is added for a task.

    >>> step_name("gate", "missed", {"gate"})
    'gate-missed'
    """
    wanted = f"{task}-{added}"
    return _digested(task, added) if len(wanted) > MOST_CHARACTERS or wanted in taken else wanted


def owner_of(step: str, tasks: Collection[str]) -> str | None:
    """Return the task that a step belongs to, or None.

    >>> owner_of("gate-clip-missed", ["gate", "gate-clip", "train"])
    'gate-clip'
    """
    if step in tasks:
        return step
    ending = ADDED.search(step)
    if ending is None:
        return None
    added = ending[0].removeprefix("-")
    digested = (task for task in tasks if _digested(task, added) == step)
    owner = step[: ending.start()]
    return next(digested, owner if owner in tasks else None)


def _digested(task: str, added: str) -> str:
    """Return a name with a digest, for when the plain one is too long or already a task's."""
    digest = digest_text(task, added)[:8]
    room = MOST_CHARACTERS - len(digest) - len(added) - 2
    return f"{task[:room]}-{digest}-{added}"
