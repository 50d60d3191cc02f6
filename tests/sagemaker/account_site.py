"""A pipeline by the command line on the account that stands for SageMaker, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import boto3
import yaml
from aed_identity import routines
from jobs_by_hand import ROLE, archived

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "soundgate-artifacts"
STORE = f"s3://{BUCKET}/store"
IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/soundgate@sha256:{'0' * 64}"
CORES = sorted(os.sched_getaffinity(0))
"""Weights depend on how many threads there are. Jobs have every core, as the run has that tests
share; where a run on this machine goes on beside them, each side has one."""
PROFILE = {
    "region": "eu-west-1",
    "bucket": BUCKET,
    "image_uri": IMAGE,
    "training_image_uri": IMAGE.replace("soundgate", "soundgate-gpu"),
    "pipeline_role_arn": ROLE,
    "job_role_arn": ROLE,
    "spot": True,
    "poll_s": 0.2,
    "parameters": {"store": STORE},
}


class Site:
    """An account, a profile for it, and the folder of runs of whoever submits."""

    def __init__(
        self, plane, folder: Path, pipeline: str, settings: tuple[str, ...], **profile: object
    ) -> None:
        self.plane, self.folder, self.pipeline, self.settings = plane, folder, pipeline, settings
        self.profile = folder / "site.yaml"
        self.profile.write_text(yaml.safe_dump({**PROFILE, **profile}), "utf-8")

    def run(
        self,
        *more: str,
        words: tuple[str, ...] = (),
        code: int = 0,
    ) -> dict:
        """Run the pipeline by the command line; return its record."""
        sets = [word for setting in (*self.settings, *more) for word in ("--set", setting)]
        command = ("run-pipeline", "-n", f"pipelines.{self.pipeline}", "--executor", "sagemaker")
        done = cli(
            *(*command, "--profile", self.profile, "--output", "json", *words, *sets),
            runs=self.folder / "runs",
            **self.plane.environment(),
        )
        assert done.returncode == code, done.stdout + done.stderr + self.plane.execution().why()
        return json.loads(done.stdout)

    def execution(self):
        """Return the latest execution."""
        return self.plane.execution()

    def read(self, execution, step: str, output: str, file: str) -> bytes:
        """Return a file of a step's output."""
        outputs = execution.steps[step].properties["ProcessingOutputConfig"]["Outputs"]
        [uri] = [o["S3Output"]["S3Uri"] for o in outputs if o["OutputName"] == output]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.plane.account.s3.get_object(Bucket=bucket, Key=f"{key}/{file}")["Body"].read()

    def again(self, *selected: str, **parameters: str):
        """Execute some steps with the rest of the first execution; return the execution."""
        given = {name: str(value) for name, value in self.first.parameters.items()}
        client = boto3.client(
            "sagemaker",
            endpoint_url=self.plane.url,
            region_name=self.plane.account.region,
            aws_access_key_id=self.plane.account.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.plane.account.keys["AWS_SECRET_ACCESS_KEY"],
        )  # a user's: the account's own is the platform's
        arn = client.start_pipeline_execution(
            PipelineName=self.pipeline,
            # SageMaker takes no empty value; an empty default needs none.
            PipelineParameters=[
                {"Name": n, "Value": v} for n, v in {**given, **parameters}.items() if v
            ],
            SelectiveExecutionConfig={
                "SourcePipelineExecutionArn": self.first.arn,
                "SelectedSteps": [{"StepName": name} for name in selected],
            },
        )["PipelineExecutionArn"]
        client.close()
        execution = self.plane.execution(arn)
        execution.wait()
        return execution

    def model(self, execution) -> dict[str, bytes]:
        """Return the files of a training's model.tar.gz."""
        artifacts = execution.steps["train"].properties["ModelArtifacts"]
        return archived(self.plane.account, artifacts["S3ModelArtifacts"])

    def evaluation(self, execution) -> dict:
        return json.loads(self.read(execution, "evaluate", "report", "evaluation.json"))


def cli(*words: object, runs: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "soundgate.cli", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(runs), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )


@contextmanager
def empty(plane, cores=CORES):
    """The account with an empty bucket, this checkout its image, numbers printed as Java does."""
    plane.reset()
    account = plane.account
    image = account.image
    account.image = replace(image, project=ROOT, cores=cores, environment=routines())
    account.java_numbers = True
    account.s3.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield
    account.image, account.java_numbers = image, False
