"""A Processing job: inputs and outputs lie where the definition says, the rest is its program's.

Sources: "Build Your Own Processing Container" (paths, ``/opt/ml/config``,
``/opt/ml/output/message``) and ``CreateProcessingJob``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from definition_runner import container, objects
from definition_runner.errors import StepFailed, StepStopped
from definition_runner.job import DAY_S, REASON_CHARACTERS, Job, only

if TYPE_CHECKING:
    from definition_runner.container import Ended


def run(job: Job) -> None:
    """Run a job to its end; its outputs are then on S3.

    Raises:
        StepFailed: an input is missing, or the program failed.
        StepStopped: it was stopped.
    """
    _prepare(job)
    ended = _run(job)
    message = job.ml / "output/message"
    if message.is_file():
        job.message = message.read_text("utf-8", "replace")[:REASON_CHARACTERS]
    if ended.why is container.End.STOPPED:
        raise StepStopped(job.name)
    if ended.why is container.End.OUT_OF_TIME:
        raise StepFailed("ClientError: the job exceeded its MaxRuntimeInSeconds")
    if ended.code:
        raise StepFailed(f"AlgorithmError: {job.message}, exit code: {ended.code}")
    for output in job.arguments.get("ProcessingOutputConfig", {}).get("Outputs", []):
        destination = output["S3Output"]
        only(f"{job.step}: S3UploadMode", destination["S3UploadMode"], "EndOfJob")
        objects.upload(job.account.s3, _host(job, destination["LocalPath"]), destination["S3Uri"])


def _prepare(job: Job) -> None:
    """Lay out ``/opt/ml``."""
    for folder in ("config", "output", "processing"):
        (job.ml / folder).mkdir(parents=True)
    for given in job.arguments.get("ProcessingInputs", []):
        source = given["S3Input"]
        where = f"{job.step}: input {given['InputName']}"
        only(f"{where}: S3DataType", source["S3DataType"], "S3Prefix")
        only(f"{where}: S3InputMode", source.get("S3InputMode", "File"), "File")
        only(f"{where}: compression", source.get("S3CompressionType", "None"), "None")
        objects.fetch_input(job.account.s3, source["S3Uri"], _host(job, source["LocalPath"]))
    for output in job.arguments.get("ProcessingOutputConfig", {}).get("Outputs", []):
        _host(job, output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    cluster = job.arguments["ProcessingResources"]["ClusterConfig"]
    only(f"{job.step}: InstanceCount", cluster["InstanceCount"], 1)
    described = {
        "ProcessingJobArn": job.arn,
        "ProcessingJobName": job.name,
        **{name: value for name, value in job.arguments.items() if name != "Tags"},
    }
    host = {"current_host": "algo-1", "hosts": ["algo-1"]}
    for name, value in (("processingjobconfig", described), ("resourceconfig", host)):
        (job.ml / f"config/{name}.json").write_text(json.dumps(value), "utf-8")


def _host(job: Job, path: str) -> Path:
    """Return where a path of the container lies on this machine."""
    if not path.startswith("/opt/ml/"):
        raise StepFailed(f"ClientError: LocalPath {path!r} is not below /opt/ml/")
    return job.ml / Path(path).relative_to("/opt/ml")


def _run(job: Job) -> Ended:
    program = job.arguments["AppSpecification"]
    image = job.account.image
    argv = [
        *(program.get("ContainerEntrypoint") or image.entrypoint),
        *program.get("ContainerArguments", []),
    ]
    limit = job.arguments.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", DAY_S)
    return container.run(
        image,
        job.ml,
        argv,
        {
            **job.account.environment(),
            "PROCESSING_JOB_NAME": job.name,
            "PROCESSING_JOB_ARN": job.arn,
            **job.arguments.get("Environment", {}),
        },
        container.Rules(limit_s=limit, grace_s=job.account.grace_s, halt=job.halt),
        job.lines.append,
    )
