"""Reuse of earlier results, by the key KFP documents.

Image, command and arguments as they are written, values of the input parameters, identities of the
input artifacts, the declared outputs with their metadata, the volumes; per pipeline. A key that a
task names replaces it. The environment is not in it (newer backends add it), nor is what an
artifact contains. Source: ``backend/src/v2/cacheutils/cache.go``.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ir_runner import values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
        self._imported: dict[str, Artifact] = {}
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

    def imported(
        self, uri: str, schema: str, metadata: Mapping[str, Any], *, again: bool
    ) -> Artifact | None:
        """Return what an earlier import of the same URI, type and metadata made.

        None where it is to be imported ``again``.
        """
        with self._lock:
            return None if again else self._imported.get(_imported(uri, schema, metadata))

    def keep_import(self, artifact: Artifact) -> None:
        """Remember an imported artifact."""
        with self._lock:
            known_by = _imported(artifact.uri, artifact.schema, artifact.metadata)
            self._imported[known_by] = artifact


def _imported(uri: str, schema: str, metadata: Mapping[str, Any]) -> str:
    return values.to_json([uri, schema, dict(metadata)])


def key(
    pipeline: str,
    component: Any,
    container: Any,
    parameters: Mapping[str, Any],
    artifacts: Mapping[str, list[Artifact]],
    claims: Sequence[str] = (),
) -> str:
    """Return the key of a task's result; ``claims`` are the volumes its pod mounts."""
    outputs = component.output_definitions
    described = {
        "pipeline": pipeline,
        "image": container.image,
        "cmdArgs": [*container.command, *container.args],
        "inputParameterValues": dict(parameters),
        "inputArtifactNames": {name: [str(a.id) for a in each] for name, each in artifacts.items()},
        "outputArtifacts": {
            name: [
                spec.artifact_type.schema_title or spec.artifact_type.instance_schema,
                {n: values.of_message(v) for n, v in spec.metadata.fields.items()},
            ]
            for name, spec in outputs.artifacts.items()
        },
        "pvcNames": sorted(claims),
        "outputParameters": {n: spec.parameter_type for n, spec in outputs.parameters.items()},
    }
    return hashlib.sha256(values.to_json(described).encode()).hexdigest()
