"""The AED pipeline on a real Slurm: the same figures as on this machine."""

from __future__ import annotations

import json

import pytest
import slurm_cluster
from aed_runs import evaluation, latest, run

pytestmark = pytest.mark.slow

SITE = """
cpu: {max_cpus: 2, max_memory_gb: 4}
gpu: {max_cpus: 2, max_memory_gb: 4, max_gpus: 0}
setup: ["export HOME=/root"]
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of two nodes; skips where none can be started."""
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    with (
        slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as configuration,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("SLURM_CONF", str(configuration))
        yield


@pytest.mark.timeout(800)
def test_synthetic_clips_give_the_same_figures_as_on_this_machine(slurm, small_aed, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    there = tmp_path / "there"
    executor = ("--executor", "slurm", "--profile", str(site), "--output", "json")
    done = run(there, "run-pipeline", "-n", "pipelines.aed", *executor, seconds=700)
    assert done.returncode == 0, done.stdout + done.stderr
    remote = json.loads(done.stdout)
    local = json.loads((latest(small_aed) / "run.json").read_text())
    assert {t["state"] for t in remote["tasks"].values()} == {"succeeded"}
    assert remote["tasks"]["train"]["engine_id"]
    assert not local["tasks"]["train"]["engine_id"]
    figures = evaluation(latest(there))
    assert figures == evaluation(latest(small_aed))
    assert figures["clips"] == 20
    assert "quantized" in figures
    for task in ("fetch", "preprocess", "train"):
        outputs = [r["tasks"][task]["outputs"] for r in (remote, local)]
        # TensorBoard writes the time, the card where the store is
        names = [n for n in outputs[0] if n not in ("metrics", "card")]
        assert [outputs[0][n]["digest"] for n in names] == [outputs[1][n]["digest"] for n in names]
