"""What a store in S3 does besides: parts, pages, broken connections, credentials."""

from __future__ import annotations

import http.server
import sys
import threading
from datetime import timedelta

import pytest
import servers
from stores import BUCKET, key_of, one_line_error

from soundgate.errors import StoreError
from soundgate.store import (
    open_store,
    s3,
    trees,
)

pytest_plugins = ["store_fixtures"]

CENTURY = timedelta(days=36500)  # moto says that every upload began in 2010


def test_uploads_of_the_dead_are_aborted_once_nobody_can_be_at_them(aws, tmp_path, monkeypatch):
    client = aws("moto")
    store = open_store(f"s3://{BUCKET}/aborts")
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    for number, age, left in ((1, CENTURY, 1), (2, timedelta(days=1), 0)):
        source = tmp_path / "large"
        source.write_bytes(bytes([number]) * (6 << 20))
        key = key_of(source.read_bytes())
        client.create_multipart_upload(Bucket=BUCKET, Key=f"aborts/{key}")
        client.create_multipart_upload(Bucket=BUCKET, Key=f"aborts/{key}-not")
        monkeypatch.setattr(s3, "ABANDONED", age)
        store.put(key, source)
        uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        assert sum(upload["Key"] == f"aborts/{key}" for upload in uploads) == left
        assert sum(upload["Key"] == f"aborts/{key}-not" for upload in uploads) == 1
        assert store.exists(key)
    store.close()


def test_listing_goes_beyond_one_page(aws):
    aws("moto")
    store = open_store(f"s3://{BUCKET}/pages")
    keys = [f"many/{number:04d}" for number in range(1001)]  # a page holds 1000
    for _ in trees.in_parallel(lambda key: store.put(key, b"x"), keys, 8):
        pass
    assert list(store.list("many/")) == keys
    store.close()


def test_an_object_of_another_program_is_compared_by_its_bytes(aws):
    client = aws("moto")
    client.put_object(Bucket=BUCKET, Key="foreign/a", Body=b"content")
    store = open_store(f"s3://{BUCKET}/foreign")
    store.put("a", b"content")
    with pytest.raises(StoreError, match="exists with different content"):
        store.put("a", b"else")
    store.close()


def test_a_missing_bucket_is_named(aws):
    aws("moto")
    store = open_store("s3://no-such-bucket/x")
    for call in (
        lambda: store.put("a", b""),
        lambda: store.read("a"),
        lambda: store.exists("a"),
        lambda: list(store.list("")),
    ):
        message = one_line_error(call)
        assert message.startswith("s3://no-such-bucket/x: ")
        assert "the bucket does not exist; create it" in message
    store.close()


class CutOnce(http.server.BaseHTTPRequestHandler):
    """Says that an object is long, and cuts the connection within it the first time."""

    content = bytes(100_000)
    cuts = 1

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if type(self).cuts > 0:
            type(self).cuts -= 1
            self.wfile.write(self.content[:50_000])
            self.close_connection = True
            return
        self.wfile.write(self.content)

    def log_message(self, *_args):
        pass


@pytest.mark.parametrize("cuts", [1, 100])
def test_a_connection_that_breaks_is_tried_again(aws, monkeypatch, tmp_path, cuts):
    aws("moto")
    monkeypatch.setattr(CutOnce, "cuts", cuts)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), CutOnce) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{listening.server_port}")
        store = open_store(f"s3://{BUCKET}")
        try:
            if cuts == 1:
                store.get(key_of(CutOnce.content), tmp_path / "target")
                assert (tmp_path / "target").read_bytes() == CutOnce.content
            else:
                one_line_error(lambda: store.get("a", tmp_path / "target"))
                one_line_error(lambda: store.read("a"))
                assert list(tmp_path.iterdir()) == []
        finally:
            store.close()
            listening.shutdown()
            thread.join()


def test_a_server_that_is_not_there_is_named(monkeypatch, aws):
    aws("moto")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{servers.free_port()}")
    store = open_store(f"s3://{BUCKET}")
    message = one_line_error(lambda: store.put("a", b""))
    assert "no S3 server answers" in message
    assert "check AWS_ENDPOINT_URL_S3" in message
    store.close()


def test_missing_credentials_are_named(monkeypatch, aws, tmp_path):
    aws("moto")
    for name in servers.AWS_KEYS:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    store = open_store(f"s3://{BUCKET}")
    assert "no AWS credentials; set AWS_ACCESS_KEY_ID" in one_line_error(lambda: store.read("a"))
    store.close()


def test_a_broken_endpoint_is_named(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "not a url")
    assert "check the AWS_* environment variables" in one_line_error(lambda: open_store("s3://b"))


def test_without_boto3_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(s3.MissingExtra, match=r"pip install 'soundgate\[aws\]'"):
        open_store("s3://bucket")
