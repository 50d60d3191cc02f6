"""What Kubernetes is told about a task's pod: resources, nodes, time limit, secrets, volumes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soundgate.executors.kubeflow.profile import Pool, Profile, Secret
    from soundgate.task import Resources, Task

FAILURE = "/dev/termination-log"
"""Where Kubernetes reads why a container failed; the reason comes back with the task's state."""
REGISTRY = "MLFLOW_TRACKING_URI"


def settle(made: Any, needs: Resources, profile: Profile) -> Any:
    """Ask for a pod for one of kfp's tasks; return the task."""
    from kfp import kubernetes

    pool = profile.pool(needs.gpus)
    made.set_cpu_limit(str(needs.cpus))
    made.set_memory_limit(_mebibytes(needs.memory_gb))
    if needs.gpus:
        made.set_accelerator_type(profile.accelerator)
        made.set_accelerator_limit(needs.gpus)
    environment = {
        **profile.environment,
        "PYTHONUNBUFFERED": "1",
        "SOUNDGATE_CPUS": str(needs.cpus),  # a container sees all cores of its node
        "SOUNDGATE_FAILURE": FAILURE,
    }
    for name, value in environment.items():
        made.set_env_variable(name, value)
    kubernetes.set_timeout(made, max(1, math.ceil(needs.hours * 3600)))
    if profile.image_pull_secrets:
        kubernetes.set_image_pull_secrets(made, list(profile.image_pull_secrets))
    for label, value in pool.node_selector.items():
        kubernetes.add_node_selector(made, label, value)
    for taint in pool.tolerations:
        kubernetes.add_toleration(
            made,
            key=taint.key,
            operator=taint.operator,
            value=taint.value,
            effect=taint.effect,
            toleration_seconds=taint.seconds,
        )
    for volume in profile.volumes:
        kubernetes.mount_pvc(made, volume.claim, volume.at)
    shared = _shared_memory_gb(needs, pool)
    if shared is not None:
        kubernetes.empty_dir_mount(
            made,
            volume_name="shared-memory",
            mount_path="/dev/shm",  # noqa: S108 - the path that loaders share tensors through
            medium="Memory",
            size_limit=_mebibytes(shared),
        )
    return made


def give_secrets(made: Any, task: Task, profile: Profile) -> None:
    """Give a task the secrets that are for it."""
    from kfp import kubernetes

    for secret in profile.secrets:
        if REGISTRY in task.environment or not _is_for_registry(secret):
            kubernetes.use_secret_as_env(made, secret.name, dict(secret.keys))


def _is_for_registry(secret: Secret) -> bool:
    return all(variable.startswith("MLFLOW_") for variable in secret.keys.values())


def _shared_memory_gb(needs: Resources, pool: Pool) -> float | None:
    if pool.shm_gb is not None:
        return min(pool.shm_gb, needs.memory_gb)
    return needs.memory_gb / 2 if needs.gpus else None


def _mebibytes(gigabytes: float) -> str:
    return f"{math.ceil(gigabytes * 1024)}Mi"
