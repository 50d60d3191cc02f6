"""What a push starts: images where their contents changed, then the pipeline in SageMaker.

CodePipeline waits in a queue instead of overtaking: each push is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.stacks import permissions
from infra.stacks.builds import Build, Work, handing_over
from infra.stacks.permissions import Grant, give

if TYPE_CHECKING:
    from infra.stacks.site import Site

IMAGES = ("IMAGE_URI", "TRAINING_IMAGE_URI")
"""Variables that the image action exports, and the training action is handed."""


class Delivery(Construct):
    """CodePipeline on a git connection, and its two CodeBuild projects."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site) -> None:
        """Declare source, images, training."""
        super().__init__(scope, construct_id)
        settings, storage = site.settings, site.storage
        self._site = site
        self.images = Build(
            self,
            "Images",
            storage=storage,
            work=Work(
                buildspec="infra/containers/buildspec.yml",
                variables={"ECR_REPOSITORY_URI": storage.images.repository_uri},
                grants=permissions.push_images(storage.images),
                hours=2,
                makes_images=True,
            ),
        )
        self.training = Build(
            self,
            "Training",
            storage=storage,
            work=Work(
                buildspec=settings.buildspec,
                variables=site.variables(self),
                grants=site.submitting(self),
                hours=settings.build_hours,
            ),
        )
        role = self._role()
        pipeline = codepipeline.Pipeline(
            self,
            "Pipeline",
            artifact_bucket=storage.delivery,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            pipeline_type=codepipeline.PipelineType.V2,
            restart_execution_on_update=False,
            role=role.without_policy_updates(),
            stages=self._stages(),
            use_pipeline_role_for_actions=True,
        )
        # It starts as soon as it is there, so that everybody must be allowed everything by then.
        pipeline.node.add_dependency(role, self.images, self.training)

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("codepipeline.amazonaws.com"),
            description="What a push may start",
        )
        connection = self._site.settings.connection_arn
        services = ("codeconnections", "codestar-connections")  # one service, its old name too
        give(
            role,
            Grant(
                actions=[f"{service}:UseConnection" for service in services], resources=[connection]
            ),
            Grant(
                actions=["codebuild:BatchGetBuilds", "codebuild:StartBuild", "codebuild:StopBuild"],
                resources=[b.project.project_arn for b in (self.images, self.training)],
            ),
            *handing_over(self._site.storage),
        )
        return role

    def _stages(self) -> list[codepipeline.StageProps]:
        settings = self._site.settings
        source = codepipeline.Artifact("Source")
        owner, _, repository = settings.repository.partition("/")
        checkout = actions.CodeStarConnectionsSourceAction(
            action_name="Git",
            branch=settings.branch,
            connection_arn=settings.connection_arn,
            output=source,
            owner=owner,
            repo=repository,
            trigger_on_push=True,
        )
        images = actions.CodeBuildAction(
            action_name="Images",
            input=source,
            project=self.images.project,
            variables_namespace="Images",
        )
        train = actions.CodeBuildAction(
            action_name="Train",
            environment_variables={
                name: codebuild.BuildEnvironmentVariable(value=images.variable(name))
                for name in IMAGES
            },
            input=source,
            outputs=[codepipeline.Artifact("Evaluation")],
            project=self.training.project,
        )
        return [
            codepipeline.StageProps(stage_name="Source", actions=[checkout]),
            codepipeline.StageProps(stage_name="Images", actions=[images]),
            codepipeline.StageProps(stage_name="Train", actions=[train]),
        ]
