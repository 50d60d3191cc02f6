"""Run a pipeline as a run of Kubeflow Pipelines.

The definition travels with the run instead of being registered as a pipeline first: a run is then
one request that is made or not, needs no right to change pipelines, and keeps the definition it was
made of; nothing has to be brought up to date.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import ConfigError, ParameterError, SoundgateError
from soundgate.executors import folders, records
from soundgate.executors.base import (
    NOTHING_REUSED,
    Capabilities,
    Finding,
    Options,
    PlannedTask,
    Submission,
)
from soundgate.executors.kubeflow import doctor, profile
from soundgate.executors.kubeflow.profile import UNSET
from soundgate.executors.kubeflow.rendering.compile import check_value, render
from soundgate.executors.kubeflow.rendering.components import COMMIT
from soundgate.executors.kubeflow.rendering.pods import REGISTRY
from soundgate.executors.kubeflow.service import artifacts, files, states
from soundgate.executors.kubeflow.service.client import Client
from soundgate.executors.kubeflow.service.refusals import KubeflowRefused
from soundgate.executors.kubeflow.service.watch import (
    ASKED,
    CANCELLED,
    FOLDER,
    SENT,
    Watch,
    read_sent,
    settle,
)
from soundgate.executors.pace import Pace
from soundgate.executors.reuse import reason_to_run
from soundgate.executors.waiting import wait
from soundgate.reuse.digests import digest_text
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.executors.kubeflow.rendering.request import KubeflowRequest
    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

ENDED = (states.FAILED, states.CANCELED)
"""States that a run can be tried again from."""


class KubeflowExecutor:
    """Tasks are containers on Kubernetes; see the module."""

    capabilities = Capabilities(
        shared_filesystem=False,
        renders_whole_graph=True,
        can_cancel=True,
        reuses_results=False,
        keeps_parameters=True,
        has_profiles=True,
    )

    def __init__(self, options: Options = Options()) -> None:
        """Use the site that the profile describes."""
        self.options = options
        self.profile = profile.load(options.profile)
        self.client = Client(self.profile)

    @property
    def parameter_defaults(self) -> dict[str, Any]:
        """What the site sets for parameters of any pipeline that has them."""
        return self.profile.parameters

    def render(
        self,
        pipeline: Pipeline,
        run: Run,  # noqa: ARG002 - no run in it
        *,
        use_cache: bool = True,
        reused: Mapping[str, Hit] = NOTHING_REUSED,  # noqa: ARG002 - Kubeflow decides
    ) -> KubeflowRequest:
        """Turn a pipeline into a definition; the same for every run.

        Raises:
            DefinitionError: Kubeflow cannot run it.
            MissingExtra: kfp is not installed.
        """
        return render(pipeline, self.profile, use_cache=use_cache)

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:  # noqa: ARG002
        """Tell for each task whether Kubeflow may reuse a result; only it knows which it has."""
        perhaps = "unless Kubeflow's cache has it: same image, arguments and inputs"
        return [
            PlannedTask(task.name, "run", reason_to_run(task, use_cache=use_cache) or perhaps)
            for task in pipeline.tasks.values()
        ]

    def submit(
        self, request: KubeflowRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Start the run, or go on with it, and wait; with ``no_wait`` return once it is in."""
        with folders.lock(run):
            try:
                self._check(request.pipeline)
                self.client.health()
                watch = self._send(request, run, record)
            except SoundgateError as error:
                if not _may_be_running(run):
                    records.refuse(run, record, str(error))
                raise
            record["engine_id"] = watch.sent["run_id"]
            run.write(record)
        if not submission.no_wait:
            wait(watch, run, record, submission, Pace(self.profile.poll_s))
        return record

    def poll(self, run: Run) -> RunRecord:
        """Return the run's record, brought up to date.

        Raises:
            ExecutorError: Kubeflow does not answer.
        """
        record = run.read()
        if State(record["state"]).final:
            return record
        if _is_asked(run):
            if folders.lock_holder(run) is not None:  # it is being submitted
                return record
            settle(run, self.client)
            if read_sent(run) is None:
                records.refuse(run, record, "its submission was cut off")
        if read_sent(run) is None:
            return record
        before = json.dumps(record)
        Watch.of(run, self.client).update(record)
        if json.dumps(record) != before:
            run.write(record)
        return record

    def cancel(self, run: Run) -> None:
        """Ask Kubeflow to end the run.

        Raises:
            ParameterError: it is not running.
            ExecutorError: Kubeflow refused, or does not answer.
        """
        record = self.poll(run)
        watch = Watch.of(run, self.client)
        if State(record["state"]).final:  # one that waits for its turn can be cancelled too
            records.require_running(run, record)
        watch.end(record, "cancelled by cancel-run")

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task's last attempt, as far as Kubeflow keeps it.

        Raises:
            ExecutorError: it keeps none; says where else it may be.
        """
        yield from Watch.of(run, self.client).log(run.read(), task)

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy an output from the artifact store.

        Raises:
            ConfigError: the profile does not say where artifacts are.
            ExecutorError: where it lies is not known here.
            StoreError: the store failed.
        """
        sent = Watch.of(run, self.client).sent
        state = State(run.read()["tasks"][task]["state"])
        artifacts.collect(self.profile, sent, task, output, target, state=state)

    def examine(self, root: Path) -> Iterator[Finding]:  # noqa: ARG002 - nothing lies there
        """Look for what could keep a run from working at this site."""
        return doctor.examine(self.profile, self.client)

    def _check(self, pipeline: Pipeline) -> None:
        """Refuse what would only fail in a pod."""
        for pool in (self.profile.cpu, self.profile.gpu):
            image = pool.image or self.profile.image
            if UNSET in image:
                raise ConfigError(
                    f"image: {image}: name the image with your steps in the profile, by digest"
                )
        given = {v for secret in self.profile.secrets for v in secret.keys.values()}
        given |= set(self.profile.environment)
        for task in pipeline.tasks.values():
            lacks = REGISTRY in task.environment and REGISTRY not in given
            if lacks and not self.profile.mlflow_tracking_uri:
                raise ConfigError(
                    f"task {task.name!r} uses the model registry, which pods reach only over the "
                    "network: set mlflow_tracking_uri in the profile"
                )

    def _send(self, request: KubeflowRequest, run: Run, record: RunRecord) -> Watch:
        """Start a run, or let the one that ended go on where what would be sent is the same."""
        folder = run.folder / FOLDER
        addresses = files.upload(request.pipeline, request.files, self.profile.files, run.root)
        for name, address in addresses.items():
            check_value(name, address)
        values = {**addresses, **({COMMIT: record["commit"]} if request.needs_commit else {})}
        digest = digest_text(str(request))
        settle(run, self.client)
        sent = read_sent(run)
        same = sent is not None and (sent["values"], sent["definition"]) == (values, digest)
        kept = record["tasks"].values() if sent else ()
        if sent is None or not self._goes_on(sent["run_id"], run, same=same):
            kept = ()
            about = self.options.description or f"Soundgate run {run.id}, {record['commit']}"
            sent = {
                "name": f"{request.name} {run.id}",
                "pipeline": request.name,
                "tasks": dict(request.tasks),
                "values": values,
                "definition": digest,
            }
            sent |= self._create(run, sent, about, str(request))
        (folder / CANCELLED).unlink(missing_ok=True)
        for task in record["tasks"].values():
            if task not in kept or not State(task["state"]).done:
                task.update({"state": State.PENDING, "reason": "", "note": "", "attempt": 0})
        record.update({"state": State.RUNNING, "reason": "", "ended_at": None})
        return Watch(run, self.client, sent)

    def _create(
        self, run: Run, sent: Mapping[str, Any], about: str, definition: str
    ) -> dict[str, str]:
        """Make a run; return its id and its experiment's.

        What is asked for is written down first: the answer may get lost, or who waits for it.
        """
        folder, before = run.folder / FOLDER, read_sent(run)
        name = self.profile.experiment or sent["pipeline"]
        experiment = self.client.experiment(name, make=True)
        assert experiment is not None
        folder.mkdir(parents=True, exist_ok=True)
        folders.keep_request(run, definition)
        runs.write_json(folder / ASKED, {**sent, "experiment_id": experiment})
        try:
            made = self.client.create_run(
                experiment, sent["name"], about, definition, sent["values"]
            )
        except KubeflowRefused as error:
            if not error.may_be_done:
                (folder / ASKED).unlink()
                raise
            self._settle_now(run, error)
            found = read_sent(run)
            if found is None or found == before:
                raise
            made = found["run_id"]
        ids = {"run_id": made, "experiment_id": experiment}
        runs.write_json(folder / SENT, {**sent, **ids})
        (folder / ASKED).unlink(missing_ok=True)
        return ids

    def _settle_now(self, run: Run, error: KubeflowRefused) -> None:
        try:
            settle(run, self.client)
        except KubeflowRefused:
            told = f"{error}; whether it was made all the same, show-run {run.id} will tell"
            raise KubeflowRefused(told) from error

    def _goes_on(self, run_id: str, run: Run, *, same: bool) -> bool:
        """Let a run of before go on; False where only a new one can.

        Raises:
            ExecutorError: the server does not answer.
            ParameterError: it runs, and something else would be sent now.
        """
        try:
            state = str(self.client.run(run_id).state)
            if state not in states.OVER and not same:
                raise ParameterError(
                    f"run {run.id} is still running with its earlier definition: cancel-run "
                    f"{run.id} first, or start another one"
                )
            return same and (state not in ENDED or self._retried(run_id))
        except KubeflowRefused as error:
            if error.absent:  # what it did is in the cache
                return False
            raise

    def _retried(self, run_id: str) -> bool:
        """Let a run that ended go on; False where it cannot be tried again."""
        try:
            self.client.retry(run_id)
        except KubeflowRefused:
            return str(self.client.run(run_id).state) not in ENDED
        return True


def _is_asked(run: Run) -> bool:
    return (run.folder / FOLDER / ASKED).exists()


def _may_be_running(run: Run) -> bool:
    return _is_asked(run) or read_sent(run) is not None
