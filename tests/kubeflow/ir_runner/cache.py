"""Reuse of earlier results, by the key KFP documents.

Image, command and arguments as they are written, values of the input parameters, identities of the
input artifacts, the declared outputs; per pipeline. The environment is not in it (newer backends
add it), nor is what an artifact contains. Source: ``backend/src/v2/cacheutils/cache.go``.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ir_runner import values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ir_runner.artifacts import Artifact


@dataclass(frozen=True)
class Result:
    """What a task left."""

    parameters: dict[str, Any]
    artifacts: dict[str, Artifact | list[Artifact]]


class Cache:
    """What a cluster remembers between runs; ids of artifacts are its own, as in its database."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._lock = threading.Lock()
        self._results: dict[str, Result] = {}
        self._imported: dict[tuple[str, str], Artifact] = {}
        self._ids = 0

    def new_id(self) -> int:
        """Return an id that no other artifact has."""
        with self._lock:
            self._ids += 1
            return self._ids

    def find(self, key: str) -> Result | None:
        """Return the result that was kept under ``key``."""
        with self._lock:
            return self._results.get(key)

    def keep(self, key: str, result: Result) -> None:
        """Keep a result."""
        with self._lock:
            self._results[key] = result

    def imported(self, uri: str, schema: str, *, again: bool) -> Artifact | None:
        """Return the artifact an earlier import of the same URI made, unless imported ``again``."""
        with self._lock:
            return None if again else self._imported.get((uri, schema))

    def keep_import(self, artifact: Artifact) -> None:
        """Remember an imported artifact."""
        with self._lock:
            self._imported[artifact.uri, artifact.schema] = artifact


def key(
    pipeline: str,
    component: Any,
    container: Any,
    parameters: Mapping[str, Any],
    artifacts: Mapping[str, list[Artifact]],
) -> str:
    """Return the key of a task's result."""
    outputs = component.output_definitions
    described = {
        "pipeline": pipeline,
        "image": container.image,
        "cmdArgs": [*container.command, *container.args],
        "inputParameterValues": dict(parameters),
        "inputArtifactNames": {name: [str(a.id) for a in each] for name, each in artifacts.items()},
        "outputArtifacts": {
            name: spec.artifact_type.schema_title or spec.artifact_type.instance_schema
            for name, spec in outputs.artifacts.items()
        },
        "outputParameters": {n: spec.parameter_type for n, spec in outputs.parameters.items()},
    }
    return hashlib.sha256(values.to_json(described).encode()).hexdigest()
