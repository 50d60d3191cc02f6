"""The spotting pipeline as it would be sent to SageMaker, executed: the report of a local run."""

from __future__ import annotations

import pytest
import spot_runs
from account_site import Site, empty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_detectors_have_the_same_report_on_sagemaker(plane, mlflow, small_spot, tmp_path):
    with empty(plane):
        site = Site(plane, tmp_path, "spot", spot_runs.SMALL, mlflow_tracking_uri=mlflow)
        site.run(words=("--config", str(spot_runs.CONFIG)))
        execution = site.execution()
        there = site.read(execution, "compare", "report", "evaluation.json")
        expected = spot_runs.report_digest(spot_runs.local_report(small_spot))
        assert spot_runs.report_digest(there) == expected
        package = execution.steps["register-package"].metadata["RegisterModel"]["Arn"]
        assert "spot" in package
