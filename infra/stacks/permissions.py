"""What a role is given, in the words of what is done, each on the one resource it is done to.

No action has a wildcard. A resource has one only where the service makes names up (jobs,
executions, model versions, objects) or knows no resource; the grant then says why, and ``give``
hands the reason to cdk-nag, which refuses a stack with a wildcard that has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import Acknowledgment, ArnFormat, Stack, Validations
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_ecr as ecr
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3
    from constructs import Construct

JOB_PREFIX = "pipelines-"
"""SageMaker calls the jobs of a pipeline ``pipelines-<execution>-<step>-<letters>``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Actions on resources; ``because`` says why a resource has a wildcard."""

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Mapping[str, Any]] | None = None
    because: str = ""
    denied: bool = False


def give(role: iam.Role, *grants: Grant) -> None:
    """Add the grants to a role, and their reasons to what cdk-nag reads."""
    for grant in grants:
        role.add_to_policy(
            iam.PolicyStatement(
                actions=list(grant.actions),
                conditions=grant.conditions,
                effect=iam.Effect.DENY if grant.denied else iam.Effect.ALLOW,
                resources=list(grant.resources),
            )
        )
        for resource in grant.resources:
            text = _spelt(Stack.of(role).resolve(resource))
            if "*" in text and grant.because:
                accept(role, f"IAM5[Resource::{text}]", grant.because)


def accept(scope: Construct, rule: str, because: str) -> None:
    """Accept what a rule of cdk-nag (``CB3``, say) finds below ``scope``, and say why."""
    Validations.of(scope).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=because)
    )


def _spelt(value: Any) -> str:
    """Spell a resource as cdk-nag does: ``<Bucket.Arn>/*``."""
    if isinstance(value, str):
        return value
    [(function, inner)] = value.items()
    if function == "Fn::Join":
        return str(inner[0]).join(_spelt(part) for part in inner[1])
    if function == "Fn::GetAtt":
        return f"<{'.'.join(inner)}>"
    return f"<{inner}>"


def read_objects(bucket: s3.IBucket, below: str = "") -> list[Grant]:
    """Allow to list a bucket, and to read the objects below a prefix."""
    return [
        Grant(actions=["s3:GetBucketLocation", "s3:ListBucket"], resources=[bucket.bucket_arn]),
        Grant(
            actions=["s3:GetObject"],
            resources=[bucket.arn_for_objects(f"{below}*")],
            because="objects are named by what runs, in a bucket of this project alone",
        ),
    ]


def write_objects(bucket: s3.IBucket, below: str = "") -> list[Grant]:
    """Allow to write objects, large ones in parts; none may be deleted."""
    return [
        Grant(actions=["s3:ListBucketMultipartUploads"], resources=[bucket.bucket_arn]),
        Grant(
            actions=["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"],
            resources=[bucket.arn_for_objects(f"{below}*")],
            because="objects are named by what runs, in a bucket of this project alone",
        ),
    ]


def use_key(key: kms.IKey) -> Grant:
    """Allow to read and write what the key encrypts."""
    actions = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    return Grant(actions=actions, resources=[key.key_arn])


def pull_images(images: ecr.IRepository) -> list[Grant]:
    """Allow to start a container from an image of the repository."""
    layers = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        Grant(actions=layers, resources=[images.repository_arn]),
        Grant(
            actions=["ecr:GetAuthorizationToken"],
            resources=["*"],
            because="the token is the registry's: IAM knows no resource for it",
        ),
    ]


def push_images(images: ecr.IRepository) -> list[Grant]:
    """Allow to push an image to the repository, and to ask whether it is there."""
    verbs = ["CompleteLayerUpload", "InitiateLayerUpload", "PutImage", "UploadLayerPart"]
    return [
        *pull_images(images),
        Grant(actions=[f"ecr:{verb}" for verb in verbs], resources=[images.repository_arn]),
    ]


def pass_role(role: iam.IRole) -> Grant:
    """Allow to hand a role to SageMaker, and to nothing else."""
    return Grant(
        actions=["iam:PassRole"],
        resources=[role.role_arn],
        conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    )


def sagemaker_arn(scope: Construct, kind: str, name: str) -> str:
    """Return the ARN of a SageMaker resource of this account and region."""
    return Stack.of(scope).format_arn(service="sagemaker", resource=kind, resource_name=name)


def log_group_arn(scope: Construct, name: str) -> str:
    """Return the ARN of a log group, or of its streams where ``name`` ends in ``:*``."""
    return Stack.of(scope).format_arn(
        service="logs",
        resource="log-group",
        resource_name=name,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )
