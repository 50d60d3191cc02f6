"""Mappings on a command line: ``--kwargs`` and ``--tags``."""

from __future__ import annotations

import ast
import json
from typing import Any

from soundgate.errors import ParameterError

TEMPLATE_KEYWORDS = (
    "base_job_prefix",
    "default_bucket",
    "model_package_group_name",
    "pipeline_name",
    "region",
    "role",
    "sagemaker_project_arn",
    "sagemaker_project_id",
    "sagemaker_project_name",
    "usecase_name",
)
"""What SageMaker's project templates pass in --kwargs: for the executor, not for a pipeline."""


def parse_keywords(text: str | None, option: str) -> Any:
    """Parse ``--kwargs`` or ``--tags``: JSON first, a Python literal second."""
    if not text:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise ParameterError(f"{option}: neither JSON nor a Python literal: {text}") from None
