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

LONGEST_SHOWN = 200


def parse_keywords(text: str | None, option: str) -> Any:
    """Parse ``--kwargs`` or ``--tags``: JSON first, a Python literal second."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
            raise ParameterError(f"{option}: neither JSON nor a Python literal: {shown}") from None
