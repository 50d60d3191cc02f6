"""What is settled before anything is submitted: what is there already, what needs the network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import DefinitionError, ExecutorError
from soundgate.executors import records, reuse
from soundgate.executors.runner import Runner
from soundgate.pipeline import Pipeline
from soundgate.reuse.cache import Cache, Hit
from soundgate.runs import State

if TYPE_CHECKING:
    from soundgate.executors.base import Submission
    from soundgate.runs import Run


def check_network(pipeline: Pipeline) -> None:
    """Refuse a task that needs the network after one that runs on the cluster."""
    for task in pipeline.tasks.values():
        if not task.needs_network:
            continue
        for name in task.depends_on:
            if not pipeline.tasks[name].needs_network:
                raise DefinitionError(
                    f"task {task.name!r} needs the network and follows {name!r}, which runs on a "
                    "compute node; name a partition with network in the profile (network:)"
                )


def run_here(pipeline: Pipeline, run: Run, record: dict[str, Any], submission: Submission) -> None:
    """Run the tasks that need the network on this host, before anything is submitted.

    Raises:
        ExecutorError: one of them failed.
    """
    here = Pipeline(pipeline.name)
    here.tasks = {n: t for n, t in pipeline.tasks.items() if t.needs_network}
    if not here.tasks:
        return
    part = {**record, "tasks": {name: record["tasks"][name] for name in here.tasks}}
    with Runner(here, run, part, replace(submission, no_wait=False)) as runner:
        done = runner.execute()
    record["tasks"].update(done["tasks"])
    run.write({**record, "state": State.RUNNING})
    if done["state"] != State.SUCCEEDED:
        records.refuse(run, record, done["reason"], State(done["state"]))
        raise ExecutorError(record["reason"])


def to_submit(
    cache: Cache,
    pipeline: Pipeline,
    run: Run,
    record: dict[str, Any],
    digests: reuse.Digests,
    submission: Submission,
) -> list[str]:
    """Adopt the results that are there already; return the names of the other tasks."""
    left: dict[str, None] = {}
    for task in pipeline.tasks.values():
        if not any(name in left for name in task.depends_on):
            components = cache.components(task, digests)
            found = reuse.decide(
                cache, pipeline, task, components, run, use_cache=submission.use_cache
            )
            if isinstance(found, Hit) and _adopt(cache, run, task.name, found, record):
                reuse.add_outputs(digests, task, runs.read_mark(run.task(task.name)) or {})
                continue
        (run.task(task.name) / runs.MARK).unlink(missing_ok=True)
        left[task.name] = None
    return list(left)


def _adopt(cache: Cache, run: Run, task: str, hit: Hit, record: dict[str, Any]) -> bool:
    folder = run.task(task)
    if hit.folder != folder:
        context = runs.Context(
            task=task,
            run=run.id,
            pipeline=run.pipeline,
            commit=record["commit"],
            key=hit.mark["key"],
            attempt="0",
        )
        if cache.adopt(hit, folder, context) is None:
            return False
    return True
