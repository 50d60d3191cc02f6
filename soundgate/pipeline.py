"""A pipeline is a value: tasks in order, edges made by passing one task's output to another.

    aed = Pipeline("aed")
    fetched = aed.add(fetch, dataset="ESC-10")
    trained = aed.add(train, features=fetched["clips"], epochs=20, resources=Resources(gpus=1))

Nothing is run, read or sent here; an executor renders the value. Everything a definition can get
wrong is answered when it is built, with the nearest right word.
"""

from __future__ import annotations

import importlib
import itertools
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.arguments import Argument, StepFunction, interface, spell
from soundgate.errors import DefinitionError, nearest
from soundgate.task import (
    SMALL,
    Candidate,
    File,
    Gate,
    LogMetric,
    MappedOutput,
    MappedTask,
    Metric,
    Output,
    Resources,
    Task,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Candidate",
    "File",
    "Gate",
    "LogMetric",
    "MappedOutput",
    "MappedTask",
    "Metric",
    "Output",
    "Pipeline",
    "Resources",
    "Task",
]

GATE_STEP = "soundgate.programs.gate"
JUDGING = Resources(memory_gb=0.5, hours=0.1)
"""What a gate needs: it reads one number."""
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
RESERVED = (
    "function",
    "name",
    "over",
    "after",
    "resources",
    "needs_network",
    "retries",
    "reuse",
    "environment",
    "display_name",
    "names_run",
    "log_metrics",
)
"""What ``add`` and ``map`` take for themselves; a step cannot have arguments of these names."""


@dataclass(slots=True)
class Pipeline:
    """An ordered collection of tasks."""

    name: str
    description: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the name, which becomes a folder and an engine's identifier."""
        _check_name("pipeline", self.name)

    def file(self, path: Path | str | File, name: str | None = None) -> File:
        """Make an artifact of a file or folder of the submitting machine."""
        if isinstance(path, File):
            return path
        return File(name or Path(path).name, Path(path))

    def add(  # noqa: PLR0913 - what a task may say of itself
        self,
        function: StepFunction,
        *,
        name: str | None = None,
        after: Sequence[Task | MappedTask] = (),
        resources: Resources = SMALL,
        needs_network: bool = False,
        retries: int = 0,
        reuse: bool = True,
        environment: Sequence[str] = (),
        display_name: str = "",
        names_run: bool = False,
        log_metrics: Sequence[LogMetric] = (),
        **arguments: Any,
    ) -> Task:
        """Append a task that calls ``function``; return it so that its outputs can be passed on.

        Args:
            function: the step.
            name: the task's name; the step's own where omitted.
            after: tasks that must have finished although nothing of theirs is read.
            resources: what one attempt needs, its time limit among it.
            needs_network: run it where the network is (a Slurm login node, say).
            retries: further attempts after a failure.
            reuse: False runs it every time.
            environment: variables whose values its result depends on (where a registry is, say).
            display_name: how a platform's console shows it.
            names_run: what it writes names the run and the commit.
            log_metrics: numbers it prints that a platform may draw.
            **arguments: the step's arguments; outputs are not passed.

        Raises:
            DefinitionError: a misspelt, missing or wrongly typed argument; a name used twice.
        """
        label = name or function.__name__
        known = interface(function)
        if taken := [word for word in known if word in RESERVED]:
            raise DefinitionError(
                f"task {label!r}: add() has a meaning of its own for {', '.join(taken)}; "
                "rename these arguments of the step"
            )
        task = Task(
            name=label,
            module=function.__module__,
            interface=known,
            arguments=arguments,
            after=_after(label, after),
            resources=resources,
            needs_network=needs_network,
            retries=retries,
            reuse=reuse,
            environment=tuple(environment),
            display_name=display_name,
            names_run=names_run,
            log_metrics=tuple(log_metrics),
        )
        return self._append(task)

    def map(
        self,
        function: StepFunction,
        *,
        over: Mapping[str, Sequence[Any]] | MappedTask,
        name: str | None = None,
        **arguments: Any,
    ) -> MappedTask:
        """Declare one task for each combination of the values in ``over``.

        A mapped output passed to another ``map`` over the same axis is element-wise; passed to an
        ``InputPaths`` argument of ``add`` it is the join.

        Args:
            function: the step.
            over: argument name to values; or an earlier ``map``, to follow its items.
            name: prefix of the tasks' names.
            **arguments: as for ``add``, the same for every item.
        """
        axis = over.axis if isinstance(over, MappedTask) else _axis(over)
        base = name or function.__name__
        known = interface(function)
        follow = isinstance(over, MappedTask)
        tasks = []
        for index, item in enumerate(_items(axis)):
            passed = {k: v for k, v in item.items() if k in known or not follow}
            own = {k: _element(base, k, v, axis, index) for k, v in arguments.items()}
            label = f"{base}-{'-'.join(_slug(spell(v)) for v in item.values())}"
            if label in self.tasks:
                label = f"{label}-{index}"
            task = self.add(function, name=label, **own, **passed)
            task = self.tasks[label] = _replace(task, group=base, item=item)
            tasks.append(task)
        return MappedTask(axis, tuple(tasks))

    def gate(
        self,
        report: Output,
        *,
        metric: Metric,
        at_least: float | None = None,
        at_most: float | None = None,
        advisory: bool = False,
        name: str | None = None,
    ) -> Task:
        """Declare a quality gate: the run goes on only where the metric clears its bound.

        A miss of an ``advisory`` gate is recorded instead, and the run goes on: what comes of it is
        for the reviewer to decide.
        """
        label = name or f"gate-{_slug(metric.name)}"
        if (at_least is None) == (at_most is None):
            raise DefinitionError(f"{label}: pass exactly one of at_least and at_most")
        bound, threshold = ("at_least", at_least) if at_most is None else ("at_most", at_most)
        step: StepFunction = importlib.import_module(GATE_STEP).gate
        task = self.add(
            step,
            name=label,
            report=report,
            metric=metric.name,
            file=metric.file,
            json_path=metric.json_path,
            message=metric.message,
            bound=bound,
            threshold=threshold,
            advisory=advisory,
            resources=JUDGING,
        )
        gated = Gate(metric, report, bound, 0.0 if threshold is None else threshold, advisory)
        self.tasks[label] = _replace(task, gate=gated)
        return self.tasks[label]

    def candidate(
        self,
        function: StepFunction,
        *,
        model_name: str,
        model: Output,
        report: Output,
        card: Output,
        **arguments: Any,
    ) -> Task:
        """Append the task that offers a model to the registry; as ``add`` otherwise.

        An engine that has a registry of its own enters the model there, too.

        Args:
            function: the step; takes ``model_name``, ``model``, ``report`` and ``card``.
            model_name: the registered model's name.
            model: the model.
            report: its evaluation.
            card: which data it learnt from.
            **arguments: as for ``add``.
        """
        task = self.add(
            function,
            model_name=model_name,
            model=model,
            report=report,
            card=card,
            names_run=True,
            **arguments,
        )
        offered = Candidate(model_name, model, report, card)
        self.tasks[task.name] = _replace(task, candidate=offered)
        return self.tasks[task.name]

    def declared_gates(self) -> File:
        """Make an artifact of all gates declared so far, for a step that shows their verdicts."""
        declared = [
            {"report": task.gate.report.name, **_gate_arguments(task)}
            for task in self.tasks.values()
            if task.gate
        ]
        return File("gates.json", text=json.dumps(declared, indent=1) + "\n")

    def _append(self, task: Task) -> Task:
        _check_name("task", task.name)
        if task.name in self.tasks:
            raise DefinitionError(f"two tasks are called {task.name!r}; pass name=")
        known = {n: a for n, a in task.interface.items() if a.kind not in ("output", "checkpoint")}
        for given in task.arguments:
            if given not in known:
                raise DefinitionError(
                    f"task {task.name!r} takes no argument {given!r}{nearest(given, known)}"
                )
        missing = [n for n, a in known.items() if a.required and n not in task.arguments]
        if missing:
            raise DefinitionError(f"task {task.name!r} lacks {', '.join(missing)}")
        checked = {
            n: _checked(task.name, known[n], value)
            for n, value in task.arguments.items()
            if value is not None
        }
        task = _replace(task, arguments=checked)
        for upstream in task.depends_on:
            if upstream not in self.tasks:
                raise DefinitionError(
                    f"task {task.name!r} depends on {upstream!r}, which is not in this pipeline"
                    f"{nearest(upstream, self.tasks)}"
                )
        self.tasks[task.name] = task
        return task


def _gate_arguments(task: Task) -> dict[str, Any]:
    return {name: value for name, value in task.arguments.items() if name not in task.inputs}


def _replace(task: Task, **changes: Any) -> Task:
    values = {name: getattr(task, name) for name in Task.__dataclass_fields__}
    return Task(**{**values, **changes})


def _after(task: str, after: Any) -> tuple[str, ...]:
    listed = isinstance(after, (list, tuple))
    if not listed or not all(isinstance(each, (Task, MappedTask)) for each in after):
        raise DefinitionError(f"task {task!r}: after takes a list of tasks, not {after!r}")
    tasks = [t for each in after for t in getattr(each, "tasks", (each,))]
    return tuple(t.name for t in tasks)


def _check_name(kind: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"{kind} name {name!r}: a letter, then at most 62 letters, digits, '-' or '_'"
        )


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:30] or "x"


def _axis(over: Mapping[str, Sequence[Any]]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    if not over or any(not list(values) for values in over.values()):
        raise DefinitionError(f"map over {dict(over)!r}: there is nothing to map over")
    return tuple((name, tuple(values)) for name, values in over.items())


def _items(axis: tuple[tuple[str, tuple[Any, ...]], ...]) -> list[dict[str, Any]]:
    names = [name for name, _ in axis]
    products = itertools.product(*(values for _, values in axis))
    return [dict(zip(names, item, strict=True)) for item in products]


def _element(task: str, name: str, value: Any, axis: Any, index: int) -> Any:
    if not isinstance(value, MappedOutput):
        return value
    if value.axis != axis:
        raise DefinitionError(
            f"map {task!r}: {name!r} comes from a map over another axis; join it with add() first"
        )
    return value.outputs[index]


def _checked(task: str, argument: Argument, value: Any) -> Any:
    """Check one value against the step's signature; return it in the form tasks keep."""
    where = f"task {task!r}: argument {argument.name!r}"
    if argument.kind == "inputs":
        given = value.outputs if isinstance(value, MappedOutput) else value
        values = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        if not values or not all(isinstance(v, (Output, File)) for v in values):
            raise DefinitionError(f"{where} takes outputs of tasks, not {value!r}")
        return values
    if argument.kind == "input":
        if isinstance(value, MappedOutput):
            raise DefinitionError(f"{where} takes one output; a join needs an InputPaths argument")
        if isinstance(value, Task):
            outputs = value.outputs
            raise DefinitionError(
                f"{where} takes one output of {value.name!r}, {value.name}[{outputs[0]!r}] say"
                f"; known: {', '.join(outputs)}"
            )
        if not isinstance(value, (Output, File)):
            raise DefinitionError(f"{where} takes another task's output or file(), not {value!r}")
        return value
    if argument.is_list:
        if not isinstance(value, (list, tuple)):
            raise DefinitionError(f"{where} takes a list, not {value!r}")
        return [_scalar(where, argument.type, item) for item in value]
    return _scalar(where, argument.type, value)


def _scalar(where: str, kind: type, value: Any) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DefinitionError(f"{where} takes {kind.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise DefinitionError(f"{where} is {value!r}; it must be finite")
    return value
