"""The stack: storage, roles, registry, MLflow, what a push starts, what an approval starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack, Tags
from aws_cdk import aws_sagemaker as sagemaker

from infra.stacks.delivery import Delivery
from infra.stacks.github import GithubRole
from infra.stacks.release import Release
from infra.stacks.roles import Roles
from infra.stacks.site import Site
from infra.stacks.storage import Storage
from infra.stacks.tracking import Tracking

if TYPE_CHECKING:
    from constructs import Construct

    from infra.settings import Settings


class TrainingStack(Stack):
    """Everything of one project in one account and region.

    The SageMaker Pipeline itself is none of it: a build creates and updates it, with the code that
    it belongs to.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings) -> None:
        """Declare the project's resources."""
        super().__init__(
            scope, construct_id, description=f"Soundgate: training of {settings.usecase}"
        )
        storage = Storage(self, "Storage")
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Models",
            model_package_group_description=f"Models of {settings.usecase} that cleared its gates",
            model_package_group_name=settings.name,
        )
        roles = Roles(self, "Roles", storage=storage, model_group=settings.name)
        tracking_arn = self._tracking(settings, storage, roles)
        site = Site(settings, storage, roles, tracking_arn)
        Delivery(self, "Delivery", site=site)
        release = Release(
            self,
            "Release",
            key=storage.key,
            model_group=settings.name,
            email=settings.release_email,
        )
        release.node.add_dependency(group)
        outputs = {
            "ArtifactBucket": storage.artifacts.bucket_name,
            "EcrRepositoryUri": storage.images.repository_uri,
            "PipelineRoleArn": roles.pipeline.role_arn,
            "JobRoleArn": roles.job.role_arn,
            "KmsKeyArn": storage.key.key_arn,
            "ApprovalTopicArn": release.topic.topic_arn,
        }
        if tracking_arn:
            outputs["MlflowTrackingUri"] = tracking_arn
        if settings.github_provider_arn:
            github = GithubRole(self, "Github", site=site)
            outputs["GithubRoleArn"] = github.role.role_arn
        for name, value in outputs.items():
            CfnOutput(self, name, value=value)
        Tags.of(self).add("sagemaker:project-name", settings.project_name)
        Tags.of(self).add("sagemaker:project-id", settings.project_id)

    def _tracking(self, settings: Settings, storage: Storage, roles: Roles) -> str:
        """Declare MLflow where it is wanted; return its ARN, or nothing."""
        if settings.tracking == "none":
            return ""
        tracking = Tracking(
            self,
            "Tracking",
            storage=storage,
            name=settings.name,
            serverless=settings.tracking == "app",
        )
        tracking.let_use(roles.job)
        return tracking.arn
