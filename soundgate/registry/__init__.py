"""Model registry on MLflow: tracked runs, and candidates with the evidence for their review.

``connection`` opens the registry, ``tracking`` keeps one MLflow run for each Soundgate run, and
``candidates`` registers a model that passed its gates. MLflow itself, whose import takes seconds,
is imported at the first use.
"""

from __future__ import annotations

from soundgate.registry.candidates import (
    Signature,
    TensorDescription,
    patch_signature,
    register_candidate,
)
from soundgate.registry.connection import Registry, tracking_uri
from soundgate.registry.tracking import TrackedRun, tracked_run

__all__ = [
    "Registry",
    "Signature",
    "TensorDescription",
    "TrackedRun",
    "patch_signature",
    "register_candidate",
    "tracked_run",
    "tracking_uri",
]
