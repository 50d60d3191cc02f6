"""A loopback AWS whose SageMaker really executes pipelines; everything else is moto's.

It speaks SageMaker's JSON protocol in front of moto's server, in this process:
``StartPipelineExecution`` runs the definition with the runner, in a thread; jobs are described, and
their logs are in CloudWatch. Pipelines, tags, model packages, S3, STS, IAM and logs are moto's.
Faults of the service can be injected: ``plane.fail("StartPipelineExecution", code=...)``.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_protocol import ServiceError, asked, encoded, invalid, page, refusal, snake
from definition_runner import Account, Cache, Execution, Faults, Refused, check
from definition_runner.account import OWN
from definition_runner.objects import read
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from definition_runner import Image
    from definition_runner.job import Job

    Answer = dict[str, Any]


@dataclass
class _Fault:
    operation: str
    error: ServiceError
    times: int


class ControlPlane:
    """The server, its account, and what was asked of it."""

    def __init__(self, folder: Path, image: Image, **settings: Any) -> None:
        """Start to serve.

        Args:
            folder: where jobs have their ``/opt/ml``.
            image: what stands for every container image.
            **settings: further fields of ``Account``.
        """
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            "127.0.0.1", 0, self._application, threaded=True, request_handler=_Quiet
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._tokens: dict[str, str] = {}
        self._versions: dict[str, list[str]] = {}
        """Of each pipeline, its definitions, oldest first."""
        self.requests: list[str] = []
        """Operations that clients asked for, in order; those of the platform itself are none."""
        self.executions: dict[str, Execution] = {}
        """By ARN, oldest first."""
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.account = Account(self.url, image, folder, on_log=self._log, **settings)
        self._logs = self.account.client("logs")

    def environment(self) -> dict[str, str]:
        """Return what points a program at this AWS."""
        return {
            **self.account.keys,
            "AWS_DEFAULT_REGION": self.account.region,
            "AWS_REGION": self.account.region,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def fail(
        self, operation: str, *, code: str, message: str = "", status: int = 400, times: int = 1
    ) -> None:
        """Let the next requests for an operation fail; ``*`` is every operation.

        S3's are GetObject, PutObject, HeadObject, DeleteObject, ListObjectsV2, CreateBucket and
        HeadBucket; an answer to a HEAD request shows only ``status``.
        """
        error = ServiceError(code, message or f"injected {code}", status)
        with self._lock:
            self._faults.append(_Fault(operation, error, times))

    def execution(self, arn: str = "") -> Execution:
        """Return an execution; the latest where no ARN is given."""
        return self.executions[arn] if arn else list(self.executions.values())[-1]

    def reset(self) -> None:
        """Forget everything: executions, cache, faults, and all that moto holds."""
        self._stop_all()
        with self._lock:
            self._faults.clear()
            self.requests.clear()
            self._tokens.clear()
            self._versions.clear()
        self.executions.clear()
        self.account.cache, self.account.faults = Cache(), Faults()
        self.account.jobs.clear()
        urllib.request.urlopen(f"{self.url}/moto-api/reset", data=b"").close()

    def close(self) -> None:
        """End every execution, then the server."""
        self._stop_all()
        self._logs.close()
        self.account.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _stop_all(self) -> None:
        for execution in self.executions.values():
            execution.stop()
            execution.wait()

    # Requests

    def _application(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        service, operation, body = asked(environ)
        own = OWN in environ.get("HTTP_USER_AGENT", "")  # the platform itself asks moto
        try:
            if not own:
                self._count(operation)
            answer = None
            if service == "sagemaker" and not own:
                answer = self._own(operation, json.loads(body))
        except ServiceError as error:
            status, kind, text = refusal(service, error)
            if environ["REQUEST_METHOD"] == "HEAD":
                text = b""
        else:
            if answer is None:
                found: Iterable[bytes] = self._moto(environ, start_response)
                return found
            status, kind, text = 200, "application/x-amz-json-1.1", encoded(answer)
        size = str(len(text))
        start_response(f"{status} -", [("Content-Type", kind), ("Content-Length", size)])
        return [text]

    def _count(self, operation: str) -> None:
        with self._lock:
            self.requests.append(operation)
            for fault in self._faults:
                if fault.operation in (operation, "*") and fault.times:
                    fault.times -= 1
                    raise fault.error

    def _own(self, operation: str, given: Answer) -> Answer | None:
        """Answer what is not left to moto."""
        handler = getattr(self, f"_{snake(operation)}", None)
        return None if handler is None else handler(given)

    # Pipelines

    def _create_pipeline(self, given: Answer) -> Answer:
        token = f"create/{given.get('ClientRequestToken', '')}"
        if token in self._tokens:  # completed once, also where it was deleted since
            return {"PipelineArn": self._tokens[token]}
        answer = self._put(self.account.sagemaker.create_pipeline, given)
        self._versions[given["PipelineName"]] = [given["PipelineDefinition"]]
        if given.get("ClientRequestToken"):
            self._tokens[token] = answer["PipelineArn"]
        return answer

    def _update_pipeline(self, given: Answer) -> Answer:
        answer = self._put(self.account.sagemaker.update_pipeline, given)
        versions = self._versions[given["PipelineName"]]
        versions.append(given.get("PipelineDefinition", versions[-1]))
        return {**answer, "PipelineVersionId": len(versions)}

    def _put(self, put: Callable[..., Answer], given: Answer) -> Answer:
        """Refuse a definition the service would refuse; moto keeps the rest."""
        if place := given.pop("PipelineDefinitionS3Location", None):
            uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
            given["PipelineDefinition"] = read(self.account.s3, uri).decode()
        try:
            definition = json.loads(given.get("PipelineDefinition", "{}"))
            if definition or "PipelineDefinition" in given:
                check(definition)
        except (ValueError, KeyError, TypeError, Refused) as error:
            raise invalid(f"{type(error).__name__}: {error}") from error
        try:
            found = put(**given)
        except self.account.sagemaker.exceptions.ClientError as error:
            told = error.response["Error"]
            raise ServiceError(told["Code"], told["Message"]) from error
        return {"PipelineArn": found["PipelineArn"]}

    def _start_pipeline_execution(self, given: Answer) -> Answer:
        name = given["PipelineName"].rpartition("/")[2]
        token = f"{name}/{given.get('ClientRequestToken', '')}"
        if given.get("ClientRequestToken") and token in self._tokens:
            return {"PipelineExecutionArn": self._tokens[token]}
        described = self._pipeline(name)
        for parameter in given.get("PipelineParameters", []):
            if not parameter["Value"]:  # as AWS answers
                raise invalid(
                    f'Parameter {parameter["Name"]!r}: string "" is too short (length: 0, '
                    "required minimum: 1)"
                )
        selection = given.get("SelectiveExecutionConfig", {})
        source = selection.get("SourcePipelineExecutionArn")
        parallel = given.get("ParallelismConfiguration") or described.get(
            "ParallelismConfiguration"
        )
        text = described["PipelineDefinition"]
        if version := given.get("PipelineVersionId"):
            text = self._versions[name][version - 1]
        try:
            execution = Execution(
                self.account,
                json.loads(text),
                pipeline=name,
                parameters_given={
                    p["Name"]: p["Value"] for p in given.get("PipelineParameters", [])
                },
                max_parallel=(parallel or {}).get("MaxParallelExecutionSteps"),
                selected=[each["StepName"] for each in selection.get("SelectedSteps", [])],
                source=self._execution({"PipelineExecutionArn": source}) if source else None,
            )
        except Refused as error:
            raise invalid(str(error)) from error
        execution.display_name = given.get("PipelineExecutionDisplayName", "")
        execution.description = given.get("PipelineExecutionDescription", "")
        self.executions[execution.arn] = execution
        self._tokens[token] = execution.arn
        execution.start()
        return {"PipelineExecutionArn": execution.arn}

    def _pipeline(self, name: str) -> Answer:
        try:
            found: Answer = self.account.sagemaker.describe_pipeline(PipelineName=name)
        except self.account.sagemaker.exceptions.ClientError as error:
            raise ServiceError("ResourceNotFound", f"Pipeline '{name}' does not exist.") from error
        return found

    def _execution(self, given: Answer) -> Execution:
        arn = given["PipelineExecutionArn"]
        if arn not in self.executions:
            raise ServiceError("ResourceNotFound", f"Pipeline execution '{arn}' does not exist.")
        return self.executions[arn]

    def _describe_pipeline_execution(self, given: Answer) -> Answer:
        execution = self._execution(given)
        found = {
            **_summary(execution),
            "PipelineArn": execution.pipeline_arn,
            "PipelineExecutionDescription": execution.description,
            "FailureReason": execution.failure_reason,
            "CreationTime": execution.created_at,
            "LastModifiedTime": execution.modified_at,
            "ParallelismConfiguration": {"MaxParallelExecutionSteps": execution.max_parallel},
        }
        if execution.selected:
            found["SelectiveExecutionConfig"] = {
                "SourcePipelineExecutionArn": execution.source_arn,
                "SelectedSteps": [{"StepName": name} for name in execution.selected],
            }
        return {name: value for name, value in found.items() if value not in ("", None)}

    def _list_pipeline_executions(self, given: Answer) -> Answer:
        name = given["PipelineName"].rpartition("/")[2]
        self._pipeline(name)
        mine = [e for e in reversed(self.executions.values()) if e.pipeline == name]
        return page(given, "PipelineExecutionSummaries", [_summary(each) for each in mine])

    def _list_pipeline_execution_steps(self, given: Answer) -> Answer:
        steps = [record.describe() for record in list(self._execution(given).steps.values())]
        if given.get("SortOrder", "Ascending") == "Descending":
            steps.reverse()
        return page(given, "PipelineExecutionSteps", steps)

    def _list_pipeline_parameters_for_execution(self, given: Answer) -> Answer:
        shown = [
            {"Name": name, "Value": str(value)}
            for name, value in self._execution(given).parameters.items()
        ]
        return page(given, "PipelineParameters", shown)

    def _describe_pipeline_definition_for_execution(self, given: Answer) -> Answer:
        execution = self._execution(given)
        text = json.dumps(execution.definition)
        return {"PipelineDefinition": text, "CreationTime": execution.created_at}

    def _stop_pipeline_execution(self, given: Answer) -> Answer:
        execution = self._execution(given)
        if execution.status != "Executing":
            raise invalid(f"Pipeline execution is {execution.status}; it cannot be stopped.")
        execution.stop()
        return {"PipelineExecutionArn": execution.arn}

    def _retry_pipeline_execution(self, given: Answer) -> Answer:
        execution = self._execution(given)
        try:
            execution.retry()
        except Refused as error:
            raise invalid(str(error)) from error
        return {"PipelineExecutionArn": execution.arn}

    # Jobs

    def _describe_processing_job(self, given: Answer) -> Answer | None:
        job = self.account.jobs.get(given["ProcessingJobName"])
        return job.describe() if job else None

    def _describe_training_job(self, given: Answer) -> Answer | None:
        job = self.account.jobs.get(given["TrainingJobName"])
        return job.describe() if job else None

    def _log(self, job: Job, lines: Sequence[str]) -> None:
        """Put a job's log where CloudWatch has it."""
        group, stream = job.log_group, job.log_stream
        known = self._logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        if not known:
            try:
                self._logs.create_log_group(logGroupName=group)
            except self._logs.exceptions.ResourceAlreadyExistsException:
                known = [group]  # two jobs ended at once
        self._logs.create_log_stream(logGroupName=group, logStreamName=stream)
        at = int(time.time() * 1000)
        events = [{"timestamp": at, "message": line or " "} for line in lines]
        for start in range(0, len(events), 1000):
            self._logs.put_log_events(
                logGroupName=group, logStreamName=stream, logEvents=events[start : start + 1000]
            )


class _Quiet(MotoRequestHandler):
    def log_request(self, *_: object) -> None:
        """Say nothing of each request."""


def _summary(execution: Execution) -> Answer:
    return {
        "PipelineExecutionArn": execution.arn,
        "StartTime": execution.created_at,
        "PipelineExecutionStatus": execution.status,
        "PipelineExecutionDisplayName": execution.display_name or f"execution-{execution.id}",
    }
