"""Compiled pipelines that are run on this machine, and a stand-in for the API server."""

from __future__ import annotations

import ir_runner
import pytest
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
