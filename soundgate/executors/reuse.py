"""Decides which tasks run and which results are reused, with reasons."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.executors.base import PlannedTask
from soundgate.reuse import snapshot
from soundgate.reuse.cache import Cache, Hit, Miss
from soundgate.task import File, Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Components
    from soundgate.reuse.snapshot import Snapshot
    from soundgate.run_record import TaskMark
    from soundgate.runs import Run
    from soundgate.task import Task

Digests = dict[Output | File, str]
SWITCHED_OFF = "always runs (--no-cache)"
OPTS_OUT = "always runs (reuse is off for this task)"


def require_files(pipeline: Pipeline) -> None:
    """Refuse a pipeline whose declared files do not all exist.

    Raises:
        ParameterError: names the file and the task that reads it.
    """
    for task in pipeline.tasks.values():
        for name, items in task.inputs.items():
            for item in items:
                if not isinstance(item, File) or item.text is not None:
                    continue
                if not (item.path and item.path.exists()):
                    raise ParameterError(
                        f"{item.path}: no such file or folder; task {task.name!r} reads it as "
                        f"{name!r}: correct the path"
                    )


def file_digests(cache: Cache, pipeline: Pipeline) -> Digests:
    """Return the digests of every file known at submit.

    Raises:
        ParameterError: one of them is absent.
    """
    require_files(pipeline)
    digests: Digests = {}
    for task in pipeline.tasks.values():
        for items in task.inputs.values():
            for item in items:
                if isinstance(item, File) and item not in digests:
                    digests[item] = cache.file_digest(item)
    return digests


def reason_to_run(task: Task, *, use_cache: bool) -> str:
    """Return why a task always runs; empty if an earlier result may be reused."""
    if not use_cache:
        return SWITCHED_OFF
    if not task.reuse:
        return OPTS_OUT
    return "always runs (its output names the run)" if task.names_run else ""


def decide(
    cache: Cache,
    pipeline: Pipeline,
    task: Task,
    components: Components,
    run: Run,
    *,
    use_cache: bool,
) -> Hit | Miss:
    """Return a result that can be reused, or the reason to run the task."""
    finished = cache.result(run.task(task.name), cache.key(components))
    if finished is not None:  # this run finished the task before it was interrupted
        return _looked_after(task, finished, run)
    if not use_cache:
        return Miss(SWITCHED_OFF)
    if not task.reuse:
        return Miss(OPTS_OUT)
    return _looked_after(task, cache.lookup(pipeline.name, task, components), run)


def _looked_after(task: Task, found: Hit | Miss, run: Run) -> Hit | Miss:
    """Look whether what a task did outside its outputs still stands, where its step can tell.

    A model that was registered may have been deleted since, and its folder would not show it. The
    step's module then has a function ``undone``, which takes the folders of the outputs by name and
    the folder of all runs, and returns why the task must run again; empty where it need not.
    """
    undone = getattr(importlib.import_module(task.module), "undone", None)
    if undone is None or isinstance(found, Miss):
        return found
    outputs = {name: found.folder / name for name in found.mark["outputs"]}
    reason = undone(outputs, run.root)
    return Miss(reason) if reason else found


def add_outputs(digests: Digests, task: Task, mark: TaskMark) -> None:
    """Add the digests of a task's outputs to ``digests``."""
    for name, output in mark["outputs"].items():
        digests[Output(task.name, name)] = output["digest"]


def begin(
    cache: Cache, task: Task, digests: Digests, run: Run, cores: int
) -> tuple[Components, Snapshot]:
    """Look at all that a task reads, right before it starts: files may have changed since submit.

    Returns:
        What its key is made of now, and the files as they are now.
    """
    seen = snapshot.take(task, cache.sources, lambda item: run.task(item.task) / item.name)
    for items in task.inputs.values():
        for item in items:
            if isinstance(item, File):
                digests[item] = cache.file_digest(item)
    return cache.components(task, digests, cores), seen


def conclude(
    cache: Cache,
    pipeline: Pipeline,
    task: Task,
    run: Run,
    components: Components,
    seen: Snapshot,
) -> str:
    """Remember a result under its key.

    Returns:
        Why it is not remembered: something it is made of changed while it was made, or it was ended
        early. Empty where it is.
    """
    now = snapshot.take(task, cache.sources, lambda item: run.task(item.task) / item.name)
    folder = run.task(task.name)
    mark, changed = runs.read_mark(folder), seen.difference(now)
    doubt = f"{changed} while it ran" if changed else mark.get("early", "") if mark else ""
    if doubt:
        cache.disown(folder)
    else:
        cache.record(pipeline.name, task.name, components, folder)
    return doubt


def plan(
    pipeline: Pipeline, run: Run, *, use_cache: bool, cores: Callable[[Task], int]
) -> list[PlannedTask]:
    """Return for each task whether it would run or be reused, and why. Starts nothing.

    Args:
        pipeline: the pipeline.
        run: the run that would be made.
        use_cache: whether results may be reused.
        cores: how many a task would be given.
    """
    cache = Cache(run.root)
    digests = file_digests(cache, pipeline)
    waiting: set[str] = set()
    planned = []
    for task in pipeline.tasks.values():
        upstream = [name for name in task.depends_on if name in waiting]
        if upstream:
            reason = f"depends on {', '.join(upstream)}; reused if that writes the same bytes"
        else:
            components = cache.components(task, digests, cores(task))
            found = decide(cache, pipeline, task, components, run, use_cache=use_cache)
            if isinstance(found, Hit):
                planned.append(PlannedTask(task.name, "reuse", found.reason, found))
                add_outputs(digests, task, found.mark)
                continue
            reason = found.reason
        waiting.add(task.name)
        planned.append(PlannedTask(task.name, "run", reason))
    return planned
