"""The tagging pipeline as it would be sent to SageMaker, executed: the report of a local run."""

from __future__ import annotations

import pytest
import tagging_runs
from account_site import Site, empty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def tagged(plane, mlflow, tmp_path_factory):
    """The account after one execution of the small tagging pipeline."""
    with empty(plane):
        folder, small = tmp_path_factory.mktemp("tagging"), tagging_runs.SMALL
        site = Site(plane, folder, "tagging", small, mlflow_tracking_uri=mlflow)
        site.record = site.run()
        yield site


def test_a_tagger_has_the_same_report_on_sagemaker(tagged, small_tagging):
    there = tagged.read(tagged.execution(), "evaluate", "report", "evaluation.json")
    expected = tagging_runs.report_digest(tagging_runs.local_report(small_tagging))
    assert tagging_runs.report_digest(there) == expected


def test_a_tagger_is_a_candidate_in_both_registries(tagged, mlflow):
    from mlflow import MlflowClient

    arn = tagged.execution().steps["register-package"].metadata["RegisterModel"]["Arn"]
    package = tagged.plane.account.sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"]["pipeline"] == "tagging"
    [version] = MlflowClient(mlflow).search_model_versions("name = 'tagging-candidates'")
    assert version.tags["git.commit"] == tagged.record["commit"]
