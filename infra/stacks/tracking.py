"""MLflow, as SageMaker runs it: the serverless app, or a tracking server of a fixed size.

Trainings log to it, and candidates are registered in it, by its ARN. It registers nothing in
SageMaker's own registry: the pipeline does that, with the evaluation beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra.stacks import permissions
from infra.stacks.permissions import Grant, give
from infra.stacks.roles import sagemaker_principal

if TYPE_CHECKING:
    from infra.stacks.storage import Storage

PREFIX = "mlflow/"
"""Of the artifact bucket: what MLflow keeps."""
SERVER_ACTIONS = (
    "CreateExperiment",
    "CreateModelVersion",
    "CreateRegisteredModel",
    "CreateRun",
    "GetExperiment",
    "GetExperimentByName",
    "GetModelVersion",
    "GetModelVersionByAlias",
    "GetModelVersionDownloadUri",
    "GetRegisteredModel",
    "GetRun",
    "ListArtifacts",
    "LogBatch",
    "LogInputs",
    "LogMetric",
    "LogModel",
    "LogParam",
    "SearchExperiments",
    "SearchModelVersions",
    "SearchRuns",
    "SetExperimentTag",
    "SetModelVersionTag",
    "SetRegisteredModelAlias",
    "SetRegisteredModelTag",
    "SetTag",
    "UpdateModelVersion",
    "UpdateRun",
)
"""What tracking and registering a candidate asks of a tracking server: it deletes nothing."""


class Tracking(Construct):
    """The app or server, the role it runs as, and who may call it."""

    def __init__(
        self, scope: Construct, construct_id: str, *, storage: Storage, name: str, serverless: bool
    ) -> None:
        """Declare it; ``name`` is the project's."""
        super().__init__(scope, construct_id)
        self._serverless = serverless
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=sagemaker_principal(self),
            description="What MLflow may do: keep artifacts",
        )
        give(
            self.role,
            *permissions.read_objects(storage.artifacts, PREFIX),
            *permissions.write_objects(storage.artifacts, PREFIX),
            permissions.use_key(storage.key),
        )
        self.arn = self._declare(storage.artifacts.s3_url_for_object(PREFIX.rstrip("/")), name)

    def _declare(self, store: str, name: str) -> str:
        if self._serverless:
            app = sagemaker.CfnMlflowApp(
                self,
                "App",
                artifact_store_uri=store,
                model_registration_mode="AutoModelRegistrationDisabled",
                name=name,
                role_arn=self.role.role_arn,
            )
            return app.attr_arn
        server = sagemaker.CfnMlflowTrackingServer(
            self,
            "Server",
            artifact_store_uri=store,
            automatic_model_registration=False,
            role_arn=self.role.role_arn,
            tracking_server_name=name,
            tracking_server_size="Small",
        )
        return server.attr_tracking_server_arn

    def let_use(self, role: iam.Role) -> None:
        """Let ``role`` track runs and register candidates."""
        if self._serverless:
            actions = ["sagemaker:CallMlflowAppApi", "sagemaker:DescribeMlflowApp"]
        else:
            actions = [f"sagemaker-mlflow:{name}" for name in SERVER_ACTIONS]
            actions.append("sagemaker:DescribeMlflowTrackingServer")
        give(role, Grant(actions=actions, resources=[self.arn]))
