"""What an approval starts: a message to whoever releases models, kept where nobody takes it.

A person approves a version in the model registry; EventBridge tells the topic. Subscribe what is to
follow: a mailbox, a queue, a function that deploys, a program of your own behind HTTPS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.stacks import permissions

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

TOLD = {
    "model_package": "$.detail.ModelPackageArn",
    "model": "$.detail.ModelPackageGroupName",
    "version": "$.detail.ModelPackageVersion",
    "status": "$.detail.ModelApprovalStatus",
    "properties": "$.detail.CustomerMetadataProperties",
}
"""What the message says, and where the event has it."""


class Release(Construct):
    """The rule on approvals, the topic it tells, and the queue of what could not be told."""

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.IKey, model_group: str, email: str
    ) -> None:
        """Declare them; ``email`` may be empty."""
        super().__init__(scope, construct_id)
        self.topic = sns.Topic(self, "Approved", enforce_ssl=True, master_key=key)
        key.grant(
            iam.ServicePrincipal("events.amazonaws.com"), "kms:Decrypt", "kms:GenerateDataKey"
        )
        untold = sqs.Queue(
            self,
            "Untold",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=Duration.days(14),
        )
        permissions.accept(untold, "SQS3", "it is the dead-letter queue")
        fields = {name: events.EventField.from_path(path) for name, path in TOLD.items()}
        events.Rule(
            self,
            "OnApproval",
            description="A model version was approved",
            event_pattern=events.EventPattern(
                source=["aws.sagemaker"],
                detail_type=["SageMaker Model Package State Change"],
                detail={
                    "ModelPackageGroupName": [model_group],
                    "ModelApprovalStatus": ["Approved"],
                },
            ),
            targets=[
                targets.SnsTopic(
                    self.topic,
                    dead_letter_queue=untold,
                    message=events.RuleTargetInput.from_object(fields),
                )
            ],
        )
        if email:
            self.topic.add_subscription(subscriptions.EmailSubscription(email))
