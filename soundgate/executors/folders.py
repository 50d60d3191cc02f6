"""Where a run's artifacts lie on a file system that tasks share, and who may work on the run."""

from __future__ import annotations

import fcntl
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.executors import leftovers
from soundgate.executors.base import argument_vector
from soundgate.executors.leftovers import Hold, Holder
from soundgate.reuse.digests import digest_text
from soundgate.task import File, Output
from soundgate.text.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from soundgate.runs import Run
    from soundgate.task import Task


def location(run: Run, item: Output | File) -> str:
    """Return where an artifact a task reads lies."""
    if isinstance(item, Output):
        return str(run.task(item.task) / item.name)
    return str(item.path) if item.text is None else str(run.inputs / input_name(item))


def input_name(file: File) -> str:
    """Return a file's path below ``inputs/``; its digest keeps two of one name apart."""
    return f"{digest_text(file.name, file.text or '')[:12]}/{file.name}"


def write_inputs(run: Run, items: Iterable[Output | File]) -> None:
    """Write the files whose content was made when the pipeline was declared."""
    for item in items:
        if isinstance(item, File) and item.text is not None:
            path = run.inputs / input_name(item)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(item.text, "utf-8")


def command_of(task: Task, run: Run) -> list[str]:
    """Return a task's argument vector with the run's paths."""
    folder = run.task(task.name)
    return argument_vector(
        task,
        location=lambda item: location(run, item),
        output=lambda name: str(folder / name),
        checkpoint=str(folder / runs.CHECKPOINTS),
    )


def keep_request(run: Run, request: object) -> None:
    """Write what is sent beside the run's record, as it is printed: with passwords masked."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "request.txt").write_text(masked(str(request)), "utf-8")


def collect(run: Run, task: str, output: str, target: Path) -> None:
    """Copy what a task wrote below ``target``.

    Raises:
        ParameterError: it wrote nothing yet.
    """
    mark = runs.read_mark(run.task(task))
    folder = run.task(task) / output
    if mark is None or output not in mark["outputs"] or not folder.is_dir():
        raise ParameterError(f"run {run.id}: {task} has not written {output} yet")
    shutil.copytree(folder, target, dirs_exist_ok=True)


@contextmanager
def lock(run: Run) -> Iterator[Hold]:
    """Hold a run, so that two runners never work on it; end what a killed runner left first.

    The processes of a runner hold the run as well, so it stays held until the last has ended.

    Raises:
        ParameterError: another process holds it, or one that a killed runner left does not end.
    """
    path = run.folder / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = run.folder.resolve()
    with path.open("a+") as file:
        if not _locked(file):
            holder = _holder(file)
            if holder is None or holder.lives:
                raise ParameterError(f"run {run.id} is being run by another process")
            _end_leftovers(run, folder)
            if not _locked(file):
                raise ParameterError(f"run {run.id}: {_UNENDED}")
        if _holder(file) is not None:  # not the first to hold it
            _end_leftovers(run, folder)
        file.truncate(0)
        file.write(str(Holder.this()))
        file.flush()
        yield Hold(folder, file.fileno())


_UNENDED = "a process of its killed runner has not ended yet; resume it later"


def _end_leftovers(run: Run, folder: Path) -> None:
    left = leftovers.end(folder)
    if left:
        raise ParameterError(f"run {run.id}: {_UNENDED} (process {', '.join(map(str, left))})")


def _locked(file: TextIO) -> bool:
    """Try for a second: whoever only asks for the holder holds the lock for an instant."""
    for _ in range(20):
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


def _holder(file: TextIO) -> Holder | None:
    file.seek(0)
    return Holder.parse(file.read())


def lock_holder(run: Run) -> Holder | None:
    """Return the run's runner, or None where it has ended or nothing holds the run."""
    path = run.folder / ".lock"
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(file)
            return holder if holder is not None and holder.lives else None
    return None
