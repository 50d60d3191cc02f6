"""A CodeBuild project with a role of its own: nothing that CDK would grant by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.stacks import permissions
from infra.stacks.permissions import Grant, give

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.stacks.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one project does."""

    buildspec: str
    variables: Mapping[str, str]
    grants: Sequence[Grant]
    hours: int
    makes_images: bool = False
    """Whether it needs a Docker daemon, memory and disk; otherwise it waits for others."""


class Build(Construct):
    """The project, its role and its log."""

    def __init__(
        self, scope: Construct, construct_id: str, *, storage: Storage, work: Work
    ) -> None:
        """Declare them."""
        super().__init__(scope, construct_id)
        log = logs.LogGroup(
            self,
            "Log",
            removal_policy=RemovalPolicy.DESTROY,
            retention=logs.RetentionDays.THREE_MONTHS,
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"),
            description=f"What builds by {work.buildspec} may do",
        )
        give(role, *work.grants, *handing_over(storage), _logging(log))
        self.project = self._project(role, log, storage, work)

    def _project(
        self, role: iam.Role, log: logs.LogGroup, storage: Storage, work: Work
    ) -> codebuild.PipelineProject:
        size = codebuild.ComputeType.LARGE if work.makes_images else codebuild.ComputeType.SMALL
        return codebuild.PipelineProject(
            self,
            "Project",
            build_spec=codebuild.BuildSpec.from_source_filename(work.buildspec),
            encryption_key=storage.key,
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=size,
                privileged=work.makes_images,
            ),
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=value)
                for name, value in work.variables.items()
            },
            logging=codebuild.LoggingOptions(
                cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log)
            ),
            role=role.without_policy_updates(),
            timeout=Duration.hours(work.hours),
        )


def handing_over(storage: Storage) -> list[Grant]:
    """What CodePipeline and its builds need to hand artifacts to one another."""
    bucket = storage.delivery
    return [
        *permissions.read_objects(bucket),
        *permissions.write_objects(bucket),
        Grant(actions=["s3:GetBucketAcl", "s3:GetBucketVersioning"], resources=[bucket.bucket_arn]),
        Grant(
            actions=["s3:GetObjectVersion", "s3:PutObjectAcl"],
            resources=[bucket.arn_for_objects("*")],
            because="CodePipeline names what is handed over, in a bucket that holds nothing else",
        ),
        permissions.use_key(storage.key),
    ]


def _logging(log: logs.LogGroup) -> Grant:
    return Grant(
        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
        resources=[log.log_group_arn],
        because="CodeBuild names the streams of the project's own log group",
    )
