"""Stores of every kind and a small tree to keep in them: a plugin of ``pytest_plugins``."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING

import boto3
import pytest
import servers

from soundgate.store import (
    open_store,
)

if TYPE_CHECKING:
    from pathlib import Path
from stores import BUCKET


@pytest.fixture(scope="module")
def s3_server(request):
    """Servers by kind, each started when first asked for."""
    with ExitStack() as stack:
        started = {}

        def url(kind: str) -> str:
            if kind not in started:
                try:
                    started[kind] = stack.enter_context(getattr(servers, kind)())
                except (FileNotFoundError, RuntimeError) as error:
                    started[kind] = error
            if isinstance(started[kind], FileNotFoundError):
                pytest.skip(str(started[kind]))
            if isinstance(started[kind], RuntimeError):
                raise started[kind]
            return started[kind]

        yield url


@pytest.fixture
def aws(monkeypatch, s3_server):
    """A function that points the AWS environment at a server and gives a plain client for it."""
    clients = []

    def point(kind: str):
        for name, value in {**servers.AWS_KEYS, "AWS_DEFAULT_REGION": "us-east-1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server(kind))
        clients.append(boto3.client("s3"))
        clients[-1].create_bucket(Bucket=BUCKET)
        return clients[-1]

    yield point
    for client in clients:
        client.close()


@pytest.fixture(params=["folder", "moto", pytest.param("ceph", marks=pytest.mark.slow)])
def store(request, tmp_path, aws):
    """An empty store."""
    if request.param == "folder":
        yield open_store(str(tmp_path / "store"))
        return
    aws(request.param)
    opened = open_store(f"s3://{BUCKET}/{uuid.uuid4()}/pre fix")
    yield opened
    opened.close()


@pytest.fixture
def clips(tmp_path) -> Path:
    """A small data set with awkward names, a duplicate and an empty file."""
    folder = tmp_path / "clips"
    for path, content in {
        "a b/é.wav": b"one",
        "a-b.wav": b"two",
        "a/b.wav": b"three",
        "a/twin.wav": b"three",
        "empty": b"",
        "日本/犬 #1?.wav": b"four",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
