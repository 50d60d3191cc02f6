"""Definitions written by hand, and a project whose modules are their jobs' programs."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from definition_runner import Account, Execution, Image

if TYPE_CHECKING:
    from pathlib import Path

    from control_plane import ControlPlane

ROLE = "arn:aws:iam::123456789012:role/soundgate-job"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/soundgate@sha256:" + "0" * 64


def get(path: str) -> dict[str, str]:
    return {"Get": path}


def join(*values: Any, on: str = "/") -> dict[str, Any]:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def output(step: str, name: str) -> dict[str, str]:
    """The S3 prefix of another step's output."""
    return get(f"Steps.{step}.ProcessingOutputConfig.Outputs['{name}'].S3Output.S3Uri")


def json_get(step: str, file: str, path: str) -> dict[str, Any]:
    reference = get(f"Steps.{step}.PropertyFiles.{file}")
    return {"Std:JsonGet": {"PropertyFile": reference, "Path": path}}


def parameter(name: str, kind: str, default: Any = None, enum: list | None = None) -> dict:
    found = {"Name": name, "Type": kind, "DefaultValue": default, "EnumValues": enum}
    return {key: value for key, value in found.items() if value is not None}


@dataclass
class World:
    """A project, a bucket and an account to run definitions in."""

    plane: ControlPlane
    project: Path
    elsewhere: Account | None = None
    """Another account than the server's."""
    bucket: str = "artifacts"
    programs: int = 0

    @property
    def account(self) -> Account:
        return self.elsewhere or self.plane.account

    @property
    def s3(self) -> Any:
        return self.account.s3

    def program(self, code: str) -> list[str]:
        """Write a module; return the command that runs it."""
        self.programs += 1
        name = f"program_{self.programs}"
        (self.project / f"{name}.py").write_text(textwrap.dedent(code), "utf-8")
        return ["python", "-m", name]

    def processing(
        self,
        name: str,
        code: str,
        *,
        inputs: dict[str, Any] | None = None,
        outputs: tuple[str, ...] = (),
        arguments: tuple[Any, ...] = (),
        environment: dict[str, Any] | None = None,
        limit_s: int = 60,
        **step: Any,
    ) -> dict[str, Any]:
        prefix = ("s3:/", self.bucket, get("Execution.PipelineExecutionId"), name)
        return {
            "Name": name,
            "Type": "Processing",
            "Arguments": {
                "AppSpecification": {
                    "ImageUri": IMAGE,
                    "ContainerEntrypoint": self.program(code),
                    **({"ContainerArguments": list(arguments)} if arguments else {}),
                },
                "ProcessingResources": {
                    "ClusterConfig": {
                        "InstanceType": "ml.m5.large",
                        "InstanceCount": 1,
                        "VolumeSizeInGB": 10,
                    }
                },
                "RoleArn": ROLE,
                "StoppingCondition": {"MaxRuntimeInSeconds": limit_s},
                "ProcessingInputs": [
                    {
                        "InputName": key,
                        "S3Input": {
                            "S3Uri": uri,
                            "LocalPath": f"/opt/ml/processing/input/{key}",
                            "S3DataType": "S3Prefix",
                            "S3InputMode": "File",
                        },
                    }
                    for key, uri in (inputs or {}).items()
                ],
                "ProcessingOutputConfig": {
                    "Outputs": [
                        {
                            "OutputName": key,
                            "S3Output": {
                                "S3Uri": join(*prefix, key),
                                "LocalPath": f"/opt/ml/processing/output/{key}",
                                "S3UploadMode": "EndOfJob",
                            },
                        }
                        for key in outputs
                    ]
                },
                **({"Environment": environment} if environment else {}),
            },
            **step,
        }

    def training(
        self,
        name: str,
        code: str,
        *,
        channels: dict[str, Any] | None = None,
        metrics: tuple[tuple[str, str], ...] = (),
        algorithm: dict[str, Any] | None = None,
        arguments: dict[str, Any] | None = None,
        **step: Any,
    ) -> dict[str, Any]:
        inputs = [
            {
                "ChannelName": key,
                "InputMode": "File",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
            }
            for key, uri in (channels or {}).items()
        ]
        return {
            "Name": name,
            "Type": "Training",
            "Arguments": {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "ContainerEntrypoint": self.program(code),
                    "MetricDefinitions": [{"Name": n, "Regex": r} for n, r in metrics],
                    **(algorithm or {}),
                },
                **({"InputDataConfig": inputs} if inputs else {}),
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
                "ResourceConfig": {
                    "InstanceType": "ml.m5.large",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 10,
                },
                "RoleArn": ROLE,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                **(arguments or {}),
            },
            **step,
        }

    def execution(
        self, *steps: dict[str, Any], parameters: list | None = None, **more: Any
    ) -> Execution:
        """An execution of these steps, not yet started."""
        definition = {"Version": "2020-12-01", "Parameters": parameters or [], "Steps": steps}
        definition = json.loads(json.dumps(definition))
        return Execution(self.account, definition, **more)

    def run(self, *steps: dict[str, Any], **more: Any) -> Execution:
        """Run these steps to the end."""
        execution = self.execution(*steps, **more)
        execution.run()
        return execution

    def put(self, key: str, content: str = "x") -> str:
        """Put an object; return its URI."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content.encode())
        return f"s3://{self.bucket}/{key}"

    def read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def listed(self, prefix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [each["Key"] for each in listed.get("Contents", [])]


def world_in(plane: ControlPlane, folder: Path) -> World:
    """An empty project in ``folder``, which becomes the image, and an empty bucket."""
    folder.mkdir()
    plane.account.image = Image(folder)
    world = World(plane, folder)
    world.s3.create_bucket(
        Bucket=world.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    return world


WRITE = """
import pathlib, sys
pathlib.Path("/opt/ml/processing/output/out/value.txt").write_text(" ".join(sys.argv[1:]) or "x")
"""
"""Writes its arguments to the output ``out``."""

COPY = """
import pathlib
source = pathlib.Path("/opt/ml/processing/input/in/value.txt")
pathlib.Path("/opt/ml/processing/output/out/value.txt").write_text(source.read_text() + "!")
"""
"""Reads the input ``in``, writes the output ``out``."""


def archived(account: Account, uri: str) -> dict[str, bytes]:
    """The files in a ``.tar.gz`` on S3, by name."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = io.BytesIO(account.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    with tarfile.open(fileobj=body, mode="r:gz") as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        return {name: file.read() for name, file in found.items() if file is not None}
