"""What an executor is: it renders a pipeline into a request, then submits that request.

``render`` is pure: no network, no clock, no random. ``str(request)`` is exactly what is sent:
``--dry-run`` prints it, ``request.txt`` keeps it, the engine gets it; it is made once.
Differences between engines are declared capabilities, never a question for an executor's name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from soundgate.arguments import spell
from soundgate.errors import DefinitionError
from soundgate.parameters import parameter_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.pipeline import File, Output, Pipeline, Task
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord, TaskRecord
    from soundgate.runs import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Facts about an engine that the rest of the program may ask for."""

    shared_filesystem: bool
    """Tasks read and write the run's folder directly."""
    renders_whole_graph: bool
    """The whole graph is handed over at once; the submitting host may be closed."""
    can_cancel: bool
    reuses_results: bool
    """``cache.py`` decides what is run; otherwise the engine does."""
    keeps_parameters: bool
    """Parameters can still be set when an execution starts."""
    runs_here: bool = False
    """Tasks are run by this very interpreter: a library that it lacks, they lack."""
    reads_keywords: bool = False
    """What SageMaker's project templates pass (``--role-arn``, keywords of ``--kwargs``) counts."""
    has_profiles: bool = False
    """A file describes the site: ``--profile``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The site a pipeline runs at, and who runs it: what is not part of a pipeline."""

    profile: str = ""
    """File that describes the site; empty: the engine's own defaults."""
    keywords: Mapping[str, str] = field(default_factory=dict)
    """What SageMaker's project templates pass in ``--kwargs``: region, default_bucket, role, ..."""
    role_arn: str | None = None
    tags: Sequence[Mapping[str, str]] = ()
    """``{"Key": ..., "Value": ...}`` each."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """How to wait for a run that is submitted: what is no part of the request."""

    no_wait: bool = False
    timeout_s: float | None = None
    quiet: bool = False
    """Progress goes to standard error, the result alone to standard output."""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """What would happen to one task, and why."""

    task: str
    action: str  # "run" | "reuse"
    reason: str
    result: Hit | None = None
    """What would be reused, where this host knows it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was looked at before a run."""

    what: str
    found: str
    fix: str = ""
    """What to do; empty where it is as it should be."""


NOTHING_REUSED: Mapping[str, Hit] = MappingProxyType({})


class Request(Protocol):
    """What would be sent to an engine; ``str()`` of it is the whole truth."""

    def __str__(self) -> str:
        """Return exactly what would be sent."""


RequestT = TypeVar("RequestT", bound=Request)


class Executor(Protocol[RequestT]):
    """The two halves of an executor: rendering, and talking to the engine."""

    capabilities: Capabilities
    parameter_defaults: Mapping[str, Any]
    """Defaults that the site's profile sets for parameters of any pipeline that has them."""

    def render(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        use_cache: bool = True,
        reused: Mapping[str, Hit] = NOTHING_REUSED,
    ) -> RequestT:
        """Turn a pipeline into a request. Pure.

        Args:
            pipeline: the pipeline.
            run: the run.
            use_cache: False runs every task, whatever results there are.
            reused: tasks whose results are there already, which ``plan`` found. An executor that
                hands over the whole graph and reuses results leaves them out.

        Raises:
            DefinitionError: the engine cannot run it; says why.
        """

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:
        """Tell for each task whether it would be run or reused, and why. Starts nothing."""

    def submit(
        self, request: RequestT, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Send a request as it was rendered, keep its text as ``request.txt``, and wait.

        Returns:
            The run's record as it stands when this returns.
        """

    def poll(self, run: Run) -> RunRecord:
        """Return the run's record, brought up to date."""

    def cancel(self, run: Run) -> None:
        """Stop everything the run started."""

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task, line by line."""

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy what a task wrote below ``target``, a folder that is there and empty."""

    def examine(self, root: Path) -> Iterator[Finding]:
        """Look for what could keep a run from working here; ``root`` is the folder of runs."""


def rendered(
    executor: Executor[RequestT], pipeline: Pipeline, run: Run, *, use_cache: bool = True
) -> tuple[RequestT, list[PlannedTask] | None]:
    """Render what would be sent now.

    Returns:
        The request; and what will become of each task, where the request depends on that.
    """
    can = executor.capabilities
    if not (can.renders_whole_graph and can.reuses_results):
        return executor.render(pipeline, run, use_cache=use_cache), None
    plan = executor.plan(pipeline, run, use_cache=use_cache)
    reused = {each.task: each.result for each in plan if each.result is not None}
    return executor.render(pipeline, run, use_cache=use_cache, reused=reused), plan


@dataclass(frozen=True, slots=True)
class OpenArgument:
    """An argument whose value is a parameter of the engine's own, known when a run starts.

    Put it on a command line as one word, ``--flag=VALUE``: argparse would take a negative number
    that stands alone for a flag.
    """

    flag: str
    parameter: str


def argument_vector(
    task: Task,
    *,
    location: Callable[[Output | File], str],
    output: Callable[[str], str],
    checkpoint: str,
) -> list[str]:
    """Return a task's command, the one thing all executors share.

    Args:
        task: the task.
        location: where the engine puts an artifact the task reads.
        output: where the task is to write the output of this name.
        checkpoint: a folder that survives a killed attempt; empty where there is none.
    """
    words = argument_words(task, location=location, output=output, checkpoint=checkpoint)
    return [word for word in words if isinstance(word, str)]


def argument_words(
    task: Task,
    *,
    location: Callable[[Output | File], str],
    output: Callable[[str], str],
    checkpoint: str,
    opened: Collection[str] = (),
) -> list[str | OpenArgument]:
    """Return a task's command, the values of the parameters ``opened`` left to the engine."""
    words: list[str | OpenArgument] = ["python", "-m", task.module]
    for name, argument in task.interface.items():
        if argument.kind == "output":
            words += [argument.flag, output(name)]
        elif argument.kind == "checkpoint":
            words += [argument.flag, checkpoint] if checkpoint else []
        elif name in task.inputs:
            words += [argument.flag, *_input_words(task, name, location)]
        elif name in task.arguments:
            parameter = parameter_of(task.arguments[name])
            if parameter is not None and parameter in opened:
                words.append(OpenArgument(argument.flag, parameter))
                continue
            text = spell(task.arguments[name])
            # argparse would take a value that begins with a dash for a flag
            words += [f"{argument.flag}={text}"] if text.startswith("-") else [argument.flag, text]
    return words


def _input_words(task: Task, name: str, location: Callable[[Output | File], str]) -> list[str]:
    """Return where an argument's inputs lie, as ``NAME=PATH`` where the step is told the names."""
    value = task.arguments[name]
    if isinstance(value, dict):
        # an addition, since what ``location`` returns may be more than a plain text and knows how
        return [f"{item}=" + location(source) for item, source in value.items()]
    return [location(item) for item in task.inputs[name]]


def refuse_processes(pipeline: Pipeline, engine: str) -> None:
    """Refuse tasks of several processes, on an engine that starts a task's program once.

    Raises:
        DefinitionError: names the first such task.
    """
    for task in pipeline.tasks.values():
        needs = task.resources
        if needs.nodes > 1 or needs.processes > 1:
            raise DefinitionError(
                f"task {task.name!r} asks for nodes={needs.nodes}, processes={needs.processes}; "
                f"{engine} starts a task's program once: lower them in its Resources, or run it on "
                "another executor"
            )


def open_parameters(pipeline: Pipeline) -> dict[str, Any]:
    """Return every parameter that is handed straight to a step, with its value.

    They can stay open until an execution starts. A parameter that also decides something in the
    declaration has been decided; what was made of it is a plain value.
    """
    found: dict[str, Any] = {}
    for task in pipeline.tasks.values():
        for value in task.arguments.values():
            parameter = parameter_of(value)
            if parameter is not None:
                found.setdefault(parameter, value)
    return found


def initial_tasks(pipeline: Pipeline) -> dict[str, TaskRecord]:
    """Return the ``tasks`` of a new run's record."""
    return {
        task.name: {
            "state": "pending",
            "module": task.module,
            "depends_on": task.depends_on,
            "group": task.group,
            "item": dict(task.item),
            "reason": "",
            "duration_s": None,
            "attempt": 0,
            "engine_id": "",
            "outputs": {},
            "note": "",
        }
        for task in pipeline.tasks.values()
    }
