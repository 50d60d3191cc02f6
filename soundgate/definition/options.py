"""What is said of a task besides its arguments: resources, retries, order and the like."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.arguments import interface
from soundgate.definition.axes import MappedTask
from soundgate.errors import DefinitionError
from soundgate.task import File, LogMetric, Resources, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.arguments import Argument, StepFunction

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
OPTIONS: dict[str, tuple[type, str]] = {
    "resources": (Resources, "Resources(...)"),
    "needs_network": (bool, "True or False"),
    "retries": (int, "a whole number"),
    "reuse": (bool, "True or False"),
    "environment": (tuple, "a list of names of variables"),
    "display_name": (str, "a text"),
    "names_run": (bool, "True or False"),
    "log_metrics": (tuple, "a list of LogMetric(...)"),
}
"""What ``add`` and ``map`` take to say of a task, and how errors name what each of them takes."""
RESERVED = ("function", "name", "over", "after", *OPTIONS)
"""What ``add`` and ``map`` take for themselves; a step cannot have arguments of these names."""


def step_interface(label: str, function: StepFunction) -> Mapping[str, Argument]:
    """Return a step's interface; refuse arguments that could not be passed.

    Raises:
        DefinitionError: ``add`` and ``map`` take an argument of such a name for themselves.
    """
    known = interface(function)
    if taken := [word for word in known if word in RESERVED]:
        raise DefinitionError(
            f"task {label!r}: add() has a meaning of its own for {', '.join(taken)}; "
            "rename these arguments of the step"
        )
    return known


def options_of(label: str, given: dict[str, Any]) -> dict[str, Any]:
    """Check what is said of a task besides its arguments.

    Raises:
        DefinitionError: a value of another type.
    """
    found = {}
    for name, passed in given.items():
        if name not in OPTIONS:
            raise DefinitionError(f"task {label!r}: {name} cannot be passed here")
        kind, takes = OPTIONS[name]
        value = tuple(passed) if kind is tuple and isinstance(passed, list) else passed
        fits = isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
        holds = LogMetric if name == "log_metrics" else str
        if not fits or (kind is tuple and not all(isinstance(word, holds) for word in value)):
            raise DefinitionError(f"task {label!r}: {name} takes {takes}, not {value!r}")
        if name == "retries" and int(passed) < 0:
            raise DefinitionError(f"task {label!r}: retries must be 0 or more, got {value}")
        found[name] = value
    return found


def tasks_after(task: str, after: Any) -> tuple[str, ...]:
    """Return the names of the tasks in an ``after=`` list; of a map, all of its tasks."""
    listed = isinstance(after, (list, tuple))
    if not listed or not all(isinstance(each, (Task, MappedTask)) for each in after):
        raise DefinitionError(f"task {task!r}: after takes a list of tasks, not {after!r}")
    tasks = [t for each in after for t in getattr(each, "tasks", (each,))]
    return tuple(t.name for t in tasks)


def check_name(kind: str, name: str) -> None:
    """Refuse a name that cannot be a folder and an engine's identifier."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise DefinitionError(
            f"{kind} name {name!r}: a letter, then at most 62 letters, digits, '-' or '_'"
        )


def file_of(path: Path | str | File, name: str | None) -> File:
    """Make an artifact of a path, called ``name`` or as the path is.

    Raises:
        DefinitionError: there is no path, or no name in it.
    """
    if isinstance(path, File):
        return path
    if not (isinstance(path, (str, Path)) and str(path)):
        raise DefinitionError(f"file({path!r}): pass the path of a file or folder")
    label = Path(path).name if name is None else name
    if label in ("", ".", "..") or "/" in label:
        raise DefinitionError(f"file({str(path)!r}, name={name!r}): pass a name without '/'")
    return File(label, Path(path))
