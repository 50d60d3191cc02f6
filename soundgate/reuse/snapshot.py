"""What a task could have read, before and after it ran.

A key says what a result was made of. It is true only where nothing of that changed while the task
ran: a file that was edited under way, and put back later, would lead to the edited file's result.
So every file is looked at when the task starts and when it ends, and a result between which
something changed is not remembered under its key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soundgate.errors import DataError
from soundgate.reuse.digests import Stamp, scan
from soundgate.task import File, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from soundgate.reuse.sources import Program, Sources
    from soundgate.task import Task

Stamps = tuple[tuple[str, Stamp], ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a task at one moment."""

    program: Program
    inputs: Mapping[str, tuple[Stamps, ...]]
    """Files by argument."""

    def difference(self, later: Snapshot) -> str:
        """Return what changed up to ``later``, by name; empty where nothing did."""
        names = {**self.program.modules, **later.program.modules}
        old, new = self.program.modules, later.program.modules
        changed = [name for name in names if old.get(name) != new.get(name)]
        if not changed:  # edited and put back: it may have been read in between
            paths = {**self.program.files, **later.program.files}
            old_files, new_files = self.program.files, later.program.files
            changed = [path for path in paths if old_files.get(path) != new_files.get(path)]
        if changed:
            return f"program changed: {', '.join(changed)}"
        inputs = [name for name in self.inputs if self.inputs[name] != later.inputs.get(name)]
        return f"input changed: {', '.join(inputs)}" if inputs else ""


def take(task: Task, sources: Sources, folder_of: Callable[[Output], Path]) -> Snapshot:
    """Look at everything a task reads: its program, its files, the outputs of other tasks.

    Args:
        task: the task.
        sources: what programs are made of.
        folder_of: where an output of another task lies.
    """
    inputs = {
        name: tuple(_stamps(item, folder_of) for item in items)
        for name, items in task.inputs.items()
    }
    return Snapshot(sources.program(task.module, afresh=True), inputs)


def _stamps(item: Output | File, folder_of: Callable[[Output], Path]) -> Stamps:
    if isinstance(item, File) and item.path is None:
        return ()
    if isinstance(item, File) and item.text is not None:
        return ()
    try:
        if isinstance(item, Output):
            # other runs may hard-link it meanwhile, which changes ctime and no byte
            return tuple((n, replace(s, ctime_ns=0)) for n, s in scan(folder_of(item)))
        assert item.path is not None
        return tuple(scan(item.path))
    except (OSError, DataError):
        return (("", Stamp(-1, -1)),)  # it went away, which is a change
