"""The spotting pipeline as it would be sent to Kubeflow, executed: the report of a local run."""

from __future__ import annotations

import executed
import pytest
import spot_runs

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_detectors_have_the_same_report_on_kubeflow(small_spot, tmp_path):
    there = executed.report_of(spot_runs, "compare", tmp_path)
    expected = spot_runs.report_digest(spot_runs.local_report(small_spot))
    assert spot_runs.report_digest(there) == expected
