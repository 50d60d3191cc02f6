"""What a build is told of the account, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Stack

from infra.stacks import permissions
from infra.stacks.permissions import JOB_PREFIX, Grant, sagemaker_arn
from infra.stacks.roles import JOB_KINDS

if TYPE_CHECKING:
    from constructs import Construct

    from infra.settings import Settings
    from infra.stacks.roles import Roles
    from infra.stacks.storage import Storage

OF_PIPELINES = (
    "AddTags",
    "CreatePipeline",
    "DeletePipeline",
    "DescribePipeline",
    "DescribePipelineDefinitionForExecution",
    "DescribePipelineExecution",
    "ListPipelineExecutionSteps",
    "ListPipelineParametersForExecution",
    "ListTags",
    "RetryPipelineExecution",
    "StartPipelineExecution",
    "StopPipelineExecution",
    "UpdatePipeline",
)
"""What ``run-pipeline`` and the commands that look ask of SageMaker; a pipeline is deleted where it
was just made and could not be started."""
PREFIX = "soundgate/"
"""Of the artifact bucket: what executions leave there, and the files they are started with."""


@dataclass(frozen=True, slots=True)
class Site:
    """One project in one account."""

    settings: Settings
    storage: Storage
    roles: Roles
    tracking_arn: str
    """Of MLflow; empty where there is none."""

    def variables(self, scope: Construct) -> dict[str, str]:
        """Return the environment of a build: the variables of the project templates, and ours."""
        settings = self.settings
        known = {
            "SAGEMAKER_PROJECT_NAME": settings.project_name,
            "SAGEMAKER_PROJECT_ID": settings.project_id,
            "SAGEMAKER_PROJECT_NAME_ID": settings.name,
            "ARTIFACT_BUCKET": self.storage.artifacts.bucket_name,
            "SAGEMAKER_PIPELINE_ROLE_ARN": self.roles.pipeline.role_arn,
            "SAGEMAKER_JOB_ROLE_ARN": self.roles.job.role_arn,
            "SAGEMAKER_KMS_KEY_ARN": self.storage.key.key_arn,
            "AWS_REGION": Stack.of(scope).region,
            "USECASE_NAME": settings.usecase,
        }
        return known | ({"MLFLOW_TRACKING_URI": self.tracking_arn} if self.tracking_arn else {})

    def submitting(self, scope: Construct) -> list[Grant]:
        """What whoever runs ``run-pipeline --executor sagemaker`` needs."""
        pipeline = sagemaker_arn(scope, "pipeline", self.settings.name.lower())
        return [
            Grant(
                actions=[f"sagemaker:{operation}" for operation in OF_PIPELINES],
                resources=[pipeline, f"{pipeline}/*"],
                because="SageMaker names the executions of the project's one pipeline itself",
            ),
            *[
                Grant(
                    actions=[f"sagemaker:Describe{operation}"],
                    resources=[sagemaker_arn(scope, kind, f"{JOB_PREFIX}*")],
                    because="SageMaker names the jobs of its pipelines, all with this prefix",
                )
                for kind, operation in JOB_KINDS.items()
            ],
            Grant(
                actions=["logs:DescribeLogStreams", "logs:GetLogEvents"],
                resources=[
                    permissions.log_group_arn(scope, f"/aws/sagemaker/{operation}s:*")
                    for operation in JOB_KINDS.values()
                ],
                because="the log streams of a job are called after it",
            ),
            Grant(
                actions=["sagemaker:ListPipelines"],
                resources=["*"],
                because="whether SageMaker answers is seen by a list, which knows no resource",
            ),
            permissions.pass_role(self.roles.pipeline),
            Grant(
                actions=["iam:GetRole"],
                resources=[self.roles.pipeline.role_arn, self.roles.job.role_arn],
            ),
            *permissions.read_objects(self.storage.artifacts, PREFIX),
            *permissions.write_objects(self.storage.artifacts, PREFIX),
            permissions.use_key(self.storage.key),
        ]
