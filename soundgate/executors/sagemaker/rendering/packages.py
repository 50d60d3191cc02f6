"""Registers a candidate in SageMaker's model registry: a model package that awaits approval."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from soundgate.executors.sagemaker.rendering.expressions import (
    EXECUTION_ID,
    join,
    json_get,
    model_artifacts,
    processing_output,
)
from soundgate.executors.sagemaker.rendering.locations import PROCESSING, kind_of
from soundgate.executors.sagemaker.rendering.parameters import APPROVAL, COMMIT, IMAGE, RUN
from soundgate.executors.sagemaker.rendering.steps import STEP_RETRIES

if TYPE_CHECKING:
    from soundgate.executors.sagemaker.rendering.gates import PropertyFiles
    from soundgate.executors.sagemaker.rendering.steps import Site
    from soundgate.task import Candidate, Output

APPROVALS = ("PendingManualApproval", "Rejected")
"""Approval states that an execution may set; it can never approve its own model."""
CARD, REPORT = "dataset.json", "evaluation.json"


def package(
    name: str, candidate: Candidate, site: Site, properties: PropertyFiles
) -> dict[str, Any]:
    """Return the step that registers a candidate as a model package.

    Args:
        name: the step's.
        candidate: the model to register.
        site: settings shared by all steps.
        properties: receives the property file of the data's card, for its digest.
    """
    parameters, profile, report = site.parameters, site.profile, candidate.report
    origin = _origin(candidate.card, site, properties)
    arguments: dict[str, Any] = {
        "ModelPackageGroupName": profile.model_package_group or group_name(candidate.name),
        "ModelApprovalStatus": parameters.site(APPROVAL, APPROVALS[0], APPROVALS),
        "InferenceSpecification": {
            "Containers": [
                {"Image": parameters.site(IMAGE, profile.image_uri), **_data(candidate.model, site)}
            ],
            "SupportedContentTypes": ["audio/wav"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "CustomerMetadataProperties": origin,
        "SkipModelValidation": "All",
    }
    if _is_plain(report, site):
        uri = join("/", processing_output(report.task, report.name), REPORT)
        figures = {"ContentType": "application/json", "S3Uri": uri}
        arguments["ModelMetrics"] = {"ModelQuality": {"Statistics": figures}}
    return {
        "Name": name,
        "Type": "RegisterModel",
        "Arguments": arguments,
        "RetryPolicies": [STEP_RETRIES],
    }


def _is_plain(output: Output, site: Site) -> bool:
    """Whether an output is plain files in the bucket.

    A Training job's outputs are in an archive.
    """
    return kind_of(site.bucket.pipeline.tasks[output.task]) == PROCESSING


def _origin(card: Output, site: Site, properties: PropertyFiles) -> dict[str, Any]:
    known: dict[str, Any] = {
        "commit": site.parameters.site(COMMIT, "unknown"),
        "execution": EXECUTION_ID,
        "pipeline": site.bucket.pipeline.name,
        "run": site.parameters.site(RUN, "by-hand"),
    }
    if _is_plain(card, site):
        file = properties.name(card.task, card.name, CARD)
        known["data_digest"] = json_get(card.task, file, "digest")
    return known


def _data(model: Output, site: Site) -> dict[str, Any]:
    if not _is_plain(model, site):
        return {"ModelDataUrl": model_artifacts(model.task)}
    source = {
        "S3Uri": join("/", processing_output(model.task, model.name), ""),
        "S3DataType": "S3Prefix",
        "CompressionType": "None",
    }
    return {"ModelDataSource": {"S3DataSource": source}}


def group_name(model_name: str) -> str:
    """Return a model's name as the registry accepts it: at most 63 letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", model_name).strip("-")[:63].rstrip("-") or "model"
