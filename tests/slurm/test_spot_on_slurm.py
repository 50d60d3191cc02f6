"""The spotting pipeline on a real Slurm, its maps as job arrays: the report of a local run."""

from __future__ import annotations

import pytest
import spot_runs

pytestmark = pytest.mark.slow


@pytest.mark.timeout(800)
def test_detectors_have_the_same_report_on_slurm(site, small_spot, tmp_path):
    done = spot_runs.run(
        tmp_path / "there",
        *("--executor", "slurm", "--profile", str(site)),
        settings=(*spot_runs.SMALL, f"store={tmp_path / 'store'}"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    digests = {
        spot_runs.report_digest(spot_runs.local_report(runs))
        for runs in (tmp_path / "there", small_spot)
    }
    assert len(digests) == 1
