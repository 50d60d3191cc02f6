"""An AWS on loopback whose SageMaker executes pipelines, and what stands for its images."""

from __future__ import annotations

from pathlib import Path

import pytest
import servers
from definition_runner import Image, why_not

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """The server; this checkout is its image. Skips where no container can be played."""
    from control_plane import ControlPlane  # moto takes a second to import

    if reason := why_not():
        pytest.skip(f"containers cannot be played here: {reason}")
    hidden = tuple(path for path in (ROOT / "../shared", ROOT / "runs") if path.is_dir())
    image = Image(ROOT, hidden=hidden)
    served = ControlPlane(
        tmp_path_factory.mktemp("jobs"), image, grace_s=10.0, second_s=0.0, max_parallel=2
    )
    yield served
    served.close()


@pytest.fixture
def aws(plane, monkeypatch):
    """The server with nothing in it; the environment points at it."""
    plane.reset()
    for name, value in plane.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    image, java = plane.account.image, plane.account.java_numbers
    yield plane
    plane.account.image, plane.account.java_numbers = image, java


@pytest.fixture
def world(aws, tmp_path):
    """An empty project, an empty bucket, and an account to run definitions in."""
    from jobs_by_hand import world_in

    return world_in(aws, tmp_path / "project")


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """A real MLflow server."""
    with servers.mlflow(tmp_path_factory.mktemp("mlflow")) as url:
        yield url
