"""The step contract: one plain typed function, its signature is its whole interface.

A step reads below its ``InputPath`` arguments, writes below its ``OutputPath`` arguments and takes
scalars, or lists of them, for everything else. Its command line is derived from that signature,
so the same program runs under a shell, ``sbatch``, a SageMaker job or a Kubeflow container:

    python -m steps.train --features DIR --model DIR --metrics DIR --epochs 60

``main`` adds what every program needs: outputs appear whole or not at all, a failure is one line
and a non-zero exit, and the finished mark is written last.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin, get_type_hints

from soundgate import runs
from soundgate.digests import digest_tree
from soundgate.errors import DefinitionError, SoundgateError, UserError, about_place, nearest

InputPath = Annotated[Path, "input"]
"""A folder (or file) another task wrote, or one known when the pipeline was declared."""

InputPaths = Annotated[list[Path], "inputs"]
"""Several of them: the join of a ``map``."""

OutputPath = Annotated[Path, "output"]
"""A folder the step fills; it exists and is empty when the step is called."""

CheckpointPath = Annotated[Path, "checkpoint"]
"""A folder that survives a killed attempt and is not an output; None where there is none."""

StepFunction = Callable[..., None]
Scalar = str | int | float | bool
SCALARS: tuple[type, ...] = (str, int, float, bool)
REASON_CHARACTERS = 1024  # SageMaker keeps this much of a failure reason


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a step: name, kind, scalar type, whether it is a list, default."""

    name: str
    kind: str  # "input" | "inputs" | "output" | "checkpoint" | "parameter"
    type: type
    is_list: bool = False
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        """Whether the pipeline has to supply a value."""
        supplied = self.kind in ("output", "checkpoint")
        return not supplied and self.default is inspect.Parameter.empty

    @property
    def flag(self) -> str:
        """The command-line flag, ``--learning-rate`` for ``learning_rate``."""
        return "--" + self.name.replace("_", "-")


def interface(function: StepFunction) -> dict[str, Argument]:
    """Read a step's interface from its signature, in order.

    Raises:
        DefinitionError: an argument has a type that cannot travel on a command line.
    """
    hints = get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        where = f"{function.__module__}.{function.__name__}: argument {name!r}"
        kind, base, is_list = _classify(hints.get(name), where)
        if kind == "checkpoint" and parameter.default is not None:
            raise DefinitionError(f"{where} is a CheckpointPath; its default must be None")
        found[name] = Argument(name, kind, base, is_list, parameter.default)
    return found


def _classify(hint: Any, where: str) -> tuple[str, type, bool]:
    if get_origin(hint) in (Union, UnionType):
        rest = [part for part in get_args(hint) if part is not NoneType]
        hint = rest[0] if len(rest) == 1 and get_origin(rest[0]) is Annotated else hint
    if get_origin(hint) is Annotated:
        kind = get_args(hint)[1]
        return kind, Path, kind == "inputs"
    if hint in SCALARS:
        return "parameter", hint, False
    if get_origin(hint) is list and get_args(hint)[0] in SCALARS:
        return "parameter", get_args(hint)[0], True
    raise DefinitionError(
        f"{where} is {hint!r}; a step takes InputPath, InputPaths, OutputPath, CheckpointPath, "
        "str, int, float, bool or a list of those"
    )


def spell(value: Any) -> str:
    """Spell a value as every executor puts it on a command line.

    >>> spell(True), spell(1e-5), spell([1, 2]), spell("a b")
    ('true', '1e-05', '[1, 2]', 'a b')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value), ensure_ascii=False)
    return str(value)


def parse_scalar(kind: type, text: str) -> Scalar:
    """Read a scalar however an engine spells it: ``160`` or ``160.0``, ``1e-05`` or ``0.00001``."""
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() == "true"
    if kind is int:
        if re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        with suppress(ValueError):
            if (number := float(text)).is_integer():
                return int(number)
        raise ValueError(f"{text!r} is not a whole number")
    return float(text) if kind is float else text


def _parse_list(kind: type, texts: Sequence[str]) -> list[Any]:
    """Accept one JSON array, or the items as separate words."""
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        try:
            texts = [spell(item) for item in json.loads(texts[0])]
        except json.JSONDecodeError:
            raise ValueError(f"{texts[0]!r} is not a JSON list") from None
    return [Path(text) if kind is Path else parse_scalar(kind, text) for text in texts]


class Parser(argparse.ArgumentParser):
    """Reads a command line; a mistake is one line and exit 2."""

    def error(self, message: str) -> NoReturn:
        """Say it in one line, without the usage."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser(function: StepFunction, arguments: Sequence[Argument]) -> Parser:
    parser = Parser(
        prog=f"python -m {_module(function)}",
        description=inspect.getdoc(inspect.getmodule(function)) or inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in arguments:
        optional = argument.default is not inspect.Parameter.empty
        default = f"; default {spell(argument.default)}" if optional else ""
        parser.add_argument(
            argument.flag,
            required=not optional,
            nargs="*" if argument.is_list else None,
            help=f"{argument.kind}, {argument.type.__name__}{default}".replace("%", "%%"),
        )
    return parser


def _module(function: StepFunction) -> str:
    spec = getattr(sys.modules.get(function.__module__), "__spec__", None)
    return spec.name if spec is not None else function.__module__


def parse(function: StepFunction, argv: Sequence[str]) -> dict[str, Any]:
    """Read a step's argument values from a command line; a mistake ends the program with exit 2."""
    arguments = interface(function)
    parser = _parser(function, list(arguments.values()))
    values: dict[str, Any] = {}
    found, unknown = parser.parse_known_args(list(argv))
    if unknown:
        hint = nearest(unknown[0].partition("=")[0], [a.flag for a in arguments.values()])
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    for name, text in vars(found).items():
        argument = arguments[name]
        if text is None:
            values[name] = argument.default
            continue
        try:
            if argument.is_list:
                values[name] = _parse_list(argument.type, text)
            elif argument.type is Path:
                values[name] = Path(text)
            else:
                values[name] = parse_scalar(argument.type, text)
        except ValueError as error:
            parser.error(f"argument {argument.flag}: {error}")
    return values


def _partial(output: Path) -> Path:
    return output.with_name(f".{output.name}.partial")


def _open_outputs(outputs: Mapping[str, Path]) -> dict[str, Path]:
    """Make an empty folder beside each output; the step writes there."""
    partial = {name: _partial(path) for name, path in outputs.items()}
    for path in partial.values():
        try:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"{path.parent}: cannot be written ({error.strerror})") from error
    return partial


def _publish(partial: Path, output: Path) -> None:
    """Move a finished folder to its name, replacing what an earlier attempt left there."""
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
    _mark(folder, context, started, argv, state=runs.State.SUCCEEDED, outputs=trees, exit_code=0)


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
    if isinstance(error, (SoundgateError, _Terminated)):
        reason, exit_code = str(error), error.exit_code
        print(f"error: {reason}", file=sys.stderr, flush=True)
    elif place := about_place(error):
        reason, exit_code = place, UserError.exit_code
        print(f"error: {reason}", file=sys.stderr, flush=True)
    else:
        reason, exit_code = f"{type(error).__name__}: {error}", 1
        traceback.print_exception(error)
    context = runs.Context.from_environment()
    if context.failure:
        with suppress(OSError):
            Path(context.failure).write_text(reason[:REASON_CHARACTERS], "utf-8")
    stopped_for_another = isinstance(error, _Terminated) and _has_failed(context)
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


class _Terminated(BaseException):
    """SIGTERM reached a step that has nothing to save."""

    exit_code = 128 + signal.SIGTERM


def _terminate(number: int, _frame: object) -> NoReturn:
    raise _Terminated(f"stopped by {signal.Signals(number).name}")


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGUSR1 into a question the step asks when it can save its work.

    Yields a function that tells whether a signal came. The step then writes its checkpoint and
    raises ``errors.Stopped``.
    """
    asked: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = {n: signal.signal(n, lambda number, _frame: asked.append(number)) for n in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def warm_up() -> None:
    """Do, before a server forks, what every program would do first: 4 ms a task.

    Reading any command line compiles patterns and looks for translations; children inherit that.
    """

    def example(source: InputPath, *, count: int = 1) -> None:
        """Take arguments as steps do."""

    parse(example, ["--source", "."])


def run(function: StepFunction, argv: Sequence[str]) -> int:
    """Run a step for ``argv``; return the exit code. ``main`` is this, as a program."""
    started = time.monotonic()
    values = parse(function, argv)
    arguments = interface(function).values()
    outputs = {a.name: values[a.name] for a in arguments if a.kind == "output"}
    checkpoints = [values[a.name] for a in arguments if a.kind == "checkpoint" and values[a.name]]
    first_rank = os.environ.get("RANK", "0") == "0"  # torchrun starts several processes a task
    command = [*_program(function), *argv]
    signal.signal(signal.SIGTERM, _terminate)
    partial = {name: _partial(path) for name, path in outputs.items()}
    try:
        for folder in checkpoints:
            folder.mkdir(parents=True, exist_ok=True)
        if first_rank:
            partial = _open_outputs(outputs)
        function(**{**values, **partial})
        if first_rank:
            for name, path in outputs.items():
                _publish(partial[name], path)
            _finish(outputs, started, command)
            for folder in checkpoints:  # not before the mark: until then it may be killed
                shutil.rmtree(folder, ignore_errors=True)
    except (_Terminated, Exception) as error:  # noqa: BLE001 - the boundary of a program
        if first_rank:
            for path in partial.values():
                shutil.rmtree(path, ignore_errors=True)
        return _fail(error, started, command)
    return 0


def _program(function: StepFunction) -> list[str]:
    return ["python", "-m", _module(function)]


def main(function: StepFunction, argv: Sequence[str] | None = None) -> NoReturn:
    """Run a step as a program: parse, make the outputs, call, publish, mark, exit."""
    sys.exit(run(function, sys.argv[1:] if argv is None else argv))
