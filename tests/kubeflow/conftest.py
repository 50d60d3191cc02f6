"""Compiled pipelines that are run on this machine, and a stand-in for the API server."""

from __future__ import annotations

import dataclasses

import ir_runner
import ir_samples
import pytest
import yaml
from stub_api import KubeflowApi


@pytest.fixture
def cluster(tmp_path):
    """A cluster whose image holds ``tmp_path/image``."""
    image = tmp_path / "image"
    image.mkdir()
    return ir_runner.Platform(project=image, grace_s=0.5)


@pytest.fixture
def kubeflow_api(tmp_path, cluster):
    """An API server that runs what it is sent, on ``cluster``."""
    with KubeflowApi(tmp_path / "kubeflow", cluster) as api:
        yield api


@pytest.fixture
def execute(tmp_path, cluster):
    """Run a pipeline's function; every call is a run on the same cluster."""
    cache = ir_runner.Cache()

    def do(function, arguments=None, *, pipeline=None, edit=None, **platform):
        text = function
        if not isinstance(text, str):
            text = ir_samples.compiled(function, **(pipeline or {}))
        if edit:
            documents = list(yaml.safe_load_all(text))
            edit(documents)
            text = yaml.safe_dump_all(documents)
        changed = dataclasses.replace(cluster, **platform)
        return ir_runner.run(text, arguments or {}, tmp_path / "work", changed, cache=cache)

    return do
