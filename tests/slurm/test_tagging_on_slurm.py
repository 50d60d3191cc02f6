"""The tagging pipeline on a real Slurm: the same report as on this machine."""

from __future__ import annotations

import pytest
import tagging_runs

pytestmark = pytest.mark.slow


@pytest.mark.timeout(800)
def test_a_tagger_has_the_same_report_on_slurm(site, small_tagging, tmp_path):
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
