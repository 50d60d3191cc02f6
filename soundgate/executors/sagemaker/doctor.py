"""Checks an AWS account before anything is submitted."""

from __future__ import annotations

import json
import urllib.parse
from typing import TYPE_CHECKING, Any

from soundgate.errors import MissingExtra, SoundgateError
from soundgate.executors.base import Finding
from soundgate.executors.sagemaker.service.artifacts import check_bucket
from soundgate.executors.sagemaker.service.client import AwsRefused, is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.executors.sagemaker.profile import Profile
    from soundgate.executors.sagemaker.service.client import Aws

SERVICE = "sagemaker.amazonaws.com"


def examine(profile: Profile, aws: Aws) -> Iterator[Finding]:
    """Yield findings; stop after a failure that makes the other checks pointless."""
    try:
        region = aws.region
    except MissingExtra as error:
        yield Finding("boto3", str(error), "install it")
        return
    except SoundgateError as error:
        yield Finding("region", str(error), "set region in the profile, or AWS_REGION")
        return
    yield Finding("region", region)
    try:
        who = aws.call("sts", "get_caller_identity")
    except SoundgateError as error:
        yield Finding("credentials", str(error), "sign in; the AWS command line knows how")
        return
    yield Finding("credentials", f"{who['Arn']} of account {who['Account']}")
    yield _bucket(profile, aws)
    for what, arn, fix in (
        ("role of the pipeline", profile.pipeline_role_arn, "pipeline_role_arn or --role-arn"),
        ("role of the jobs", profile.job_role_arn or profile.pipeline_role_arn, "job_role_arn"),
    ):
        yield _role(aws, what, arn, fix, str(who["Account"]))
    yield from _images(profile, region)
    yield _service(aws)
    yield from _quotas(profile)


def _bucket(profile: Profile, aws: Aws) -> Finding:
    if not profile.bucket:
        return Finding("bucket", "none is named", "set bucket in the profile")
    try:
        check_bucket(aws, profile.bucket)
    except SoundgateError as error:
        return Finding("bucket", str(error), "create it in this region, or give access to it")
    return Finding("bucket", f"{profile.bucket}, in {aws.region}")


def _role(aws: Aws, what: str, arn: str | None, fix: str, account: str) -> Finding:
    """Check whether SageMaker can assume the role, as far as these credentials can see."""
    if not arn:
        return Finding(what, "none is named", f"set {fix}")
    if f"::{account}:" not in arn:
        return Finding(what, f"{arn} is of another account", f"correct {fix}")
    try:
        role = aws.call("iam", "get_role", RoleName=arn.rsplit("/", 1)[-1])["Role"]
    except AwsRefused as error:
        if is_gone(error):
            return Finding(what, f"{arn}: there is none", f"create it, or correct {fix}")
        return Finding(what, f"{arn}; who may take it cannot be seen ({error.code})")
    if not trusts_sagemaker(role.get("AssumeRolePolicyDocument", {})):
        return Finding(what, f"{arn}: SageMaker may not take it", f"let {SERVICE} assume it")
    return Finding(what, arn)


def trusts_sagemaker(document: Any) -> bool:
    """Whether a trust policy lets SageMaker assume the role; conditions are not evaluated."""
    if isinstance(document, str):
        document = json.loads(urllib.parse.unquote(document))
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        named = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and SERVICE in named:
            return True
    return False


def _images(profile: Profile, region: str) -> Iterator[Finding]:
    for field in ("image_uri", "training_image_uri"):
        uri = getattr(profile, field)
        if not uri:
            if field == "image_uri":
                yield Finding(field, "none is named", "set image_uri in the profile")
            continue
        if ".dkr.ecr." in uri and f".dkr.ecr.{region}." not in uri:
            yield Finding(field, f"{uri} is not in {region}", "copy the image to this region")
        elif "@sha256:" not in uri:
            yield Finding(field, f"{uri}: a tag", "name it by its digest (@sha256:...)")
        else:
            yield Finding(field, uri)


def _service(aws: Aws) -> Finding:
    try:
        aws.call("sagemaker", "list_pipelines", MaxResults=1)
    except SoundgateError as error:
        return Finding("SageMaker Pipelines", str(error), "give access, or correct the region")
    return Finding("SageMaker Pipelines", "answers")


def _quotas(profile: Profile) -> Iterator[Finding]:
    """Remind of quotas.

    They are zero for many instance types in new accounts, and no call lists all.
    """
    gpus = next((each.type for each in profile.training if each.gpus), "")
    kind = "spot training" if profile.spot else "training"
    yield Finding(
        "quotas",
        f"not looked at; new accounts have 0 of {gpus or 'large types'} for {kind} jobs: see "
        "Service Quotas, Amazon SageMaker",
    )
