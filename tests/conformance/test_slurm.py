from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import slurm_cluster

from conformance.engine import Engine
from conformance.suite import Conformance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROFILE = """
environment: {PYTHONPATH: FOLDER}
setup: ["export PYTHONPATH=FOLDER", "export HOME=/root"]
short_minutes: 10
memory: true
"""


@pytest.fixture(scope="module")
def engine(toy, tmp_path_factory):
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    toy.write("site.yaml", PROFILE.replace("FOLDER", f"{toy.folder}:{ROOT}"))
    with slurm_cluster.cluster(folder) as configuration:
        words = ("--executor", "slurm", "--profile", "site.yaml")
        environment = {"SLURM_CONF": str(configuration)}

        def check_received(run, text):
            """The controller has the scripts that the request shows."""
            path = run / "slurm" / "jobs.json"  # absent where everything is reused
            jobs = json.loads(path.read_text("utf-8")) if path.exists() else {}
            for job in jobs.values():
                got = subprocess.run(
                    ["scontrol", "write", "batch_script", job["id"], "-"],
                    env={"PATH": "/usr/bin:/bin", **environment},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                assert f"<<'SBATCH'\n{got.stdout.strip()}\nSBATCH\n" in text
            assert text.count("$(sbatch ") == len(jobs)

        yield Engine("slurm", toy, words, environment, check_received=check_received)
        subprocess.run(
            ["scancel", "--me"],
            env={"PATH": "/usr/bin:/bin", "SLURM_CONF": str(configuration)},
            check=False,
            capture_output=True,
        )


class TestSlurm(Conformance):
    """Batch jobs of a real cluster of virtual nodes."""
