"""Run a pipeline as a SageMaker Pipeline.

Submitting checks everything before it writes anything: the definition against the service's own
model, the parameters against the definition, then the bucket and the pipeline with the credentials
in use. Only then files are uploaded, the pipeline is created or updated if it differs, and an
execution starts. After that the submitting host is not needed.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from soundgate.errors import ExecutorError, ParameterError, SoundgateError
from soundgate.executors import folders, records
from soundgate.executors.base import (
    NOTHING_REUSED,
    Capabilities,
    Finding,
    Options,
    PlannedTask,
    Submission,
)
from soundgate.executors.pace import Pace
from soundgate.executors.reuse import reason_to_run, require_files
from soundgate.executors.sagemaker import doctor, profile
from soundgate.executors.sagemaker.rendering.definition import SageMakerRequest, render
from soundgate.executors.sagemaker.rendering.parameters import COMMIT
from soundgate.executors.sagemaker.service import artifacts, executions, logs, resume, states
from soundgate.executors.sagemaker.service.client import Aws, AwsRefused
from soundgate.executors.sagemaker.service.pipelines import BucketPrefix, Deployment, describe
from soundgate.executors.sagemaker.service.watched import WatchedExecution, stop
from soundgate.executors.sagemaker.validation import definition as validation
from soundgate.executors.waiting import wait
from soundgate.reuse.digests import digest_text
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

LOOK_S = 2.0
"""Within this time after a poll the last known state is shown, because SageMaker limits
requests."""
RACES = 4
"""How often a start is retried if another run changes the pipeline at the same moment."""
NOT_THIS_WAY = frozenset({"ConflictException", "ValidationException"})
"""Error codes that mean that an execution cannot be continued in the requested way."""
PROFILE_FIELDS = {
    "bucket": "bucket in the profile, or --kwargs default_bucket",
    "image_uri": "image_uri in the profile",
    "training_image_uri": "training_image_uri in the profile",
    "job_role_arn": "job_role_arn in the profile, or --kwargs role",
}
"""Profile fields that set the site's parameters."""


class SageMakerExecutor:
    """Tasks are jobs of a SageMaker Pipeline; see the module."""

    capabilities = Capabilities(
        shared_filesystem=False,
        renders_whole_graph=True,
        can_cancel=True,
        reuses_results=False,
        keeps_parameters=True,
        reads_keywords=True,
        has_profiles=True,
    )

    def __init__(self, options: Options = Options()) -> None:
        """Use the account described by ``options`` and their profile; makes no request."""
        self.options = options
        self.profile = profile.load(options)
        # a container's folder disappears with it, so fetched data sets are kept in the bucket
        kept = {"store": f"s3://{self.profile.bucket}"} if self.profile.bucket else {}
        self.parameter_defaults: Mapping[str, Any] = {**kept, **self.profile.parameters}
        self.aws = Aws(self.profile.region or "", self.profile.endpoint_url or "")
        self._readers: dict[str, logs.Reader] = {}
        self._looked_at: dict[str, float] = {}

    def render(
        self,
        pipeline: Pipeline,
        run: Run,
        *,
        use_cache: bool = True,
        reused: Mapping[str, Hit] = NOTHING_REUSED,  # noqa: ARG002 - SageMaker decides
    ) -> SageMakerRequest:
        """Render a pipeline as a definition with its files and parameter values. Pure."""
        return render(pipeline, run, self.profile, use_cache=use_cache)

    def plan(self, pipeline: Pipeline, run: Run, *, use_cache: bool) -> list[PlannedTask]:
        """Return what would run; SageMaker decides what it reuses when it reaches a step."""
        require_files(pipeline)
        validation.check(self.render(pipeline, run).definition)
        perhaps = "SageMaker decides by its cache keys: image, arguments, inputs, environment"
        planned = []
        for task in pipeline.tasks.values():
            why = "always runs (a gate)" if task.gate else reason_to_run(task, use_cache=use_cache)
            planned.append(PlannedTask(task.name, "run", why or perhaps))
        return planned

    def submit(
        self, request: SageMakerRequest, run: Run, record: RunRecord, submission: Submission
    ) -> RunRecord:
        """Start an execution and wait for it; with ``no_wait`` return once it has started."""
        with folders.lock(run):
            try:
                watcher = self._start(request, run, record)
            except SoundgateError as error:
                if not record["engine_id"]:
                    records.refuse(run, record, str(error))
                raise
            run.write(record)
        if submission.no_wait:
            return record
        watched = WatchedExecution(self.aws, run, watcher)
        return wait(watched, run, record, submission, Pace(self.profile.poll_s))

    def poll(self, run: Run) -> RunRecord:
        """Return the run's record, updated from its execution."""
        record = run.read()
        if State(record["state"]).final or not record["engine_id"]:
            return record
        if time.monotonic() - self._looked_at.get(run.id, -LOOK_S) < LOOK_S:
            return record
        watcher = states.Watcher(self.aws, record["engine_id"])
        watcher.look(record)
        self._looked_at[run.id] = time.monotonic()
        run.write(record)
        return record

    def cancel(self, run: Run) -> None:
        """Stop the run's execution and its running jobs.

        Raises:
            ParameterError: it is not running.
        """
        record = self.poll(run)
        records.require_running(run, record)
        stop(self.aws, run, record, "cancelled by cancel-run")

    def logs(self, run: Run, task: str) -> Iterator[str]:
        """Yield the log of a task's job, or the reason of a task without a job."""
        state = run.read()["tasks"][task]
        job = state["engine_id"]
        if logs.group_of(job) is None:
            if state["reason"] or state["note"]:
                yield f"{state['reason'] or state['note']}\n"
            return
        reader = self._readers.setdefault(job, logs.Reader(self.aws, job))
        yield from reader.lines()

    def collect(self, run: Run, task: str, output: str, target: Path) -> None:
        """Copy a task's output into ``target``.

        Raises:
            ParameterError: the task has not written it yet, or has no such output.
        """
        state = self.poll(run)["tasks"][task]
        if not State(state["state"]).done or logs.group_of(state["engine_id"]) is None:
            raise ParameterError(f"run {run.id}: {task} has not written {output} yet")
        artifacts.download(self.aws, state["engine_id"], output, target)

    def examine(self, root: Path) -> Iterator[Finding]:  # noqa: ARG002 - runs lie in the bucket
        """Check credentials, region, bucket, roles and images; changes nothing."""
        return doctor.examine(self.profile, self.aws)

    # -- starting ---------------------------------------------------------------------------------

    def _start(self, request: SageMakerRequest, run: Run, record: RunRecord) -> states.Watcher:
        validation.check(request.definition)
        values = self._values(request, record)
        previous = record["engine_id"]
        way = resume.Way("anew", "", "")
        if previous:
            way = resume.choose(self.aws, previous, request.definition, values)
            print(f"{run.id}: {way.why}", file=sys.stderr)
        if way.action == "watch":
            watcher = states.Watcher(self.aws, previous)
            record["state"] = State.RUNNING
            watcher.look(record)
            return watcher
        since = datetime.now(UTC)
        try:
            arn = self._go(request, values, run, way)
        except AwsRefused as error:
            if way.action == "anew" or error.code not in NOT_THIS_WAY:
                raise
            print(f"{run.id}: {error}; everything is started anew", file=sys.stderr)
            way = resume.Way("anew", str(error), previous)
            arn = self._go(request, values, run, way)
        states.reset(record, keep=way.action != "anew", steps=way.steps)
        record["engine_id"] = arn
        run.write(record)
        return states.Watcher(self.aws, arn, since if way.action == "retry" else None)

    def _go(
        self, request: SageMakerRequest, values: Mapping[str, Any], run: Run, way: resume.Way
    ) -> str:
        """Start an execution, or continue an earlier one; return its ARN."""
        if way.action == "retry":
            return self._retry(way.source)
        return self._deploy(request, values, run, way)

    def _values(self, request: SageMakerRequest, record: RunRecord) -> dict[str, Any]:
        """The parameters of this execution: those of the request, and the commit."""
        declared = {each["Name"]: each for each in request.definition.get("Parameters", [])}
        values = dict(request.parameters)
        if COMMIT in declared:
            values[COMMIT] = record["commit"]
        for name, where in PROFILE_FIELDS.items():
            default = declared.get(name, {"DefaultValue": ""}).get("DefaultValue")
            if values.get(name, default) is None or values.get(name) == "":
                raise ParameterError(f"{name} is missing: set {where}")
        if not request.role_arn:
            raise ParameterError(
                "the pipeline has no role: pass --role-arn, or set pipeline_role_arn in the profile"
            )
        validation.check_start(request.definition, values)
        return values

    def _deploy(
        self, request: SageMakerRequest, values: Mapping[str, Any], run: Run, way: resume.Way
    ) -> str:
        """Upload files, update the pipeline and start an execution; return its ARN."""
        deployment = Deployment(
            self.aws,
            name=request.name,
            definition=request.definition,
            role_arn=request.role_arn,
            description=request.pipeline.description,
            max_parallel=self.profile.max_parallel,
            tags=self.profile.tag_list,
        )
        bucket = str(values["bucket"])
        deployment.look()
        artifacts.check_bucket(self.aws, bucket)
        prefix = BucketPrefix(artifacts.open_bucket(self.aws, bucket), bucket, self.profile.prefix)
        folders.keep_request(run, request)
        artifacts.upload(prefix.store, ((each.key, each.file) for each in request.uploads))
        for attempt in range(RACES):
            try:
                deployment.apply(prefix)
                arn = self._execute(deployment, values, run, way, attempt)
            except BaseException:
                deployment.take_back()
                raise
            if self._is_meant(deployment, arn):
                return arn
            print(f"{run.id}: another run has just changed {request.name}", file=sys.stderr)
            self.aws.change("sagemaker", "stop_pipeline_execution", PipelineExecutionArn=arn)
        raise ExecutorError(
            f"pipeline {request.name}: gave up: the pipeline was modified concurrently by other "
            "runs"
        )

    def _is_meant(self, deployment: Deployment, arn: str) -> bool:
        """Whether an execution uses the definition that was meant.

        Another run may change the pipeline just before the start. A version created here is started
        by its number, so it cannot be confused.
        """
        if deployment.version is not None:
            return True
        try:
            return deployment.is_wanted(executions.definition_of(self.aws, arn))
        except AwsRefused:
            return True  # it runs; waiting for it will report the problem

    def _execute(
        self,
        deployment: Deployment,
        values: Mapping[str, Any],
        run: Run,
        way: resume.Way,
        attempt: int,
    ) -> str:
        about = describe(self.options.description or f"soundgate run {run.id}")
        more = self._limits()
        if deployment.version is not None:
            more["PipelineVersionId"] = deployment.version
        if way.steps:
            more["SelectiveExecutionConfig"] = {
                "SourcePipelineExecutionArn": way.source,
                "SelectedSteps": [{"StepName": step} for step in way.steps],
            }
        answer = self.aws.call(
            "sagemaker",
            "start_pipeline_execution",
            PipelineName=deployment.name,
            PipelineExecutionDisplayName=run.id,
            PipelineExecutionDescription=about,
            PipelineParameters=[
                # an empty text is refused; it is always the default, which then counts
                {"Name": name, "Value": str(value)}
                for name, value in sorted(values.items())
                if value != ""
            ],
            # a submitter killed before the answer arrived gets the same execution when it resumes
            ClientRequestToken=digest_text(
                way.action, run.id, deployment.text, way.source, str(attempt)
            ),
            **more,
        )
        return str(answer["PipelineExecutionArn"])

    def _retry(self, arn: str) -> str:
        self.aws.call(
            "sagemaker", "retry_pipeline_execution", PipelineExecutionArn=arn, **self._limits()
        )
        return arn

    def _limits(self) -> dict[str, Any]:
        """Return the configured number of parallel steps, if any."""
        if not self.profile.max_parallel:
            return {}
        limit = {"MaxParallelExecutionSteps": self.profile.max_parallel}
        return {"ParallelismConfiguration": limit}
