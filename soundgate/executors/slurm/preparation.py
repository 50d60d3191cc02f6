"""Work before a submission: reuse existing results and run the tasks that need the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate import runs
from soundgate.errors import DefinitionError, ExecutorError
from soundgate.executors import records, reuse
from soundgate.executors.running.hosts import ThisMachine
from soundgate.executors.running.runner import Runner
from soundgate.executors.running.work import Work
from soundgate.pipeline import Pipeline
from soundgate.reuse.cache import Cache
from soundgate.runs import State

if TYPE_CHECKING:
    from soundgate.executors.base import Submission
    from soundgate.executors.leftovers import Hold
    from soundgate.executors.slurm.scripts import SlurmRequest
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord, TaskMark
    from soundgate.runs import Run


def check_network(pipeline: Pipeline) -> None:
    """Refuse a task that needs the network but depends on one that runs on a compute node."""
    for task in pipeline.tasks.values():
        if not task.needs_network:
            continue
        for name in task.depends_on:
            if not pipeline.tasks[name].needs_network:
                raise DefinitionError(
                    f"task {task.name!r} needs the network and depends on {name!r}, which runs on "
                    "a compute node; set network: in the profile to a partition with network"
                )


def run_here(
    request: SlurmRequest,
    run: Run,
    record: RunRecord,
    submission: Submission,
    digests: reuse.Digests,
    hold: Hold,
) -> None:
    """Run the tasks that need the network on this host, before anything is submitted.

    What they write is added to ``digests``.

    Raises:
        ExecutorError: one of them failed.
    """
    if not request.here:
        return
    here = Pipeline(request.pipeline.name)
    here.tasks = {name: request.pipeline.tasks[name] for name in request.here}
    part: RunRecord = {**record, "tasks": {name: record["tasks"][name] for name in here.tasks}}
    work = Work(
        pipeline=here,
        run=run,
        commands=request.here,
        use_cache=request.use_cache,
        digests=digests,
        quiet=submission.quiet,
    )
    kept = records.KeptRecord(part, run.write)
    host = ThisMachine(hold=hold)
    with Runner(work, kept, host, timeout_s=submission.timeout_s) as runner:
        done = runner.execute()
    record["tasks"].update(done["tasks"])
    run.write({**record, "state": State.RUNNING})
    if done["state"] != State.SUCCEEDED:
        records.refuse(run, record, done["reason"], State(done["state"]))
        raise ExecutorError(record["reason"])


def adopt(request: SlurmRequest, run: Run, record: RunRecord, digests: reuse.Digests) -> None:
    """Take over the results that are there already; the other tasks begin without a mark.

    Raises:
        ExecutorError: a result went away since the request was rendered.
    """
    cache = Cache(run.root)
    for task in request.pipeline.tasks.values():
        hit = request.reused.get(task.name)
        if hit is None:
            (run.task(task.name) / runs.MARK).unlink(missing_ok=True)
            continue
        mark = _adopted(cache, run, task.name, hit, record)
        if mark is None:
            reason = f"the result of {task.name} that was to be reused went away: start it again"
            records.refuse(run, record, reason)
            raise ExecutorError(reason)
        reuse.add_outputs(digests, task, mark)


def _adopted(cache: Cache, run: Run, task: str, hit: Hit, record: RunRecord) -> TaskMark | None:
    folder = run.task(task)
    if hit.folder == folder:
        return hit.mark
    context = runs.Context(
        task=task,
        run=run.id,
        pipeline=run.pipeline,
        commit=record["commit"],
        key=hit.mark["key"],
        attempt="0",
    )
    return cache.adopt(hit, folder, context)
