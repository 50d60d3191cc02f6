"""What is sent to Kubeflow: the definition, and the values that are known only when it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.pipeline import Pipeline
    from soundgate.task import File


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeflowRequest:
    """A compiled pipeline (KFP's intermediate representation, version 2)."""

    pipeline: Pipeline
    name: str
    """As KFP knows the pipeline."""
    definition: str
    """YAML: the pipeline, and where pods need it a second document for Kubernetes."""
    tasks: Mapping[str, str]
    """Task to its name in KFP."""
    files: Mapping[str, File]
    """Input of the pipeline to the file whose address is its value."""
    needs_commit: bool
    """Whether the commit is an input of the pipeline."""

    def __str__(self) -> str:
        """Return the definition."""
        return self.definition
