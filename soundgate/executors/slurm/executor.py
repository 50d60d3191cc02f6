"""Run a pipeline's tasks as batch jobs of a Slurm cluster, on a shared file system.

The whole graph is submitted at once. After that the submitting host is not needed: the state of the
run follows from what its tasks wrote.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ExecutorError
from soundgate.executors import folders, records, reuse
from soundgate.executors.base import (
    NOTHING_REUSED,
    Capabilities,
    Finding,
    Options,
    PlannedTask,
    Submission,
)
from soundgate.executors.pace import Pace
from soundgate.executors.slurm import job_description, profile
from soundgate.executors.slurm.jobs import cores_of, lower
from soundgate.executors.slurm.marks import FOLDER, forget_starts
from soundgate.executors.slurm.preparation import adopt, check_network, run_here
from soundgate.executors.slurm.scripts import SlurmRequest, dependencies, is_held, script
from soundgate.executors.slurm.service import states
from soundgate.executors.slurm.service.client import ENDED, LEAVING, Client
from soundgate.executors.slurm.service.watched import WatchedJobs, end, logs_of
from soundgate.executors.waiting import wait
from soundgate.reuse.cache import Cache
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.executors.leftovers import Hold
    from soundgate.executors.slurm.jobs import Job
    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

LAST_POLL_S = 60.0
"""Longest time between two polls of the controller."""
AGAIN_S = 0.5
"""Time until missing jobs are looked up again."""


class SlurmExecutor:
    """Tasks are Slurm jobs; see the module."""

    capabilities = Capabilities(
        shared_filesystem=True,
        renders_whole_graph=True,
        can_cancel=True,
        reuses_results=True,
        keeps_parameters=False,
        has_profiles=True,
    )

    def __init__(self, options: Options = Options()) -> None:
        """Use the cluster described by the profile, or the defaults."""
        self.profile = profile.load(options.profile)
        self.parameter_defaults: Mapping[str, Any] = {}
        self.client = Client()

    def render(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        use_cache: bool = True,
        reused: Mapping[str, Hit] = NOTHING_REUSED,
    ) -> SlurmRequest:
        """Turn a pipeline into sbatch scripts. Pure: reads and writes nothing.

        Raises:
            DefinitionError: the site cannot run it.
        """
        wanted = [name for name in pipeline.tasks if name not in reused]
        here: dict[str, list[str]] = {}
        if self.profile.network is None:
            check_network(pipeline)
            first = [pipeline.tasks[n] for n in wanted if pipeline.tasks[n].needs_network]
            here = {task.name: folders.command_of(task, run) for task in first}
            wanted = [name for name in wanted if name not in here]
        jobs = lower(pipeline, self.profile, wanted)
        scripts = [script(job, run, self.profile, use_cache=use_cache) for job in jobs]
        return SlurmRequest(
            pipeline=pipeline,
            folder=str(run.folder),
            jobs=tuple(jobs),
            scripts=tuple(scripts),
            here=here,
            reused=reused,
            use_cache=use_cache,
        )

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:
        """Return for each task whether it would run or be reused, and why."""
        return reuse.plan(
            pipeline, run, use_cache=use_cache, cores=lambda task: cores_of(task, self.profile)
        )

    def submit(
        self, request: SlurmRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Submit the graph and wait for it; with ``no_wait`` return once it is submitted."""
        watcher = states.Watcher(run, request.pipeline, self.client)
        with folders.lock(run) as hold:
            if _is_over(record) or not self._in_queue(run):
                self._withdraw(run)
                self._submit_jobs(request, run, record, submission, hold)
            record["engine_id"] = ",".join(states.job_ids(run)[:1])
            watcher.look(record)
            states.conclude(record, run)
            run.write(record)
        if submission.no_wait or record["state"] != State.RUNNING:
            return record
        record = wait(WatchedJobs(watcher), run, record, submission, Pace(LAST_POLL_S))
        self._withdraw_skipped(run, record)
        return record

    def poll(self, run: Run) -> RunRecord:
        """Return the updated record of the run, with one query to the controller."""
        record = run.read()
        if record["state"] != State.RUNNING:
            return record
        description = job_description.read(run.folder / FOLDER / job_description.NAME)
        watcher = states.Watcher(run, description.pipeline, self.client)
        for look in range(states.LOOKS):
            if look and not watcher.absent:
                break
            time.sleep(AGAIN_S if look else 0)
            watcher.look(record)
        if states.conclude(record, run):
            run.write(record)
            self._withdraw_skipped(run, record)
        return record

    def cancel(self, run: Run) -> None:
        """Cancel all jobs of the run with one request.

        Raises:
            ParameterError: it is not running.
        """
        record = self.poll(run)
        records.require_running(run, record)
        end(run, self.client, "cancelled by cancel-run")
        self.poll(run)

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task, or of its job if the task never started."""
        for path in logs_of(run, task):
            with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
                yield from file

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy the outputs of a task into ``target``."""
        folders.collect(run, task, output, target)

    def examine(self, root: Path) -> Iterator[Finding]:
        """Check this cluster; submits a small job."""
        from soundgate.executors.slurm import doctor

        return doctor.examine(self.profile, self.client, root)

    # -- submitting ------------------------------------------------------------------------------

    def _withdraw(self, run: Run) -> None:
        """Cancel the rest of an earlier submission: jobs that wait for a failed one."""
        ids = states.job_ids(run)
        if ids:
            with suppress(ExecutorError):  # the controller has already purged them
                self.client.cancel(ids)

    def _withdraw_skipped(self, run: Run, record: RunRecord) -> None:
        """Take jobs that could only say that their tasks are skipped out of the queue."""
        if record["state"] == State.FAILED:
            with suppress(ExecutorError):  # they end by themselves when their turn comes
                self.client.cancel(states.job_ids(run), waiting=True)

    def _in_queue(self, run: Run) -> bool:
        """Whether jobs of an earlier submission of this run are pending or running."""
        ids = set(states.job_ids(run))
        if not ids:
            return False
        queue = self.client.queue()
        return any(
            j.id.split("_")[0] in ids and j.state not in ENDED | LEAVING for j in queue.values()
        )

    def _submit_jobs(
        self,
        request: SlurmRequest,
        run: Run,
        record: RunRecord,
        submission: Submission,
        hold: Hold,
    ) -> None:
        folders.keep_request(run, request)
        digests = reuse.file_digests(Cache(run.root), request.pipeline)
        folders.write_inputs(run, digests)
        adopt(request, run, record, digests)
        run_here(request, run, record, submission, digests, hold)
        folder = run.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        (folder / states.CANCELLED).unlink(missing_ok=True)
        forget_starts(run)
        for task in record["tasks"].values():
            if not State(task["state"]).done:
                task.update({"state": State.PENDING, "reason": "", "note": "", "attempt": 0})
        record.update({"state": State.RUNNING, "reason": "", "ended_at": None})
        job_description.JobDescription(
            run=run,
            commit=record["commit"],
            pipeline=request.pipeline,
            jobs={job.name: job_description.Share.of(job) for job in request.jobs},
            digests=digests,
            site=job_description.Site.of(self.profile),
        ).write(folder)
        self._send(request, folder)

    def _send(self, request: SlurmRequest, folder: Path) -> None:
        """Submit all jobs, then release the first ones; if one is refused, none runs."""
        sent: dict[str, Any] = {}
        ids: dict[str, str] = {}
        path = folder / states.SUBMITTED
        path.unlink(missing_ok=True)
        try:
            for job, text in zip(request.jobs, request.scripts, strict=True):
                (folder / f"{job.name}.sbatch").write_text(text, "utf-8")
                ids[job.name] = self.client.submit(text, _options(job, ids))
                elements = [list(element) for element in job.elements]
                sent[job.name] = {
                    "id": ids[job.name],
                    "elements": elements,
                    "is_array": job.is_array,
                }
                runs.write_json(path, sent)
            self.client.release(ids[job.name] for job in request.jobs if is_held(job))
        except BaseException:
            with suppress(ExecutorError):
                self.client.cancel(ids.values())
            raise


def _is_over(record: RunRecord) -> bool:
    return all(State(task["state"]).final for task in record["tasks"].values())


def _options(job: Job, ids: dict[str, str]) -> list[str]:
    edges = dependencies(job, ids.__getitem__)
    return [*(["--hold"] if is_held(job) else []), *([f"--dependency={edges}"] if edges else [])]
