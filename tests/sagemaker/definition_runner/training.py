"""A Training job: channels, hyperparameters, checkpoints, the model's archive, metrics of its log.

Sources: "How Amazon SageMaker AI Provides Training Information", "... Processes Training Output",
"Managed Spot Training", "Checkpoints in Amazon SageMaker AI", and ``CreateTrainingJob``.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from definition_runner import container, objects
from definition_runner.container import End
from definition_runner.errors import StepFailed, StepStopped
from definition_runner.job import DAY_S, REASON_CHARACTERS, Job, only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from definition_runner.container import Ended


def run(job: Job) -> None:
    """Run a job to its end, through every interruption; its artifacts are then on S3.

    Raises:
        StepFailed: an input is missing, the program failed, or the time was over.
        StepStopped: it was stopped.
    """
    started = time.monotonic()
    while (ended := _attempt(job, started)).why is End.INTERRUPTED:
        job.transitions.append(f"Interrupted {ended.code}")
        shutil.rmtree(job.ml)
    _collect(job, ended)
    if ended.why is End.STOPPED:
        job.transitions.append("Stopped")
        raise StepStopped(job.name)
    if ended.why is End.OUT_OF_TIME:
        job.transitions.append("MaxRuntimeExceeded")
        raise StepFailed("ClientError: the job was stopped: MaxRuntimeExceeded")
    if ended.code:
        failure = job.ml / "output/failure"
        said = failure.read_text("utf-8", "replace") if failure.is_file() else ""
        raise StepFailed(f"AlgorithmError: {said[:REASON_CHARACTERS]}, exit code: {ended.code}")
    job.transitions.append("Completed")


def _attempt(job: Job, started: float) -> Ended:
    """Run the program once, on an instance that may be taken away."""
    _prepare(job)
    interruption = job.account.faults.interruption(job.step)
    spot = job.arguments.get("EnableManagedSpotTraining", False)
    if interruption and not spot:
        raise NotImplementedError(f"{job.step}: only spot instances are taken away")
    limits = job.arguments["StoppingCondition"]
    limit_s = limits.get("MaxRuntimeInSeconds", DAY_S)
    if spot:  # waiting counts too, also between two instances
        left_s = limits["MaxWaitTimeInSeconds"] - (time.monotonic() - started)
        limit_s = min(limit_s, left_s)
    rules = container.Rules(
        limit_s=limit_s,
        grace_s=job.account.grace_s,
        halt=job.halt,
        interrupt=(lambda: interruption(job.ml)) if interruption else None,
    )
    with _checkpoints(job):
        return _run(job, rules)


def _prepare(job: Job) -> None:
    """Lay out ``/opt/ml``."""
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (job.ml / folder).mkdir(parents=True)
    channels = {}
    for channel in job.arguments.get("InputDataConfig", []):
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        where = f"{job.step}: channel {name}"
        only(f"{where}: S3DataType", source["S3DataType"], "S3Prefix")
        only(f"{where}: InputMode", channel.get("InputMode", "File"), "File")
        only(f"{where}: compression", channel.get("CompressionType", "None"), "None")
        objects.fetch_input(job.account.s3, source["S3Uri"], job.ml / "input/data" / name)
        channels[name] = {
            "TrainingInputMode": "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    resources = job.arguments["ResourceConfig"]
    only(f"{job.step}: InstanceCount", resources["InstanceCount"], 1)
    host = {
        "current_host": "algo-1",
        "current_instance_type": resources["InstanceType"],
        "hosts": ["algo-1"],
        "network_interface_name": "eth0",
    }
    written = {
        "hyperparameters": job.arguments.get("HyperParameters", {}),
        "inputdataconfig": channels,
        "resourceconfig": host,
    }
    for name, value in written.items():
        (job.ml / f"input/config/{name}.json").write_text(json.dumps(value), "utf-8")


@contextmanager
def _checkpoints(job: Job) -> Iterator[None]:
    """Bring the checkpoints that there are, and keep S3 up to date until the container ended."""
    config = job.arguments.get("CheckpointConfig")
    if config is None:
        yield
        return
    local = config.get("LocalPath", "/opt/ml/checkpoints")
    folder = job.ml / Path(local).relative_to("/opt/ml")
    synchronised = objects.Synchronised(job.account.s3, folder, config["S3Uri"])
    restored = synchronised.restore()
    job.transitions.append(f"Restored {restored}" if restored else "Starting")
    ended = threading.Event()

    def keep_up() -> None:
        while not ended.wait(job.account.synchronised_s):
            synchronised.push()

    thread = threading.Thread(target=keep_up, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        synchronised.push()


def _run(job: Job, rules: container.Rules) -> Ended:
    algorithm = job.arguments["AlgorithmSpecification"]
    image = job.account.image
    entrypoint = algorithm.get("ContainerEntrypoint")
    # as `docker run IMAGE train`, where the definition gives no command
    words = algorithm.get("ContainerArguments", [] if entrypoint else ["train"])
    return container.run(
        image,
        job.ml,
        [*(entrypoint or image.entrypoint), *words],
        {
            **job.account.environment(),
            "TRAINING_JOB_NAME": job.name,
            "TRAINING_JOB_ARN": job.arn,
            **job.arguments.get("Environment", {}),
        },
        rules,
        job.lines.append,
    )


def _collect(job: Job, ended: Ended) -> None:
    """Archive what the program left, read the metrics of its log."""
    output = job.arguments["OutputDataConfig"]
    base = f"{output['S3OutputPath'].rstrip('/')}/{job.name}/output"
    if any((job.ml / "output/data").iterdir()):
        objects.pack(job.account.s3, job.ml / "output/data", f"{base}/output.tar.gz")
    definitions = job.arguments["AlgorithmSpecification"].get("MetricDefinitions", [])
    job.found["FinalMetricDataList"] = _metrics(definitions, job.lines)
    if ended.code and ended.why is End.EXITED:
        return
    if output.get("CompressionType", "GZIP") == "GZIP":
        where, put = f"{base}/model.tar.gz", _packer(job)
    else:
        where, put = f"{base}/model/", _uploader(job)
    put(where)
    job.found["ModelArtifacts"] = {"S3ModelArtifacts": where}


def _packer(job: Job) -> Callable[[str], None]:
    return lambda uri: objects.pack(job.account.s3, job.ml / "model", uri)


def _uploader(job: Job) -> Callable[[str], None]:
    return lambda uri: objects.upload(job.account.s3, job.ml / "model", uri)


def _metrics(definitions: list[dict[str, str]], lines: list[str]) -> list[dict[str, Any]]:
    """Return the last value of each metric that the log shows."""
    found = []
    for definition in definitions:
        pattern = re.compile(definition["Regex"])
        matches = [match for line in lines for match in pattern.finditer(line)]
        if matches:
            found.append({"MetricName": definition["Name"], "Value": float(matches[-1][1])})
    return found
