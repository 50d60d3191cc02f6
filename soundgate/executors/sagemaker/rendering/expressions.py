"""The few expressions of a pipeline definition: values known only when an execution runs."""

from __future__ import annotations

from typing import Any

Expression = dict[str, Any]
"""``{"Get": ...}``, ``{"Std:Join": ...}`` or ``{"Std:JsonGet": ...}``."""

EXECUTION_ID: Expression = {"Get": "Execution.PipelineExecutionId"}


def join(on: str, *values: Any) -> Expression:
    """Return the values as one string, whatever their types."""
    return {"Std:Join": {"On": on, "Values": list(values)}}


def s3_uri(bucket: Any, *parts: Any) -> Expression:
    """Return ``s3://bucket/part/part``; a last empty part ends it with a slash."""
    return join("/", "s3:/", bucket, *parts)


def processing_output(step: str, output: str) -> Expression:
    """Return where a Processing job put an output: a prefix."""
    return {"Get": f"Steps.{step}.ProcessingOutputConfig.Outputs['{output}'].S3Output.S3Uri"}


def model_artifacts(step: str) -> Expression:
    """Return the ``model.tar.gz`` into which a Training job packed ``/opt/ml/model``."""
    return {"Get": f"Steps.{step}.ModelArtifacts.S3ModelArtifacts"}


def json_get(step: str, property_file: str, path: str) -> Expression:
    """Return a value in a JSON file that a Processing job wrote."""
    return {
        "Std:JsonGet": {
            "PropertyFile": {"Get": f"Steps.{step}.PropertyFiles.{property_file}"},
            "Path": path,
        }
    }
