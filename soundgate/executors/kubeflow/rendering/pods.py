"""What Kubernetes is told about a task's pod: nodes, time limit, secrets, volumes, variables.

Plain data, as KFP's ``KubernetesExecutorConfig`` has it. kfp has functions for it, which load the
whole Kubernetes client first; ``tests/kubeflow/test_compile.py`` holds both against one another.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundgate.executors.kubeflow.profile import Pool, Profile, Secret, Toleration
    from soundgate.task import Resources, Task

FAILURE = "/dev/termination-log"
"""Where Kubernetes reads why a container failed; the reason comes back with the task's state."""
REGISTRY = "MLFLOW_TRACKING_URI"
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the path that loaders share tensors through


def pod_of(task: Task | None, needs: Resources, profile: Profile) -> dict[str, Any]:
    """Return the configuration of a task's pod; without a task, of one that uses nothing."""
    pool = profile.pool(needs.gpus)
    found: dict[str, Any] = {
        "activeDeadlineSeconds": str(max(1, math.ceil(needs.hours * 3600))),
        "imagePullSecret": [
            {"secretName": name, "secretNameParameter": _constant(name)}
            for name in profile.image_pull_secrets
        ],
        "nodeSelector": {"labels": dict(pool.node_selector)} if pool.node_selector else {},
        "tolerations": [_toleration(each) for each in pool.tolerations],
        "pvcMount": [
            {
                "constant": volume.claim,
                "mountPath": volume.at,
                "pvcNameParameter": _constant(volume.claim),
            }
            for volume in profile.volumes
        ],
        "secretAsEnv": [_secret(each) for each in _secrets(task, profile)],
    }
    shared_gb = _shared_memory_gb(needs, pool)
    if shared_gb is not None:
        found["emptyDirMounts"] = [
            {
                "volumeName": "shared-memory",
                "mountPath": SHARED_MEMORY,
                "medium": "Memory",
                "sizeLimit": mebibytes(shared_gb),
            }
        ]
    return {name: value for name, value in found.items() if value}


def environment_of(
    task: Task | None, pipeline: str, needs: Resources, profile: Profile
) -> dict[str, str]:
    """Return the variables of a task's container; no part of KFP's cache key."""
    found = {
        **profile.environment,
        "PYTHONUNBUFFERED": "1",
        "SOUNDGATE_CPUS": str(needs.cpus),  # a container sees all cores of its node
        "SOUNDGATE_FAILURE": FAILURE,
        "SOUNDGATE_PIPELINE": pipeline,
    }
    if task is not None:
        found["SOUNDGATE_TASK"] = task.name
        if profile.mlflow_tracking_uri is not None and REGISTRY in task.environment:
            found[REGISTRY] = profile.mlflow_tracking_uri
    return found


def mebibytes(gigabytes: float) -> str:
    """Return an amount of memory as Kubernetes reads it."""
    return f"{math.ceil(gigabytes * 1024)}Mi"


def _constant(value: str) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def _toleration(taint: Toleration) -> dict[str, Any]:
    told = {
        "key": taint.key,
        "operator": taint.operator,
        "value": taint.value,
        "effect": taint.effect,
        "tolerationSeconds": None if taint.seconds is None else str(taint.seconds),
    }
    return {name: value for name, value in told.items() if value is not None}


def _secrets(task: Task | None, profile: Profile) -> list[Secret]:
    """Return the secrets that are for a task: those of the registry only for who uses it."""
    registered = task is not None and REGISTRY in task.environment
    return [
        secret
        for secret in profile.secrets
        if task is not None
        and (registered or not all(v.startswith("MLFLOW_") for v in secret.keys.values()))
    ]


def _secret(secret: Secret) -> dict[str, Any]:
    return {
        "secretName": secret.name,
        "secretNameParameter": _constant(secret.name),
        "keyToEnv": [{"secretKey": key, "envVar": name} for key, name in secret.keys.items()],
        "optional": False,
    }


def _shared_memory_gb(needs: Resources, pool: Pool) -> float | None:
    if pool.shm_gb is not None:
        return min(pool.shm_gb, needs.memory_gb)
    return needs.memory_gb / 2 if needs.gpus else None
