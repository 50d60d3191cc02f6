"""A pipeline is a value: tasks in order, edges made by passing one task's output to another.

    aed = Pipeline("aed")
    fetched = aed.add(fetch, dataset="ESC-10")
    trained = aed.add(train, features=fetched["clips"], epochs=20, resources=Resources(gpus=1))

Nothing is run, read or sent here; an executor renders the value. Everything a definition can get
wrong is answered when it is built, with the nearest right word.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from soundgate.definition.axes import (
    RESOURCES,
    Axis,
    MappedOutput,
    MappedTask,
    PartialJoin,
    alike,
    axes_of,
    followed_axes,
    item_arguments,
    items_of,
)
from soundgate.definition.binding import Binding, bound
from soundgate.definition.options import (
    RESERVED,
    check_name,
    file_of,
    options_of,
    step_interface,
    tasks_after,
)
from soundgate.errors import DefinitionError, nearest
from soundgate.task import SMALL, Candidate, File, Gate, LogMetric, Metric, Output, Resources, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.arguments import StepFunction

__all__ = [
    "Axis",
    "Candidate",
    "File",
    "Gate",
    "LogMetric",
    "MappedOutput",
    "MappedTask",
    "Metric",
    "Output",
    "PartialJoin",
    "Pipeline",
    "Resources",
    "Task",
]

GATE_STEP = "soundgate.programs.gate"
JUDGING = Resources(memory_gb=0.5, hours=0.1)
"""What a gate needs: it reads one number."""


@dataclass(slots=True)
class Pipeline:
    """An ordered collection of tasks."""

    name: str
    description: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Names of tasks and maps that are taken, by what is left of them on any engine."""
    _scopes: list[str] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the name, which becomes a folder and an engine's identifier."""
        check_name("pipeline", self.name)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Begin the names of all tasks that are declared inside with ``<name>-``.

        So a Python function that declares tasks can be called twice. Scopes nest.
        """
        check_name("scope", name)
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def file(self, path: Path | str | File, name: str | None = None) -> File:
        """Make an artifact of a file or folder of the submitting machine.

        Args:
            path: the file or folder; it has to be there when the pipeline is submitted.
            name: what it is called where it is placed; the path's own name where omitted.

        Raises:
            DefinitionError: there is no path, or no name in it.
        """
        return file_of(path, name)

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
        about = {
            "resources": resources,
            "needs_network": needs_network,
            "retries": retries,
            "reuse": reuse,
            "environment": environment,
            "display_name": display_name,
            "names_run": names_run,
            "log_metrics": log_metrics,
        }
        label = self._scoped(name or function.__name__)
        return self._declare(function, label, {"after": after, **about}, arguments, Binding(label))

    def map(
        self,
        function: StepFunction,
        *,
        over: Axis | MappedTask | Sequence[Axis | MappedTask] | Mapping[str, Sequence[Any]],
        name: str | None = None,
        **arguments: Any,
    ) -> MappedTask:
        """Declare one task for each item of an axis, or for each combination of several axes.

        A mapped output is passed item by item where its axes are among those of this map: a model
        goes to its own item of models x windows, say. To an ``InputPaths`` argument it is passed
        as the join of all its items, or, ``by`` an axis of this map, of those that agree with the
        item.

        A task's name is the map's and its items': ``score-large-v3``.

        Args:
            function: the step.
            over: an axis, an earlier map to follow its items, a list of both, or names of
                arguments with their values, where each value can be the name of its item.
            name: prefix of the tasks' names.
            **arguments: as for ``add``, the same for every item. Items set the others; where an
                axis comes from an earlier map, what the step does not take is left out.

        Raises:
            DefinitionError: as of ``add``; an axis used twice; an item that sets what the step
                does not take.
        """
        base = self._scoped(name or function.__name__)
        axes = axes_of(base, over)
        known = step_interface(base, function)
        self._take_name(base, "map")
        given = {option: arguments.pop(option) for option in RESERVED if option in arguments}
        followed = followed_axes(over, arguments)
        tasks = []
        for item in items_of(axes):
            own = item_arguments(base, known, axes, item, followed, arguments | given)
            about = given | {RESOURCES: own.pop(RESOURCES, given.get(RESOURCES, SMALL))}
            label = f"{base}-{'-'.join(item.values())}"
            binding = Binding(label, axes, item)
            task = self._declare(function, label, about, {**arguments, **own}, binding)
            task = self.tasks[task.name] = replace(task, group=base, item=item)
            tasks.append(task)
        return MappedTask(axes, tuple(tasks))

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
        label = name or f"gate-{re.sub(r'[^A-Za-z0-9]+', '-', metric.name).strip('-')}"
        if (at_least is None) == (at_most is None):
            raise DefinitionError(f"{label}: pass exactly one of at_least and at_most")
        bound, threshold = ("at_least", at_least) if at_most is None else ("at_most", at_most)
        if isinstance(threshold, (int, float)) and math.isfinite(threshold):
            metric.check(label, threshold)
        limits: dict[str, Any] = {"least": metric.values.low, "most": metric.values.high}
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
            **{end: value for end, value in limits.items() if math.isfinite(value)},
        )
        gated = Gate(metric, report, bound, 0.0 if threshold is None else threshold, advisory)
        self.tasks[task.name] = replace(task, gate=gated)
        return self.tasks[task.name]

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
        self.tasks[task.name] = replace(task, candidate=offered)
        return self.tasks[task.name]

    def declared_gates(self) -> File:
        """Make an artifact of all gates declared so far, for a step that shows their verdicts."""
        declared = [
            {"report": str(task.gate.report), **_gate_arguments(task)}
            for task in self.tasks.values()
            if task.gate
        ]
        return File("gates.json", text=json.dumps(declared, indent=1) + "\n")

    def judged_reports(self) -> list[Output]:
        """Return every output that a gate declared so far reads, each once.

        What a step that shows or records verdicts reads beside ``declared_gates``, as a
        ``NamedInputPaths``: two reports of one name are told apart by their tasks.
        """
        judged = [task.gate.report for task in self.tasks.values() if task.gate]
        return list(dict.fromkeys(judged))

    def _scoped(self, name: str) -> str:
        check_name("task", name)
        return "-".join([*self._scopes, name])

    def _declare(
        self,
        function: StepFunction,
        label: str,
        about: Mapping[str, Any],
        arguments: Mapping[str, Any],
        binding: Binding,
    ) -> Task:
        """Append a task: check its name, what is said of it, its arguments and its edges."""
        known = step_interface(label, function)
        check_name("task", label)
        options = dict(about)
        after = tasks_after(label, options.pop("after", ()))
        task = Task(
            name=label,
            module=function.__module__,
            interface=known,
            arguments=bound(label, known, arguments, binding),
            after=after,
            **options_of(label, options),
        )
        for upstream in task.depends_on:
            if upstream not in self.tasks:
                raise DefinitionError(
                    f"task {task.name!r} depends on {upstream!r}, which is not in this pipeline"
                    f"{nearest(upstream, self.tasks)}"
                )
        self._take_name(label, "task")
        self.tasks[label] = task
        return task

    def _take_name(self, name: str, kind: str) -> None:
        """Refuse a name that some engine, or a file system, could not tell from another one."""
        before = self._names.get(alike(name))
        if before == name:
            raise DefinitionError(f"two {kind}s are called {name!r}; pass name=")
        if before is not None:
            raise DefinitionError(
                f"{kind} {name!r} and {before!r} need names that differ by more than capitals, "
                "'-' and '_'; pass name="
            )
        self._names[alike(name)] = name


def _gate_arguments(task: Task) -> dict[str, Any]:
    return {name: value for name, value in task.arguments.items() if name not in task.inputs}
