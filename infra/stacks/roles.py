"""Who may do what: the pipeline starts jobs and reads reports, the jobs read and write data.

Two roles, so that no program that handles data can start, change or stop a job, and nothing that
a pipeline does can approve a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.stacks import permissions
from infra.stacks.permissions import JOB_PREFIX, Grant, give, sagemaker_arn

if TYPE_CHECKING:
    from infra.stacks.storage import Storage

JOB_KINDS = {"processing-job": "ProcessingJob", "training-job": "TrainingJob"}
"""Resource in an ARN, and in the names of the operations."""


def sagemaker_principal(scope: Construct) -> iam.ServicePrincipal:
    """SageMaker on behalf of this account: no other account can borrow the role through it."""
    mine = {"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
    return iam.ServicePrincipal("sagemaker.amazonaws.com", conditions=mine)


class Roles(Construct):
    """The pipeline's role, and the role of the jobs it starts."""

    def __init__(
        self, scope: Construct, construct_id: str, *, storage: Storage, model_group: str
    ) -> None:
        """Declare both roles; ``model_group`` is the model package group's name."""
        super().__init__(scope, construct_id)
        self._storage = storage
        self.job = self._role("Job", "What a step's container may do")
        self.pipeline = self._role("Pipeline", "What a SageMaker Pipeline may do")
        give(self.job, *self._data(), *self._watching())
        give(self.pipeline, *self._jobs(), *self._models(model_group), *self._reports())

    def _role(self, name: str, description: str) -> iam.Role:
        principal = sagemaker_principal(self)
        return iam.Role(self, name, assumed_by=principal, description=description)

    def _data(self) -> list[Grant]:
        bucket = self._storage.artifacts
        return [
            *permissions.read_objects(bucket),
            *permissions.write_objects(bucket),
            Grant(
                actions=["s3:DeleteObject"],
                resources=[bucket.arn_for_objects("soundgate/*/checkpoints/*")],
                because="a checkpoint replaces the one before; nothing else is ever deleted",
            ),
            permissions.use_key(self._storage.key),
            *permissions.pull_images(self._storage.images),
        ]

    def _watching(self) -> list[Grant]:
        verbs = ["CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"]
        namespaces = ["/aws/sagemaker/*", "aws/sagemaker/*"]
        return [
            Grant(
                actions=[f"logs:{verb}" for verb in verbs],
                resources=[permissions.log_group_arn(self, "/aws/sagemaker/*")],
                because="SageMaker names the log groups of jobs by their kind, streams by the job",
            ),
            Grant(
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringLike": {"cloudwatch:namespace": namespaces}},
                because="metrics know no resource; the condition binds their namespace",
            ),
        ]

    def _jobs(self) -> list[Grant]:
        arns = {op: sagemaker_arn(self, kind, f"{JOB_PREFIX}*") for kind, op in JOB_KINDS.items()}
        because = "SageMaker names the jobs of its pipelines, all with this prefix"
        started = [
            Grant(
                actions=[f"sagemaker:{verb}{operation}" for verb in ("Create", "Describe", "Stop")],
                resources=[arn],
                because=because,
            )
            for operation, arn in arns.items()
        ]
        tagged = Grant(
            actions=["sagemaker:AddTags"], resources=list(arns.values()), because=because
        )
        return [*started, tagged, permissions.pass_role(self.job)]

    def _models(self, model_group: str) -> list[Grant]:
        group = sagemaker_arn(self, "model-package-group", model_group)
        versions = sagemaker_arn(self, "model-package", f"{model_group}/*")
        numbered = "SageMaker numbers the versions of the group itself"
        verbs = ("sagemaker:AddTags", "sagemaker:CreateModelPackage")
        return [
            Grant(
                actions=[*verbs, "sagemaker:DescribeModelPackage"],
                resources=[group, versions],
                because=numbered,
            ),
            Grant(actions=["sagemaker:DescribeModelPackageGroup"], resources=[group]),
            Grant(  # whatever a definition says: approving is a person's
                actions=["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
                resources=[group, versions],
                conditions={"StringEquals": {"sagemaker:ModelApprovalStatus": "Approved"}},
                because=numbered,
                denied=True,
            ),
            Grant(  # a model package names its image, which SageMaker looks up as the pipeline
                actions=["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"],
                resources=[self._storage.images.repository_arn],
            ),
        ]

    def _reports(self) -> list[Grant]:
        """What gates read, and the encrypted disks of jobs."""
        key = self._storage.key
        return [
            *permissions.read_objects(self._storage.artifacts),
            permissions.use_key(key),
            Grant(
                actions=["kms:CreateGrant"],
                resources=[key.key_arn],
                conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
            ),
        ]
