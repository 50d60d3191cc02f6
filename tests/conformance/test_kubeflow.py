from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from conformance.engine import Engine
from conformance.suite import Conformance

pytestmark = pytest.mark.slow

KUBEFLOW = Path(__file__).resolve().parents[1] / "kubeflow"


@pytest.fixture(scope="module")
def bucket():
    """An S3 server with one bucket, as a client and the environment that points at it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="conformance-kubeflow")
    yield client, environment
    client.close()
    server.stop()


def put(client, path, uri):
    """Upload a file, as KFP's launcher does."""
    client.upload_file(
        str(path), "conformance-kubeflow", uri.removeprefix("s3://conformance-kubeflow/")
    )


def fetch(client, uri, target):
    """Download everything below a URI."""
    prefix = uri.removeprefix("s3://conformance-kubeflow/")
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket="conformance-kubeflow", Prefix=prefix
    ):
        for entry in page.get("Contents", ()):
            path = target / entry["Key"].removeprefix(prefix).lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("conformance-kubeflow", entry["Key"], str(path))


@pytest.fixture(scope="module")
def engine(toy, bucket, tmp_path_factory):
    sys.path.insert(0, str(KUBEFLOW))
    import ir_runner
    from stub_api import KubeflowApi

    client, environment = bucket
    outside = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="conformance-"))
    cluster = ir_runner.Platform(
        project=toy.folder,
        environment={"TOY_OUTSIDE": str(outside)},
        put=functools.partial(put, client),
        fetch=functools.partial(fetch, client),
        grace_s=1.0,
    )
    with KubeflowApi(tmp_path_factory.mktemp("api"), cluster) as api:
        profile = {
            "host": api.url,
            "image": f"registry.example/toy@sha256:{'0' * 64}",
            "pipeline_root": "s3://conformance-kubeflow/v2",
            "retry_wait_s": 0,
            "poll_s": 0.2,
        }
        toy.write("site.yaml", yaml.safe_dump(profile))
        words = ("--executor", "kubeflow", "--profile", "site.yaml")

        def check_received(_run, text):
            sent = [r for r in api.requests if (r.method, r.path[-5:]) == ("POST", "/runs")][-1]
            spec = sent.body["pipeline_spec"]
            got = [spec] if "pipeline_spec" not in spec else list(spec.values())
            assert got == list(yaml.safe_load_all(text))

        yield Engine(
            "kubeflow", toy, words, environment, outside=outside, check_received=check_received
        )
    shutil.rmtree(outside)


class TestKubeflow(Conformance):
    """Containers of a compiled pipeline, executed as the cluster would."""
