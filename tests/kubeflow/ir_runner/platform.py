"""What a cluster adds to a pipeline: images, secrets, buckets, limits."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IMAGE_PATH = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])


@dataclass
class Clock:
    """The cluster's time: waits between attempts pass at once, and are counted all the same."""

    skipped_s: float = 0.0

    def now_s(self) -> float:
        """Return seconds since some moment."""
        return time.monotonic() + self.skipped_s

    def sleep(self, seconds: float) -> None:
        """Let this many seconds pass."""
        self.skipped_s += seconds


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A cluster, as far as a pipeline can tell."""

    project: Path
    """Working directory of every container: what the image holds."""
    path: str = IMAGE_PATH
    environment: Mapping[str, str] = field(default_factory=dict)
    """What the cluster puts into every container by itself."""
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    buckets: Mapping[str, Path] = field(default_factory=dict)
    """Beginning of a URI to the folder that holds what is there."""
    fetch: Callable[[str, Path], None] | None = None
    """Brings an artifact that no bucket holds."""
    put: Callable[[Path, str], None] | None = None
    """Stores a file of an artifact that no bucket holds."""
    max_parallel: int = 4
    fail_fast: bool = False
    """Whether no task starts once one has failed, as the description of Argo's ``failFast`` has it.

    KFP leaves that at its default, true. Yet Argo's controller starts whatever is ready before it
    asks whether a DAG has ended, and no DAG ends while one of its nodes runs (``executeDAG`` and
    ``assessDAGPhase`` in dag.go; argo-workflows#5227, #10312): the other branches go on.
    """
    grace_s: float = 5.0
    clock: Clock = field(default_factory=Clock)
    namespace: str = "kubeflow"


class PodError(Exception):
    """Kubernetes cannot start the pod."""


def pod(platform: Platform, run_id: str, name: str) -> dict[str, str]:
    """Return what Kubernetes and KFP put into the environment of every container."""
    return {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "KFP_POD_NAME": name,
        "KFP_POD_UID": f"{run_id}-{name}",
        **platform.environment,
    }


def environment(
    platform: Platform,
    configuration: Any,
    value: Callable[[Any], Any],
    fields: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables that a container's Kubernetes configuration asks for.

    Args:
        platform: the cluster.
        configuration: of the executor; None where there is none.
        value: resolves a name that is an input of the pipeline or an output of a task.
        fields: of the pod.

    Raises:
        PodError: a secret, a configuration map or a key of one is not there.
    """
    found: dict[str, str] = {}
    if configuration is None:
        return found
    sources = [("secret", each, platform.secrets) for each in configuration.secret_as_env]
    sources += [
        ("config_map", each, platform.config_maps) for each in configuration.config_map_as_env
    ]
    for kind, each, known in sources:
        given = getattr(each, f"{kind}_name")
        if each.HasField(f"{kind}_name_parameter"):
            given = str(value(getattr(each, f"{kind}_name_parameter")))
        for pair in each.key_to_env:
            key = getattr(pair, f"{kind}_key")
            if key in known.get(given, {}):
                found[pair.env_var] = known[given][key]
            elif not each.optional:
                raise PodError(f'CreateContainerConfigError: {kind} "{given}" has no key "{key}"')
    for each in configuration.field_path_as_env:
        found[each.name] = fields.get(each.field_path, "")
    return found
