"""The step contract: one plain typed function, its signature is its whole interface.

A step reads below its ``InputPath`` arguments, writes below its ``OutputPath`` arguments and takes
scalars, or lists of them, for everything else. Its command line is derived from that signature,
so the same program runs under a shell, ``sbatch``, a SageMaker job or a Kubeflow container:

    python -m steps.train --features DIR --model DIR --metrics DIR --epochs 60

``main`` adds what every program needs: outputs appear whole or not at all, a failure is one line
and a non-zero exit, and the finished mark is written last.
"""

from __future__ import annotations

import glob
import os
import resource
import shutil
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from soundgate import runs
from soundgate.arguments import (
    CheckpointPath,
    InputPath,
    InputPaths,
    NamedInputPaths,
    OutputPath,
    StepFunction,
    interface,
    module_name,
    parse,
)
from soundgate.errors import SoundgateError, UserError, about_place, nearest
from soundgate.programs import attempts, offline, signals
from soundgate.programs.archives import unpacked
from soundgate.programs.signals import graceful_finish, graceful_stop
from soundgate.reuse.digests import digest_tree
from soundgate.text.masking import masked, masked_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "CheckpointPath",
    "InputPath",
    "InputPaths",
    "NamedInputPaths",
    "OutputPath",
    "cache_folder",
    "cpus",
    "graceful_finish",
    "graceful_stop",
    "main",
    "run",
    "warm_up",
]

REASON_CHARACTERS = 1024  # SageMaker keeps this much of a failure reason


def _attempt() -> str:
    """Return what all processes of this attempt, and no other, put into the names of its folders.

    Nobody can then write into the folder of a later attempt, also not a process that was lost.
    """
    told = runs.Context.from_environment().token
    if told:
        return told
    if "RANK" in os.environ:  # several processes, and no runner that told them a token
        return os.environ.get("TORCHELASTIC_RUN_ID", "shared").replace("/", "-")
    return f"{os.getpid()}-{os.urandom(2).hex()}"


def _partial(output: Path, attempt: str) -> Path:
    return output.with_name(f".{output.name}.{attempt}.partial")


def _open_outputs(outputs: Mapping[str, Path], partial: Mapping[str, Path]) -> None:
    """Make an empty folder beside each output, where the step writes; remove earlier attempts'."""
    for name, path in partial.items():
        try:
            for earlier in path.parent.glob(f".{glob.escape(outputs[name].name)}.*.partial"):
                shutil.rmtree(earlier, ignore_errors=True)
            path.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written ({error.strerror})") from error


def _publish(partial: Path, output: Path) -> None:
    """Move a finished folder to its name, replacing what an earlier attempt left there.

    Raises:
        _Superseded: a later attempt removed the folder.
    """
    if not partial.is_dir():
        raise _Superseded(f"{output}: a later attempt of this task has begun")
    if output.is_mount() or (output.is_dir() and output.is_symlink()):
        for child in partial.iterdir():  # a folder the platform made: it cannot be replaced
            shutil.move(child, output / child.name)
        partial.rmdir()
        return
    old = output.with_name(f".{output.name}.old")
    if output.exists():
        shutil.rmtree(old, ignore_errors=True)
        output.rename(old)
    partial.rename(output)
    shutil.rmtree(old, ignore_errors=True)


def _finish(outputs: Mapping[str, Path], started: float, argv: Sequence[str]) -> None:
    """Write the finished mark: the digests of the outputs, then everything else."""
    context = runs.Context.from_environment()
    if not context.task_folder:
        return
    folder = Path(context.task_folder)
    trees = {}
    for name, path in outputs.items():
        tree = digest_tree(path)
        tree.write(folder / f"{name}.files")
        trees[name] = {"digest": tree.digest, "bytes": tree.size, "files": len(tree.entries)}
    values = {"early": signals.ended_early[0]} if signals.ended_early else {}
    state = runs.State.SUCCEEDED
    _mark(folder, context, started, argv, state=state, outputs=trees, exit_code=0, **values)


def _mark(
    folder: Path, context: runs.Context, started: float, argv: Sequence[str], **values: Any
) -> None:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu_s = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    runs.write_mark(
        folder,
        context,
        argv=list(argv),
        started_at=runs.time_of(started),
        ended_at=runs.now(),
        duration_s=runs.seconds_since(started),
        cpu_s=round(cpu_s, 3),
        max_rss_bytes=max(own.ru_maxrss, children.ru_maxrss) * 1024,
        **values,
    )


def _fail(error: BaseException, started: float, argv: Sequence[str]) -> int:
    """Say why, where the reader looks: the log, the platform's failure file, the mark."""
    is_bug = False
    if isinstance(error, (SoundgateError, signals.Terminated)):
        reason, exit_code = str(error), error.exit_code
    elif place := about_place(error):
        reason, exit_code = place, UserError.exit_code
    else:
        reason, exit_code, is_bug = f"{type(error).__name__}: {error}", 1, True
    with suppress(OSError):  # the log may be what there is no room for
        if is_bug:
            traceback.print_exception(error)
        else:
            print(f"error: {reason}", file=sys.stderr, flush=True)
    if isinstance(error, _Superseded):
        return exit_code
    context = runs.Context.from_environment()
    if context.failure:
        with suppress(OSError):
            Path(context.failure).write_text(masked(reason)[:REASON_CHARACTERS], "utf-8")
    stopped_for_another = isinstance(error, signals.Terminated) and _has_failed(context)
    if context.task_folder and not stopped_for_another:
        with suppress(OSError):
            values = {"state": runs.State.FAILED, "reason": reason, "exit_code": exit_code}
            _mark(Path(context.task_folder), context, started, argv, **values)
    return exit_code


def _has_failed(context: runs.Context) -> bool:
    """Whether another process of this attempt said why: torchrun then stops the rest."""
    mark = runs.read_mark(Path(context.task_folder)) if context.task_folder else None
    return mark is not None and mark["attempt"] == int(context.attempt)


def cpus() -> int:
    """Return the cores this task was given; by hand, those the process may use."""
    given = runs.Context.from_environment().cpus
    if given:
        return max(1, int(given))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder(name: str) -> Path | None:
    """Return a folder that outlives runs, for what is only faster to keep; None if there is none.

    Results never depend on it. Executors without a shared file system have none.
    """
    root = runs.Context.from_environment().root
    return Path(root) / ".cache" / name if root else None


class _Superseded(SoundgateError):
    """Another attempt of the same task has begun: this one must leave no trace."""


def warm_up() -> None:
    """Do, before a server forks, what every program would do first: 4 ms a task.

    Reading any command line compiles patterns and looks for translations; children inherit that.
    """

    def example(source: InputPath, *, count: int = 1) -> None:
        """Take arguments as steps do."""

    parse(example, ["--source", "."])


def _unpack_inputs(function: StepFunction, values: Mapping[str, Any]) -> dict[str, Any]:
    """Unpack the archives that inputs lead into."""
    inputs = {a.name for a in interface(function).values() if a.kind in ("input", "inputs")}
    found = dict(values)
    for name in inputs:
        value = values[name]
        if isinstance(value, Path):
            found[name] = unpacked(value)
        elif isinstance(value, dict):
            found[name] = {item: unpacked(path) for item, path in value.items()}
        elif value:
            found[name] = [unpacked(path) for path in value]
    return found


def _take_context(argv: Sequence[str]) -> list[str]:
    """Move each ``--context NAME=VALUE`` into the environment; return the other words.

    Some engines cannot put what they know only when a task starts into its environment.
    """
    left: list[str] = []
    words = iter(argv)
    for word in words:
        flag, equals, text = word.partition("=")
        if flag != "--context":
            left.append(word)
            continue
        name, _, value = (text if equals else next(words, "")).partition("=")
        if name not in runs.Context.__dataclass_fields__:
            known = nearest(name, runs.Context.__dataclass_fields__)
            print(f"error: --context {name}: no such name{known}", file=sys.stderr)
            sys.exit(UserError.exit_code)
        os.environ[f"SOUNDGATE_{name.upper()}"] = value
    return left


def run(function: StepFunction, argv: Sequence[str]) -> int:
    """Run a step for ``argv``; return the exit code. ``main`` is this, as a program."""
    started = time.monotonic()
    values = parse(function, argv)
    arguments = interface(function).values()
    outputs = {a.name: values[a.name] for a in arguments if a.kind == "output"}
    checkpoints = [values[a.name] for a in arguments if a.kind == "checkpoint" and values[a.name]]
    first_rank = os.environ.get("RANK", "0") == "0"  # torchrun starts several processes a task
    command = [*_program(function), *argv]
    signals.install()
    offline.guard()
    attempt = _attempt()
    partial = {name: _partial(path, attempt) for name, path in outputs.items()}
    try:
        for folder in checkpoints:
            folder.mkdir(parents=True, exist_ok=True)
        if first_rank:
            _open_outputs(outputs, partial)
        function(**{**_unpack_inputs(function, values), **partial})
        if first_rank:
            for name, path in outputs.items():
                _publish(partial[name], path)
            _tell_types(outputs)
            _finish(outputs, started, command)
            for folder in checkpoints:  # not before the mark: until then it may be killed
                shutil.rmtree(folder, ignore_errors=True)
    except (signals.Terminated, Exception) as error:  # noqa: BLE001 - the boundary of a program
        if first_rank:
            for path in partial.values():
                shutil.rmtree(path, ignore_errors=True)
        return _fail(error, started, command)
    return 0


def _tell_types(outputs: Mapping[str, Path]) -> None:
    """Describe the outputs to a platform that shows figures and confusion matrices."""
    told = runs.Context.from_environment().executor_input
    if told:
        from soundgate.programs import typed_outputs

        typed_outputs.write(told, outputs)


def _program(function: StepFunction) -> list[str]:
    return ["python", "-m", module_name(function)]


def main(function: StepFunction, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a step as a program: parse, make the outputs, call, publish, mark, exit."""
    words = _take_context(sys.argv[1:] if argv is None else argv)
    retries = int(runs.Context.from_environment().retries or 0)
    if retries:
        command = [sys.executable, "-m", module_name(function), *words]
        sys.exit(attempts.supervise(command, retries))
    with masked_output():
        code = run(function, words)
    sys.exit(code)
