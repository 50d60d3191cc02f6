"""A RegisterModel step: a model package in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from definition_runner import objects
from definition_runner.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from definition_runner.account import Account


def register(account: Account, arguments: dict[str, Any]) -> dict[str, Any]:
    """Create the package, its group where there is none; return its description.

    Raises:
        StepFailed: an object it names does not exist, or the registry refuses.
    """
    for uri in _objects(arguments):
        if not objects.exists(account.s3, uri):
            raise StepFailed(f"ClientError: ValidationException: no object {uri}")
    group = arguments["ModelPackageGroupName"]
    try:
        account.sagemaker.describe_model_package_group(ModelPackageGroupName=group)
    except ClientError:
        account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    try:
        made = account.sagemaker.create_model_package(**arguments)
    except ClientError as error:
        raise StepFailed(f"ClientError: {error}") from error
    described: dict[str, Any] = account.sagemaker.describe_model_package(
        ModelPackageName=made["ModelPackageArn"]
    )
    return described


def _objects(arguments: dict[str, Any]) -> Iterator[str]:
    """Yield what the service looks up: archives of models, reports."""
    for container in arguments.get("InferenceSpecification", {}).get("Containers", []):
        if "ModelDataUrl" in container:
            yield container["ModelDataUrl"]
    for reports in arguments.get("ModelMetrics", {}).values():
        for report in reports.values():
            yield report["S3Uri"]
