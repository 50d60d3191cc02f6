"""Groups the tasks of a pipeline into Slurm jobs.

A map becomes a job array. Tasks with short time limits share a job, because the scheduler spends
about a second on each job: a chain becomes one job, and an array element takes several items.

Whether a task may start is decided on its node, by the finished marks of what it needs, so that a
failed task cancels only what reads it. Slurm only says when to look: a job begins once the jobs it
waits for are over, however they ended. What a job's exit says is for Slurm alone: it is 0 where any
of its tasks is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from soundgate.errors import DefinitionError
from soundgate.task import Resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.executors.slurm.profile import Partition, Profile
    from soundgate.pipeline import Pipeline
    from soundgate.task import Task

CPU, GPU, NETWORK = "cpu", "gpu", "network"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One submission: a batch job or a job array."""

    name: str
    kind: str  # "cpu" | "gpu" | "network"
    elements: tuple[tuple[str, ...], ...]
    """The tasks of each element in running order; a plain job has one element."""
    resources: Resources
    """Resources of one element; ``hours`` is the sum over its tasks."""
    after: tuple[str, ...] = ()
    """Jobs that must be over, whether they failed or not (afterany)."""
    element_wise: tuple[str, ...] = ()
    """Arrays whose element of the same number each element waits for (aftercorr).

    Slurm has no such dependency on an element that failed: it cancels the element that waits for
    it. Nothing is lost, because every task there reads from the element that failed."""
    is_array: bool = False
    why: str = ""
    """What was grouped and why; empty if nothing was."""

    @property
    def tasks(self) -> list[str]:
        """All tasks, in order."""
        return [task for element in self.elements for task in element]


@dataclass(slots=True, eq=False)
class _Draft:
    """A job to which tasks can still be added."""

    name: str
    kind: str
    elements: list[list[str]]
    is_array: bool = False
    hours: float = math.inf
    """Sum of its tasks' time limits; infinite if it takes no more tasks."""
    inside: set[str] = field(default_factory=set)
    outside: frozenset[str] = frozenset()
    """Tasks in other jobs that it waits for."""


def kind_of(task: Task) -> str:
    """Return the kind of partition for a task."""
    if task.needs_network:
        return NETWORK
    return GPU if task.resources.gpus else CPU


def partition_of(kind: str, profile: Profile) -> Partition:
    """The partition for a kind of task."""
    if kind == NETWORK and profile.network is not None:
        return profile.network
    return profile.gpu if kind == GPU else profile.cpu


def fitted(needs: Resources, where: Partition) -> Resources:
    """Limit requests to what a node has, so that a small cluster can run every pipeline."""
    gpus = needs.gpus if where.max_gpus is None else min(needs.gpus, where.max_gpus)
    return replace(
        needs,
        cpus=min(needs.cpus, where.max_cpus or needs.cpus),
        memory_gb=min(needs.memory_gb, where.max_memory_gb or needs.memory_gb),
        gpus=gpus,
        processes=min(needs.processes, gpus) if gpus else needs.processes,
    )


def cores_of(task: Task, profile: Profile) -> int:
    """Return how many cores a task gets on this cluster."""
    return fitted(task.resources, partition_of(kind_of(task), profile)).cpus


def lower(pipeline: Pipeline, profile: Profile, names: Iterable[str] | None = None) -> list[Job]:
    """Put tasks into jobs, in an order that respects their edges.

    Args:
        pipeline: the pipeline.
        profile: the site.
        names: the tasks to submit; all if omitted. Outputs they need from other tasks are
            assumed to exist.

    Raises:
        DefinitionError: a task asks for more time than its partition allows.
    """
    wanted = set(pipeline.tasks if names is None else names)
    tasks = {name: task for name, task in pipeline.tasks.items() if name in wanted}
    for task in tasks.values():
        _check_hours(task, profile)
    drafts: dict[int, _Draft] = {}
    home: dict[str, _Draft] = {}
    short: dict[tuple[str, frozenset[str]], _Draft] = {}
    groups = _groups(tasks.values())
    for task in tasks.values():
        if task.name in home:
            continue
        if task.group:
            made = _arrays(groups[task.group], profile)
        else:
            made = [_single(task, tasks, home, short, profile)]
        for draft in made:
            drafts[id(draft)] = draft
            for element in draft.elements:
                home.update(dict.fromkeys(element, draft))
    order = _ordered(list(drafts.values()), tasks, home)
    return [_finished(draft, tasks, home, profile) for draft in order]


def _check_hours(task: Task, profile: Profile) -> None:
    limit = partition_of(kind_of(task), profile).max_hours
    if limit is not None and task.resources.hours > limit:
        raise DefinitionError(
            f"task {task.name!r} asks for {task.resources.hours:g} h, but its partition allows "
            f"{limit:g} h; lower Resources(hours=) or raise max_hours in the profile"
        )


def _is_short(task: Task, profile: Profile) -> bool:
    return task.resources.hours * 60 <= profile.short_minutes and task.resources.nodes == 1


def _groups(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for task in tasks:
        if task.group:
            found.setdefault(task.group, []).append(task)
    return found


def _single(
    task: Task,
    tasks: Mapping[str, Task],
    home: Mapping[str, _Draft],
    short: dict[tuple[str, frozenset[str]], _Draft],
    profile: Profile,
) -> _Draft:
    """Append a short task to a job that already waits for everything it needs, else make a job."""
    needs = frozenset(name for name in task.depends_on if name in tasks)
    kind, hours = kind_of(task), task.resources.hours
    if not _is_short(task, profile):
        return _Draft(task.name, kind, [[task.name]], outside=needs)
    like_it = short.get((kind, needs))
    for draft in [*(home[name] for name in needs), *([like_it] if like_it else [])]:
        fits = (draft.hours + hours) * 60 <= profile.job_minutes and draft.kind == kind
        if fits and needs <= draft.inside | draft.outside:
            draft.elements[0].append(task.name)
            draft.inside.add(task.name)
            draft.hours += hours
            return draft
    draft = _Draft(task.name, kind, [[task.name]], False, hours, {task.name}, needs)
    short[kind, needs] = draft
    return draft


def _arrays(members: Sequence[Task], profile: Profile) -> list[_Draft]:
    """The arrays of a map; items that ask for other resources are an array of their own."""
    alike: dict[tuple[str, Resources], list[Task]] = {}
    for task in members:
        alike.setdefault((kind_of(task), task.resources), []).append(task)
    arrays = [part for each in alike.values() for part in _elements(each, profile)]
    made = []
    for number, part in enumerate(arrays, 1):
        # a job's name is a label: what is kept, and reused, goes by the tasks' names
        label = members[0].group if len(arrays) == 1 else f"{members[0].group}-{number}"
        kind = kind_of(next(task for task in members if task.name == part[0][0]))
        made.append(_Draft(label, kind, part, is_array=True))
    return made


def _elements(members: Sequence[Task], profile: Profile) -> list[list[list[str]]]:
    """Arrays of elements: as few elements as short tasks allow, no array larger than allowed."""
    size = 1
    if all(_is_short(task, profile) for task in members):
        longest = max(task.resources.hours for task in members) * 60
        size = max(1, math.floor(profile.job_minutes / longest))
        # fewer elements than the throttle would leave allowed slots unused
        size = min(size, math.ceil(len(members) / profile.throttle))
    names = [task.name for task in members]
    elements = [names[i : i + size] for i in range(0, len(names), size)]
    most = profile.array_size
    return [elements[first : first + most] for first in range(0, len(elements), most)]


def _ordered(
    drafts: Sequence[_Draft], tasks: Mapping[str, Task], home: Mapping[str, _Draft]
) -> list[_Draft]:
    """Return jobs in an order in which each comes after those it waits for."""
    order: list[_Draft] = []
    seen: set[int] = set()

    waiting = [(draft, False) for draft in reversed(drafts)]
    while waiting:
        draft, expanded = waiting.pop()
        if expanded:
            order.append(draft)
            continue
        if id(draft) in seen:
            continue
        seen.add(id(draft))
        waiting.append((draft, True))
        waiting += [(other, False) for other in _upstream(draft, tasks, home)]
    return order


def _upstream(draft: _Draft, tasks: Mapping[str, Task], home: Mapping[str, _Draft]) -> list[_Draft]:
    found: dict[int, _Draft] = {}
    for element in draft.elements:
        for name in element:
            for needed in tasks[name].depends_on:
                other = home.get(needed)
                if other is not None and other is not draft:
                    found[id(other)] = other
    return list(found.values())


def _finished(
    draft: _Draft, tasks: Mapping[str, Task], home: Mapping[str, _Draft], profile: Profile
) -> Job:
    element_wise: list[str] = []
    after: list[str] = []
    for other in _upstream(draft, tasks, home):
        matched = _matches(draft, other, tasks)
        (element_wise if matched else after).append(other.name)
    return Job(
        name=draft.name,
        kind=draft.kind,
        elements=tuple(tuple(element) for element in draft.elements),
        resources=fitted(
            _resources([[tasks[n] for n in element] for element in draft.elements]),
            partition_of(draft.kind, profile),
        ),
        after=tuple(after),
        element_wise=tuple(element_wise),
        is_array=draft.is_array,
        why=_why(draft, profile),
    )


def _matches(draft: _Draft, other: _Draft, tasks: Mapping[str, Task]) -> bool:
    """Whether each task needs something of the element of the same number of ``other``, no more."""
    if not (draft.is_array and other.is_array) or len(draft.elements) != len(other.elements):
        return False
    theirs = {name: k for k, element in enumerate(other.elements) for name in element}
    return all(
        {theirs[needed] for needed in tasks[name].depends_on if needed in theirs} == {k}
        for k, element in enumerate(draft.elements)
        for name in element
    )


def _resources(elements: Sequence[Sequence[Task]]) -> Resources:
    every = [task.resources for element in elements for task in element]
    nodes = max(r.nodes for r in every)
    return Resources(
        cpus=max(r.cpus for r in every),
        gpus=max(r.gpus for r in every),
        memory_gb=max(r.memory_gb for r in every),
        hours=max(sum(task.resources.hours for task in element) for element in elements),
        nodes=nodes,
        # of a job of one node each task says for itself
        processes=max(r.processes for r in every) if nodes > 1 else 0,
    )


def _why(draft: _Draft, profile: Profile) -> str:
    most = max(len(element) for element in draft.elements)
    if most == 1:
        return ""
    limit = f"time limits of at most {profile.short_minutes:g} min"
    if draft.is_array:
        return f"{most} elements of the map in one job: {limit}"
    return f"{', '.join(draft.elements[0])} in one job: {limit}"
