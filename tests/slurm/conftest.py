"""A Slurm that answers from a script, and a real one with a project to run on it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import slurm_cluster
from fake import FakeSlurm
from toy_project import Toy

ROOT = Path(__file__).resolve().parents[2]

PROFILE = """
environment: {PYTHONPATH: FOLDER}
setup: ["export PYTHONPATH=FOLDER", "export HOME=/root"]
throttle: 2
short_minutes: 0
memory: true
"""

SITE = """
cpu: {max_cpus: 2, max_memory_gb: 4}
gpu: {max_cpus: 2, max_memory_gb: 4, max_gpus: 0}
setup: ["export HOME=/root"]
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A Slurm that answers from a script."""
    return FakeSlurm(tmp_path / "fake", monkeypatch)


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The folder of a running cluster; skips where none can be started."""
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.cluster(folder) as configuration, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(configuration))
        yield folder


@pytest.fixture
def project(slurm, tmp_path):
    """A toy project with a profile for the cluster."""
    toy = Toy(tmp_path)
    toy.write("site.yaml", PROFILE.replace("FOLDER", f"{tmp_path}:{ROOT}"))
    yield toy
    for process in toy.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    subprocess.run(["scancel", "--me"], check=False, capture_output=True)


@pytest.fixture
def site(slurm, tmp_path) -> Path:
    """A profile by which pipelines of this checkout run on the cluster."""
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path
