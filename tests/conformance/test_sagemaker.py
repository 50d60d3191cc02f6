from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from conformance.engine import Engine
from conformance.suite import Conformance

pytestmark = pytest.mark.slow

SAGEMAKER = Path(__file__).resolve().parents[1] / "sagemaker"
ROLE = "arn:aws:iam::123456789012:role/pipeline"
PROFILE = {
    "region": "eu-west-1",
    "bucket": "conformance-sagemaker",
    "image_uri": f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/toy@sha256:{'0' * 64}",
    "pipeline_role_arn": ROLE,
    "job_role_arn": ROLE.replace("pipeline", "job"),
    "poll_s": 0.2,
}


@pytest.fixture(scope="module")
def engine(toy, tmp_path_factory):
    sys.path.insert(0, str(SAGEMAKER))
    from definition_runner import Image, why_not

    if reason := why_not():
        pytest.skip(f"containers cannot be played here: {reason}")
    from control_plane import ControlPlane

    outside = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="conformance-"))
    image = Image(toy.folder, environment={"TOY_OUTSIDE": str(outside)})
    plane = ControlPlane(
        tmp_path_factory.mktemp("jobs"), image, grace_s=2.0, second_s=0.0, max_parallel=4
    )
    toy.write("site.yaml", yaml.safe_dump(PROFILE))
    words = ("--executor", "sagemaker", "--profile", "site.yaml")
    plane.account.client("s3").create_bucket(
        Bucket="conformance-sagemaker",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )

    def check_received(_run, text):
        assert plane.execution().definition == json.loads(text)

    yield Engine(
        "sagemaker",
        toy,
        words,
        plane.environment(),
        outside=outside,
        check_received=check_received,
    )
    plane.close()
    shutil.rmtree(outside)


class TestSageMaker(Conformance):
    """Jobs of a pipeline definition, executed under the container contract."""
