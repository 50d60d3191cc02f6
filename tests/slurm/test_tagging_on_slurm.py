"""The tagging pipeline on a real Slurm: the same report as on this machine."""

from __future__ import annotations

import pytest
import slurm_cluster
import tagging_runs

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
def test_a_tagger_has_the_same_report_on_slurm(slurm, small_tagging, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    done = tagging_runs.run(
        tmp_path / "there",
        *("--executor", "slurm", "--profile", str(site)),
        settings=(*tagging_runs.SMALL, f"store={tmp_path / 'store'}"),
        config=tagging_runs.ROOT / "user_configs/tagging.yaml",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    digests = {
        tagging_runs.report_digest(tagging_runs.local_report(runs))
        for runs in (tmp_path / "there", small_tagging)
    }
    assert len(digests) == 1
