"""The values a pipeline is made of: tasks, what they need, what they pass on, what gates demand.

Nothing here knows how a pipeline is built or run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from soundgate.bounds import Bounds
from soundgate.errors import DefinitionError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from soundgate.arguments import Argument


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a task needs from whichever machine runs it; a profile maps it to what a site has."""

    cpus: int = 1
    gpus: int = 0
    memory_gb: float = 2.0
    hours: float = 1.0
    """Time limit of one attempt."""
    nodes: int = 1
    processes: int = 0
    """Processes of the program that torchrun starts on each node; 0: the program runs once, without
    torchrun, whatever GPUs it has. The step is called in each of them with the same folders."""

    def __post_init__(self) -> None:
        """Refuse what no machine can give."""
        for name, least in (("cpus", 1), ("gpus", 0), ("nodes", 1), ("processes", 0)):
            if getattr(self, name) < least:
                raise DefinitionError(f"Resources({name}={getattr(self, name)}) is below {least}")
        if not (0 < self.memory_gb < math.inf and 0 < self.hours < math.inf):
            raise DefinitionError(f"{self}: memory_gb and hours must be above zero, and finite")
        if self.nodes > 1 and not self.processes:
            raise DefinitionError(
                f"Resources(nodes={self.nodes}) needs processes=: how many run on each node"
            )
        if self.gpus and self.processes > self.gpus:
            raise DefinitionError(
                f"Resources(processes={self.processes}) is more than gpus={self.gpus}: each "
                "process needs a GPU of its own"
            )


SMALL = Resources()


ANY_NUMBER = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number in a report: where it stands, and what is said when it misses its bound.

    Data, never code: a gate compares, it evaluates nothing.
    """

    name: str
    """As experiment trackers show it, ``clip:accuracy``."""
    json_path: str
    """Dotted path into ``file``, ``multiclass_classification_metrics.clip_acc.value``."""
    message: str
    """What a miss says; the bound is appended."""
    regex: str = ""
    """Finds the same number in the log of the task that writes the report."""
    file: str = "evaluation.json"
    values: Bounds = ANY_NUMBER
    """What it can be: ``Bounds(0, 1)`` of a share, ``Bounds(-1, 1)`` of the gain of one."""

    def check(self, gate: str, threshold: float) -> None:
        """Refuse a threshold that every value would clear, or none could.

        Raises:
            DefinitionError: it lies outside the metric's range.
        """
        if threshold in self.values:
            return
        share = self.values.high == 1.0 < threshold <= 100.0
        hint = f"; did you mean {threshold / 100:g}?" if share else ""
        raise DefinitionError(
            f"{gate}: threshold {threshold:g} is outside the range of {self.name}, "
            f"{self.values}{hint}"
        )


@dataclass(frozen=True, slots=True)
class LogMetric:
    """A number that a task prints, for platforms that draw what they find in a log."""

    name: str
    """As the platform shows it, ``validation:clip:accuracy``."""
    regex: str
    """Finds the number in a line; its first group is the number."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A bound on a metric of a report. Missing, NaN or not a number fails closed."""

    metric: Metric
    report: Output
    bound: str  # "at_least" | "at_most"
    threshold: float
    advisory: bool = False
    """Whether a miss is only recorded, for a reviewer to weigh."""


@dataclass(frozen=True, slots=True)
class Output:
    """A reference to what a task will have written."""

    task: str
    name: str

    def __str__(self) -> str:
        """Return it as a run's record shows it: ``task/output``."""
        return f"{self.task}/{self.name}"

    def by(self, *axes: object) -> NoReturn:
        """Refuse to join what one task writes."""
        raise DefinitionError(
            f"{self}: by({', '.join(map(str, axes))}) joins the items of a map(), and this is one "
            "task's output"
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that a task offers to the registry, and what speaks for it."""

    name: str
    """Of the registered model; an engine's own registry groups versions under it."""
    model: Output
    report: Output
    """Has ``evaluation.json``."""
    card: Output
    """Has ``dataset.json``: which data the model learnt from."""


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder known when the pipeline is declared; an artifact like any other."""

    name: str
    path: Path | None = None
    text: str | None = None
    """Content, where it is not what lies at ``path``."""

    def __str__(self) -> str:
        """Return it as a run's record shows it."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One use of a step in a pipeline."""

    name: str
    module: str
    interface: Mapping[str, Argument]
    arguments: Mapping[str, Any]
    """Scalars, lists; of inputs an ``Output`` or ``File``, a tuple of them, or a dict of them by
    name where the step is told the names."""
    after: tuple[str, ...] = ()
    resources: Resources = SMALL
    needs_network: bool = False
    retries: int = 0
    reuse: bool = True
    environment: tuple[str, ...] = ()
    display_name: str = ""
    gate: Gate | None = None
    candidate: Candidate | None = None
    names_run: bool = False
    """What it writes names the run and the commit: an engine that goes by its own cache keys runs
    it every time."""
    log_metrics: tuple[LogMetric, ...] = ()
    """What its log says of itself; never judged."""
    group: str = ""
    """The map that it belongs to."""
    item: Mapping[str, str] = field(default_factory=dict)
    """In a map, axis to the name of the item."""

    def __getitem__(self, output: str) -> Output:
        """Refer to one of its outputs."""
        return Output(self.name, _known_output(self.name, self.interface, output))

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return [a.name for a in self.interface.values() if a.kind == "output"]

    @property
    def inputs(self) -> dict[str, tuple[Output | File, ...]]:
        """Its artifacts by argument."""
        found = {}
        for name, value in self.arguments.items():
            values = tuple(value.values()) if isinstance(value, dict) else value
            values = values if isinstance(values, tuple) else (values,)
            if values and isinstance(values[0], (Output, File)):
                found[name] = values
        return found

    @property
    def depends_on(self) -> list[str]:
        """The tasks that must have finished, in order, each once."""
        used = [v.task for vs in self.inputs.values() for v in vs if isinstance(v, Output)]
        return list(dict.fromkeys([*used, *self.after]))


def _known_output(task: str, arguments: Mapping[str, Argument], output: str) -> str:
    outputs = [a.name for a in arguments.values() if a.kind == "output"]
    if output not in outputs:
        raise DefinitionError(f"task {task!r} has no output {output!r}{nearest(output, outputs)}")
    return output
