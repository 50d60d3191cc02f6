"""Outputs, fetched from the artifact store.

A task's output lies at ``<pipeline_root>/<pipeline>/<run>/<task>/<output>``, in newer releases with
a name of its own for the execution before ``<output>``. The API tells numbers of artifacts, not
where they lie, so that a result from KFP's cache, which lies with the run that made it, is not
found.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from soundgate.errors import ConfigError, ExecutorError
from soundgate.runs import State
from soundgate.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from soundgate.executors.kubeflow.profile import Profile

ENDPOINT = "AWS_ENDPOINT_URL_S3"


def collect(
    profile: Profile, sent: Mapping[str, Any], task: str, output: str, target: Path, *, state: State
) -> None:
    """Copy an output below ``target``.

    Args:
        profile: the site.
        sent: what was sent: the run's id, the pipeline's and the tasks' names.
        task: the task.
        output: one of its outputs.
        target: a folder that is there and empty.
        state: of the task.

    Raises:
        ConfigError: the profile does not say where artifacts are.
        ExecutorError: the task has no output, or it lies with another run.
        StoreError: the store failed.
    """
    if state == State.REUSED:
        raise ExecutorError(
            f"task {task!r} came from Kubeflow's cache, whose API does not say where: fetch it "
            "from the run that wrote it, or run with --no-cache"
        )
    if not state.done:
        raise ExecutorError(f"task {task!r} is {state}: it has no outputs")
    start = f"{sent['pipeline']}/{sent['run_id']}/{sent['tasks'][task]}/"
    with reachable(profile) as root:
        store = open_store(root)
        found = _places(store.list(start), start, output.lower())
        if len(found) != 1:
            said = f"was found {len(found)} times" if found else "was not found"
            raise ExecutorError(f"{root}/{start}: output {output!r} {said}")
        for base, keys in found.items():
            for key in keys:
                path = target / (key.removeprefix(base).strip("/") or output)
                path.parent.mkdir(parents=True, exist_ok=True)
                store.get(key, path)


def _places(keys: Iterable[str], start: str, output: str) -> dict[str, list[str]]:
    """Return the folders (or files) called ``output`` below ``start``, with their keys."""
    found: dict[str, list[str]] = {}
    for key in keys:
        parts = key.removeprefix(start).split("/")
        depth = next((k for k in (0, 1) if parts[k : k + 1] == [output]), None)
        if depth is not None:
            found.setdefault(start + "/".join(parts[: depth + 1]), []).append(key)
    return found


@contextmanager
def reachable(profile: Profile) -> Iterator[str]:
    """Yield the address of the artifact store as ``open_store`` takes it, its endpoint set.

    Raises:
        ConfigError: the profile names none, or one that cannot be read from here.
    """
    root = profile.pipeline_root
    if root is None:
        raise ConfigError(
            "the location of artifacts is not configured: set pipeline_root in the profile to "
            "the one the installation uses, for example s3://bucket/prefix"
        )
    if root.startswith("gs://"):
        raise ConfigError(f"pipeline_root: {root} cannot be read from here: use gsutil")
    before = os.environ.get(ENDPOINT)
    if profile.artifact_endpoint:
        os.environ[ENDPOINT] = profile.artifact_endpoint
    try:
        yield root.replace("minio://", "s3://", 1).rstrip("/")
    finally:
        if profile.artifact_endpoint:
            os.environ.pop(ENDPOINT)
            os.environ.update({ENDPOINT: before} if before else {})
