"""From what a user typed to a pipeline value, its parameters and a run."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import sys
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import parameters, runs
from soundgate.errors import (
    ConfigError,
    DefinitionError,
    ParameterError,
    SoundgateError,
    nearest,
)
from soundgate.executors.base import Options, initial_tasks
from soundgate.pipeline import Pipeline
from soundgate.reuse.digests import digest_text
from soundgate.reuse.sources import find_source
from soundgate.text.masking import MASK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from soundgate.run_record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What decides which pipeline is run and how; kept in ``run.json`` for ``--resume``."""

    module: str
    executor: str = "local"
    profile: str = ""
    config: str | None = None
    assignments: tuple[str, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    description: str = ""
    tags: list[dict[str, str]] = field(default_factory=list)
    role_arn: str | None = None

    def __post_init__(self) -> None:
        """Refuse keywords that are no mapping.

        Raises:
            ParameterError: always then.
        """
        if not isinstance(self.kwargs, dict):
            raise ParameterError(
                f"--kwargs: expected a mapping of names to values, got {self.kwargs!r}"
            )

    @property
    def options(self) -> Options:
        """The part that is for the executor."""
        site = {k: str(v) for k, v in self.kwargs.items() if k in parameters.TEMPLATE_KEYWORDS}
        return Options(
            profile=self.profile,
            keywords=site,
            role_arn=self.role_arn,
            tags=tuple(self.tags),
            description=self.description,
        )


def load_module(name: str) -> ModuleType:
    """Import a pipeline's module; the current folder comes first.

    Raises:
        ParameterError: there is no such module, or it declares no pipeline.
    """
    if sys.path[0] not in ("", str(Path.cwd())):
        sys.path.insert(0, str(Path.cwd()))
    if name.startswith("."):  # relative to what?
        raise _unknown(name)
    try:
        with own_faults(name):
            module = importlib.import_module(name)
    except ModuleNotFoundError:
        raise _unknown(name) from None
    if not callable(getattr(module, "get_pipeline", None)):
        raise ParameterError(f"{name} has no function get_pipeline(parameters)")
    return module


@contextmanager
def own_faults(module: str) -> Iterator[None]:
    """Turn an exception of the user's own code into one line: file, line and the error.

    Raises:
        DefinitionError: always then. What Soundgate itself did wrong keeps its traceback.
    """
    try:
        yield
    except SoundgateError:
        raise
    except SyntaxError as error:  # no frame stands in a file that cannot be compiled
        line = f"{_relative(error.filename or module)}:{error.lineno}"
        raise DefinitionError(f"{line}: {type(error).__name__}: {error.msg}") from error
    except Exception as error:
        every = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
        frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_own(f.filename)]
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if not frames and missing and (module == missing or module.startswith(f"{missing}.")):
            raise  # the module itself is not there
        if not frames or every[-1].is_relative_to(_HERE):
            raise
        said = " ".join(str(error).split())
        line = f"{_relative(frames[-1].filename)}:{frames[-1].lineno}"
        raise DefinitionError(f"{line}: {type(error).__name__}: {said}") from error


def _is_own(file: str) -> bool:
    """Whether a frame stands in the user's code: in no library, and not in Soundgate."""
    path = Path(file)
    installed = "site-packages" in path.parts or "dist-packages" in path.parts
    return (
        path.is_file()
        and not installed
        and not path.is_relative_to(_HERE)
        and not (path.is_relative_to(_STANDARD_LIBRARY))
    )


_HERE = Path(__file__).resolve().parent
_STANDARD_LIBRARY = Path(os.__file__).resolve().parent


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _unknown(name: str) -> ParameterError:
    known = sorted(f"pipelines.{p.stem}" for p in Path("pipelines").glob("[!_]*.py"))
    return ParameterError(f"no pipeline module {name!r}{nearest(name, known)}")


def declare(
    invocation: Invocation, root: Path, defaults: Mapping[str, Any] | None = None
) -> tuple[Pipeline, Any]:
    """Return the pipeline and its parameters; ``defaults`` are those of the site."""
    module = load_module(invocation.module)
    kind = parameters.parameter_type(module.get_pipeline)
    if kind is None:
        own = split_keywords(invocation.kwargs, kind)[0]
        if own or invocation.assignments or invocation.config:
            raise ParameterError(f"{invocation.module} takes no parameters")
        with own_faults(invocation.module):
            values, pipeline = None, module.get_pipeline()
    else:
        values = resolve(invocation, kind, defaults).build()
        check_config(values, root)
        with own_faults(invocation.module):
            pipeline = module.get_pipeline(values)
    if not isinstance(pipeline, Pipeline):
        raise ParameterError(f"{invocation.module}.get_pipeline returned {pipeline!r}")
    return pipeline, values


def resolve(
    invocation: Invocation, kind: type, defaults: Mapping[str, Any] | None = None
) -> parameters.Loaded:
    """Return what the user and the site set of a pipeline's parameters, and where."""
    return parameters.resolve(
        kind,
        config=Path(invocation.config) if invocation.config else None,
        kwargs=split_keywords(invocation.kwargs, kind)[0],
        defaults=defaults,
        assignments=invocation.assignments,
    )


def split_keywords(
    kwargs: dict[str, Any], kind: type | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell a pipeline's own keywords from those that project templates pass to the executor."""
    known = set(parameters.parameters_of(kind)) if kind is not None else set()
    known |= {name.partition(".")[0] for name in known}  # the mapping of a group that is held
    own = {k: v for k, v in kwargs.items() if k in known}
    site = {k: v for k, v in kwargs.items() if k not in known}
    for name in site:
        if name not in parameters.TEMPLATE_KEYWORDS:
            hint = nearest(name, [*known, *parameters.TEMPLATE_KEYWORDS])
            raise ParameterError(f"--kwargs: no such parameter {name!r}{hint}")
    return own, site


def check_config(values: Any, root: Path) -> None:
    """Have each user config checked by the function its parameter names, once per content.

    The check belongs to the sound half and costs an import; what it answered is kept below
    ``<runs>/.cache``, so that an unchanged run starts at once.
    """
    for each in dataclasses.fields(values):
        file, check = getattr(values, each.name), each.metadata.get("check")
        if not isinstance(file, parameters.ConfigFile) or not check or not file.values:
            continue
        text = parameters.dump_yaml(file.values)
        module, _, function = check.partition(":")
        known = root / ".cache" / "configs" / f"{digest_text(text, _stamp(module))}.json"
        answer = runs.read_json(known)
        if answer is None:
            check_text = getattr(importlib.import_module(module), function)
            answer = _check(check_text, file, text)
            runs.write_json(known, answer)
        adopted, notice = answer
        file.adopt(adopted)
        if notice:
            print(notice, file=sys.stderr)


def _check(check: Callable[[str, str], Any], file: parameters.ConfigFile, text: str) -> Any:
    """Check the user's own text, so that errors name its lines; then with what --set changed."""
    if file.path.is_file():
        answer = check(file.path.read_text("utf-8"), str(file.path))
        if not file.overrides:
            return answer
    try:
        return check(text, "--set")
    except ConfigError as error:
        if file.path.is_file():
            # the file may spell in an older way what --set names in today's: translate it first
            with suppress(ConfigError):
                return check(parameters.dump_yaml(file.overriding(answer[0])), "--set")
        raise ConfigError(re.sub(r"^--set:\d+", "--set", str(error))) from None


def _stamp(module: str) -> str:
    """Tell versions of the checking code apart, without importing it.

    What a package checks may stand in the packages beside it, as the options of data sets do.
    """
    above = module.rpartition(".")[0]
    source = find_source(above or module)
    if source is None:
        return ""
    files = source.parent.rglob("*.py") if above else source.parent.glob("*.py")
    return " ".join(f"{path} {path.stat().st_mtime_ns}" for path in sorted(files))


def new_record(invocation: Invocation, pipeline: Pipeline, values: Any, run: runs.Run) -> RunRecord:
    """Return ``run.json`` of a run that has not started."""
    config = str(Path(invocation.config).resolve()) if invocation.config else None
    profile = str(Path(invocation.profile).resolve()) if invocation.profile else ""
    return {
        "format": runs.RUN_FORMAT,
        "run": run.id,
        "pipeline": pipeline.name,
        "state": runs.State.PENDING,  # running once a runner holds it
        "reason": "",
        "created_at": runs.now(),
        "ended_at": None,
        "duration_s": None,
        "executor": invocation.executor,
        "engine_id": "",
        "host": os.uname().nodename,
        "commit": runs.commit(Path.cwd()),
        "parameters": parameters.to_json(values),
        "invocation": {**dataclasses.asdict(invocation), "config": config, "profile": profile},
        "tasks": initial_tasks(pipeline),
    }


def recorded(record: RunRecord) -> Invocation:
    """Return the invocation of an earlier run, its passwords and tokens masked.

    Raises:
        ParameterError: the record's invocation is damaged.
    """
    told = os.environ.pop(runs.INVOCATION_VARIABLE, "")  # tasks need not know
    kept = json.loads(told) if told else record["invocation"]
    try:
        return Invocation(**{**kept, "assignments": tuple(map(str, kept["assignments"]))})
    except (TypeError, KeyError) as error:
        raise ParameterError(f"run {record['run']}: its invocation is damaged: {error}") from error


def require_whole(asked: Invocation, run: str) -> None:
    """Refuse to go on with a run whose passwords and tokens no record keeps.

    Raises:
        ParameterError: names the options that held one.
    """
    given = [*asked.assignments, *(f"{name}={value}" for name, value in asked.kwargs.items())]
    hidden = [each.partition("=")[0] for each in given if MASK in each]
    if hidden:
        raise ParameterError(
            f"run {run}: {', '.join(hidden)} held a password or token, which is not recorded: "
            "call run-pipeline again with the same options, finished tasks are reused"
        )
