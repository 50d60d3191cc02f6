"""The tagging pipeline as it would be sent to Kubeflow, executed: the report of a local run."""

from __future__ import annotations

import executed
import pytest
import tagging_runs

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
def test_a_tagger_has_the_same_report_on_kubeflow(small_tagging, tmp_path):
    config = tagging_runs.ROOT / "user_configs/tagging.yaml"
    there = executed.report_of(tagging_runs, "evaluate", tmp_path, config=config)
    expected = tagging_runs.report_digest(tagging_runs.local_report(small_tagging))
    assert tagging_runs.report_digest(there) == expected
