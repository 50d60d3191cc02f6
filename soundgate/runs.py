"""What a run leaves on disk, and the only truth about it.

    runs/<pipeline>/<run id>/run.json       parameters, commit, executor, the state of every task
                             request.txt    exactly what was submitted
                             inputs/        files whose text was made when the pipeline was declared
                             tasks/<task>/  log.txt, one folder per output, checkpoints/, and
                                            task.json, the finished mark, written last
    runs/.cache/                            what makes reuse fast; safe to delete

Formats are versioned and described by JSON Schema in ``docs/``. Every file is replaced whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from soundgate.errors import ParameterError, nearest
from soundgate.text.masking import masked_values

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from soundgate.run_record import RunRecord, TaskMark

RUN_FORMAT = "soundgate.run/1"
TASK_FORMAT = "soundgate.task/1"
MARK = "task.json"
FINISHES = "finishes"
"""In a task's folder while it ends in good order on SIGINT; holds the attempt's token."""
LOG = "log.txt"
CHECKPOINTS = "checkpoints"
INVOCATION_VARIABLE = "SOUNDGATE_INVOCATION"
"""How a runner that goes on in the background is told the passwords that no record keeps."""


class State(StrEnum):
    """The state of a task or of a run."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REUSED = "reused"
    FAILED = "failed"
    SKIPPED = "skipped"  # something it depends on failed
    CANCELLED = "cancelled"

    @property
    def done(self) -> bool:
        """Whether its outputs are there."""
        return self in (State.SUCCEEDED, State.REUSED)

    @property
    def final(self) -> bool:
        """Whether it can still change."""
        return self not in (State.PENDING, State.RUNNING)


@dataclass(frozen=True, slots=True)
class Context:
    """What an executor tells a task's process about where it stands, through its environment.

    Not part of the argument vector, because it must not change what a task computes or whether
    its result can be reused.
    """

    task: str = ""
    task_folder: str = ""
    run: str = ""
    pipeline: str = ""
    commit: str = ""
    key: str = ""
    attempt: str = "1"
    token: str = ""
    """Tells this attempt from every other one, also from those of an earlier runner."""
    root: str = ""
    """The folder of all runs; embedded tracking and the cache live below it."""
    cpus: str = ""
    failure: str = ""
    """File for the reason of a failure, where the platform looks for it."""
    retries: str = ""
    """Further attempts that the program makes by itself."""
    thresholds: str = ""
    """Of the pipeline's gates, in their order, where an engine lets them be changed at a start."""
    executor_input: str = ""
    """What Kubeflow tells a container about its artifacts, JSON."""

    @classmethod
    def from_environment(cls) -> Context:
        """Read ``SOUNDGATE_*``; empty where a step is run by hand."""
        found = {f.name: os.environ.get(f"SOUNDGATE_{f.name.upper()}", "") for f in fields(cls)}
        return cls(**{name: value for name, value in found.items() if value})

    def environment(self) -> dict[str, str]:
        """Return the variables that ``from_environment`` reads."""
        return {f"SOUNDGATE_{f.name.upper()}": getattr(self, f.name) for f in fields(self)}


def now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_run_id(root: Path) -> str:
    """Return an id for a new run below ``root`` that sorts after those of all earlier ones.

    It tells the time to the millisecond, ``20261120-101530-2079f``; where the clock was put back
    since the latest run, the millisecond after that run's.
    """
    at = datetime.now(UTC)
    times = [time for run in _run_folders(root) if (time := _time_in(run.name)) is not None]
    if times and max(times) >= at.replace(microsecond=at.microsecond // 1000 * 1000):
        at = max(times) + timedelta(milliseconds=1)
    return f"{at:%Y%m%d-%H%M%S}-{at.microsecond // 1000:03d}{os.urandom(1).hex()}"


def _time_in(run_id: str) -> datetime | None:
    """Return the time that a run's id tells; None for a name that is no such id."""
    try:
        return datetime.strptime(f"{run_id[:19]}000+0000", "%Y%m%d-%H%M%S-%f%z")
    except ValueError:
        return None


def _run_folders(root: Path, pipeline: str | None = None) -> list[Path]:
    return list(root.glob(f"{pipeline or '[!.]*'}/*/"))


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` whole: a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
        # backslashreplace: a path whose bytes are no UTF-8 becomes \udcXX, which JSON reads back.
        temporary.write_text(text, "utf-8", errors="backslashreplace")
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write does not say of what
        raise
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: Path) -> Any:
    """Return the parsed file, or None where it is absent or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def write_mark(task_folder: Path, context: Context, **values: Any) -> TaskMark:
    """Write a task's finished mark; return it. ``values`` are the fields of ``task.json``."""
    mark = {
        "format": TASK_FORMAT,
        "task": context.task,
        "run": context.run,
        "pipeline": context.pipeline,
        "commit": context.commit,
        "key": context.key,
        "attempt": int(context.attempt),
        "reason": "",
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "engine_id": "",
        "outputs": {},
        "reused_from": None,
        **values,
    }
    write_json(task_folder / MARK, masked_values(mark))
    return cast("TaskMark", mark)


@contextlib.contextmanager
def finishes_early(context: Context) -> Iterator[None]:
    """Tell the runner, while this lasts, that the task ends in good order on SIGINT."""
    if not context.task_folder:
        yield
        return
    path = Path(context.task_folder) / FINISHES
    path.write_text(context.token, "utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def may_finish_early(task_folder: Path, token: str) -> bool:
    """Whether the attempt with ``token`` ends in good order on SIGINT now."""
    try:
        return (task_folder / FINISHES).read_text("utf-8") == token
    except OSError:
        return False


def read_mark(task_folder: Path) -> TaskMark | None:
    """Return a task's finished mark; None while there is none, or where it is damaged."""
    mark = read_json(task_folder / MARK)
    if not isinstance(mark, dict) or mark.get("format") != TASK_FORMAT:
        return None
    outputs = mark.get("outputs")
    whole = (
        all(isinstance(mark.get(name), str) for name in ("task", "run", "key", "reason"))
        and isinstance(mark.get("attempt"), int)
        and isinstance(mark.get("exit_code"), int)
        and isinstance(mark.get("argv"), list)
        and isinstance(mark.get("duration_s"), int | float)
        and mark.get("state") in set(State)
        and isinstance(outputs, dict)
        and all(isinstance(o, dict) and isinstance(o.get("digest"), str) for o in outputs.values())
    )
    return cast("TaskMark", mark) if whole else None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline: a folder."""

    root: Path
    pipeline: str
    id: str

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.root / self.pipeline / self.id

    @property
    def inputs(self) -> Path:
        """Files known when the pipeline was declared."""
        return self.folder / "inputs"

    def task(self, name: str) -> Path:
        """Return the folder of one task."""
        return self.folder / "tasks" / name

    def log(self, name: str) -> Path:
        """Return the log of one task."""
        return self.task(name) / LOG

    def read(self) -> RunRecord:
        """Return ``run.json`` as it was last written.

        Raises:
            ParameterError: there is none, or it is of another format.
        """
        path = self.folder / "run.json"
        record = read_json(path)
        if not isinstance(record, dict) or record.get("format") != RUN_FORMAT:
            raise ParameterError(f"{path}: is not a run record in format {RUN_FORMAT}")
        if damaged := _damaged_fields(record):
            raise ParameterError(
                f"{path}: damaged ({', '.join(damaged)}): restore it or delete the run's folder"
            )
        return cast("RunRecord", record)

    def write(self, record: RunRecord) -> None:
        """Replace ``run.json``; passwords and tokens are not recorded."""
        write_json(self.folder / "run.json", masked_values(record))


def _damaged_fields(record: Mapping[str, Any]) -> list[str]:
    """Return the fields of a run's record that are of another kind than they must be."""
    texts = ("run", "pipeline", "reason", "created_at", "executor", "commit")
    found = [name for name in texts if not isinstance(record.get(name, ""), str)]
    if record.get("state") not in set(State):
        found.append("state")
    asked, tasks = record.get("invocation", {}), record.get("tasks")
    if not isinstance(asked, dict) or not isinstance(asked.get("assignments", []), list):
        found.append("invocation")
    if not isinstance(tasks, dict) or not all(
        isinstance(task, dict) and task.get("state") in set(State) for task in tasks.values()
    ):
        found.append("tasks")
    return found


def all_runs(root: Path, pipeline: str | None = None) -> Iterator[Run]:
    """Yield the runs below ``root``, newest first."""
    found = [
        Run(root, folder.parent.name, folder.name)
        for folder in _run_folders(root, pipeline)
        if (folder / "run.json").is_file()
    ]
    yield from sorted(found, key=lambda run: run.id, reverse=True)


def find_run(root: Path, text: str) -> Run:
    """Return the run named ``last``, ``<run id>``, its unambiguous beginning, or a run's folder."""
    runs = list(all_runs(root))
    if text == "last" and runs:
        return runs[0]
    folder = Path(text)
    if (folder / "run.json").is_file():
        folder = folder.resolve()
        return Run(folder.parent.parent, folder.parent.name, folder.name)
    wanted = text.rsplit("/", 1)[-1]
    matching = [run for run in runs if run.id.startswith(wanted)] if wanted else []
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise ParameterError(f"{text!r} matches {len(matching)} runs; write more characters")
    raise ParameterError(f"no run {text!r} in {root}/{nearest(text, [r.id for r in runs[:5]])}")


def commit(folder: Path) -> str:
    """Return the commit of the checkout at ``folder``, ``-dirty`` where it has changes."""
    import subprocess

    known = os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "")
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40"]
    command += ["--exclude", "*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return known or "unknown"
    return found.stdout.strip() or known or "unknown"


def time_of(started: float) -> str:
    """Return the time of a ``time.monotonic()`` of this boot, as ``now`` writes it."""
    moment = datetime.now(UTC) - timedelta(seconds=time.monotonic() - started)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_since(started: float) -> float:
    """Return the seconds since a ``time.monotonic()``, to the millisecond."""
    return round(time.monotonic() - started, 3)


def seconds_between(first: str, last: str) -> float:
    """Return the seconds from one time to another, both as ``now`` writes them."""
    took = datetime.fromisoformat(last) - datetime.fromisoformat(first)
    return round(took.total_seconds(), 3)
