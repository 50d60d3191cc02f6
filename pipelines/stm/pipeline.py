"""The pipeline that the CDK project's ``buildspec.yml`` runs; it is ``pipelines.aed``."""

from __future__ import annotations

from pipelines.aed import get_pipeline

__all__ = ["get_pipeline"]
