"""What could keep a run from working at a Kubeflow installation."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from soundgate.errors import SoundgateError
from soundgate.executors.base import Finding
from soundgate.executors.kubeflow.library import require_kfp
from soundgate.executors.kubeflow.profile import UNSET
from soundgate.executors.kubeflow.service.artifacts import reachable
from soundgate.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.executors.kubeflow.profile import Profile
    from soundgate.executors.kubeflow.service.client import Client

NOTHING = "doctor/nothing"
"""A key that no one writes: whoever may look for it may look for others."""


def examine(profile: Profile, client: Client) -> Iterator[Finding]:
    """Look at library, host, namespace, experiment, image, places for files, registry."""
    try:
        require_kfp()
    except SoundgateError:
        yield Finding("kfp", "not installed", "pip install 'soundgate[kubeflow]'")
        return
    yield Finding("kfp", importlib.metadata.version("kfp"))
    yield from _host(profile, client)
    yield from _image(profile)
    yield from _files(profile)
    yield from _artifacts(profile)
    uri = profile.mlflow_tracking_uri
    fix = "" if uri else "pipelines that register models need it: set mlflow_tracking_uri"
    yield Finding("model registry", uri or "none", fix)


def _host(profile: Profile, client: Client) -> Iterator[Finding]:
    try:
        health = client.health()
    except SoundgateError as error:
        yield Finding("host", str(error), "or correct token_variable or certificate")
        return
    users = "for several users" if health.get("multi_user") else "for one user"
    yield Finding("host", f"{client.where}, {users}, version {health.get('tag_name', 'unknown')}")
    if health.get("multi_user") and not profile.namespace:
        yield Finding("namespace", "none", "name the one that is yours (namespace:)")
        return
    yield Finding("namespace", profile.namespace or "the installation's")
    if profile.experiment is None:
        yield Finding("experiment", "one for each pipeline, under its name")
        return
    try:
        there = client.experiment(profile.experiment, make=False)
    except SoundgateError as error:
        yield Finding("experiment", str(error), "correct namespace, or ask for the right to use it")
        return
    yield Finding("experiment", f"{profile.experiment}{'' if there else ', made by the first run'}")


def _image(profile: Profile) -> Iterator[Finding]:
    for what, image in (
        ("image", profile.image),
        ("image on GPUs", profile.gpu.image),
        ("image on CPUs", profile.cpu.image),
    ):
        if image is None:
            continue
        if UNSET in image:
            yield Finding(what, image, "name the image with your steps")
        elif "@sha256:" not in image:
            yield Finding(what, image, "name it by digest: the cache knows programs by the image")
        else:
            yield Finding(what, image)


def _files(profile: Profile) -> Iterator[Finding]:
    if profile.files is None:
        yield Finding("files", "none; pipelines that read files of this machine are refused")
        return
    try:
        open_store(profile.files).exists(NOTHING)
    except SoundgateError as error:
        yield Finding("files", str(error), "correct files, or the AWS_* variables")
        return
    yield Finding("files", profile.files)


def _artifacts(profile: Profile) -> Iterator[Finding]:
    if profile.pipeline_root is None:
        yield Finding("artifacts", "the installation's own place; get-output cannot fetch them")
        return
    try:
        with reachable(profile) as root:
            open_store(root).exists(NOTHING)
    except SoundgateError as error:
        yield Finding("artifacts", str(error), "correct pipeline_root or artifact_endpoint")
        return
    yield Finding("artifacts", profile.pipeline_root)
