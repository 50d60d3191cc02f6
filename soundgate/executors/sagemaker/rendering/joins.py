"""Plans the inputs of a job: one per artifact, with gathering jobs if there are too many.

A Processing job takes ten inputs, a Training job twenty channels. A join of more parts is gathered
by jobs that run ``soundgate.programs.gather``, in as few levels as possible.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.errors import DefinitionError
from soundgate.executors.sagemaker.rendering.locations import INPUTS, PROCESSING, TRAINING
from soundgate.task import File

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.executors.sagemaker.rendering.expressions import Expression
    from soundgate.executors.sagemaker.rendering.locations import Source
    from soundgate.task import Output, Task

MOST = {PROCESSING: 10, TRAINING: 20}
"""Inputs of a job (CreateProcessingJob, CreateTrainingJob)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One input of a job: a prefix or an object, copied to a folder before the program starts."""

    name: str
    path: str
    uri: Expression


@dataclass(frozen=True, slots=True)
class Gathering:
    """A job that copies several artifacts into one."""

    step: str
    mounts: tuple[Mount, ...]
    parts: tuple[str, ...]
    """Paths of the parts in the job, in order."""


@dataclass(slots=True)
class Reading:
    """How one job reads its artifacts."""

    mounts: list[Mount] = field(default_factory=list)
    paths: dict[Output | File, str] = field(default_factory=dict)
    gatherings: list[Gathering] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Node:
    """One input: an object or prefix, or the output of a gathering job."""

    label: str
    uri: Expression
    members: dict[Output | File, str]
    """Artifact to its path below the input."""
    can_join: bool
    depth: int = 0
    is_file: bool = False


def read(
    task: Task,
    kind: str,
    source: Callable[[Output | File], Source],
    gathered: Callable[[int], tuple[str, Expression]],
) -> Reading:
    """Plan a job's inputs.

    Args:
        task: the task.
        kind: ``processing`` or ``training``.
        source: where an artifact lies.
        gathered: returns the step name and output location of the n-th gathering job.

    Raises:
        DefinitionError: it reads more single artifacts than a job can have inputs.
    """
    nodes = _nodes(task, source)
    reading = Reading()
    while len(nodes) > MOST[kind]:
        size = min(MOST[PROCESSING], len(nodes) - MOST[kind] + 1)
        parts = sorted((n for n in nodes if n.can_join), key=lambda n: n.depth)[:size]
        if len(parts) < 2:
            raise DefinitionError(
                f"task {task.name!r} reads {len(nodes)} artifacts, but a SageMaker {kind} job has "
                f"at most {MOST[kind]} inputs: pass several of them as one InputPaths argument"
            )
        nodes = [node for node in nodes if node not in parts]
        nodes.append(_gather(parts, reading, gathered))
    for node in nodes:
        name = node.label if kind == PROCESSING else node.label.replace("/", "-")
        path = f"{INPUTS[kind]}/{name}"
        reading.mounts.append(Mount(name.replace("/", "-"), path, node.uri))
        reading.paths |= {item: f"{path}{below}" for item, below in node.members.items()}
    return reading


def _nodes(task: Task, source: Callable[[Output | File], Source]) -> list[_Node]:
    """Return one input per object or prefix.

    An artifact named by several arguments is copied once.
    """
    nodes: dict[str, _Node] = {}
    for argument, items in task.inputs.items():
        joins = task.interface[argument].kind == "inputs"
        for i, item in enumerate(items):
            found = source(item)
            key = json.dumps(found.uri, sort_keys=True)
            label = f"{argument}/{i}" if joins else argument
            node = nodes.setdefault(key, _Node(label, found.uri, {}, joins))
            node.can_join = joins and node.members.keys() <= {item}
            node.is_file = _is_file(item)
            node.members[item] = found.below
    return list(nodes.values())


def _is_file(item: Output | File) -> bool:
    return isinstance(item, File) and (item.path is None or not item.path.is_dir())


def _gather(
    parts: list[_Node], reading: Reading, gathered: Callable[[int], tuple[str, Expression]]
) -> _Node:
    step, uri = gathered(len(reading.gatherings) + 1)
    base = f"{INPUTS[PROCESSING]}/parts"
    mounts = tuple(Mount(f"parts-{i}", f"{base}/{i}", node.uri) for i, node in enumerate(parts))
    # a leaf contributes its artifact, a gathering job its whole output
    below = ["" if node.depth else next(iter(node.members.values())) for node in parts]
    paths = tuple(f"{base}/{i}{end}" for i, end in enumerate(below))
    reading.gatherings.append(Gathering(step, mounts, paths))
    members: dict[Output | File, str] = {}
    for i, node in enumerate(parts):
        for item, end in node.members.items():
            inside = end if node.depth or node.is_file else ""
            members[item] = f"/{i}{inside}"
    depth = 1 + max(node.depth for node in parts)
    return _Node(f"gathered/{len(reading.gatherings)}", uri, members, can_join=True, depth=depth)
