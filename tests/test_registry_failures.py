"""Registries that do not answer, refuse, or are none: one line each."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
import servers

from soundgate.errors import MissingExtra, RegistryError
from soundgate.registry.service.connection import Registry, tracking_uri
from soundgate.registry.service.tracking import tracked_run

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")


def failure(uri: str) -> str:
    started = time.monotonic()
    with pytest.raises(RegistryError) as caught, tracked_run(Registry(uri), "aed-1"):
        pass
    assert time.monotonic() - started < 20
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_is_not_there_is_named_at_once():
    uri = f"http://127.0.0.1:{servers.free_port()}"
    assert failure(uri).startswith(f"no MLflow server answers at {uri}; start it")


@contextmanager
def answering(status: int, text: str):
    """A server that answers everything with ``status`` and ``text``."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 # the name is http.server's

        def log_message(self, *_args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "text", "advice"),
    [
        (401, "You are not authenticated.", "set MLFLOW_TRACKING_USERNAME"),
        (403, "Invalid Host header", "--allowed-hosts"),
        (403, '{"error_code": "PERMISSION_DENIED", "message": "no"}', "check the permissions"),
        (404, "<html>\nnothing\n</html>", "check the path"),
    ],
)
def test_a_refusal_is_named(status, text, advice):
    with answering(status, text) as url:
        message = failure(url)
    assert message.startswith(f"MLflow at {url}: ")
    assert advice in message
    assert message.endswith(f"({status})")


@pytest.mark.parametrize("uri", ["nonsense://x", "just/a/folder", "sqlite://"])
def test_a_bad_address_is_named(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert f"'{uri}' is no address of an MLflow registry" in failure(uri)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be looked at" * 10)
    assert "is no sqlite database" in failure(tracking_uri(tmp_path))


def test_without_mlflow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with (
        pytest.raises(MissingExtra, match=r"pip install 'soundgate\[registry\]'"),
        tracked_run(Registry("sqlite:///none.db"), "aed-1"),
    ):
        pass


def test_importing_the_registry_imports_no_mlflow():
    code = "import sys, soundgate.registry, soundgate.store; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlflow", "boto3", "botocore", "numpy", "rich"} & set(told.stdout.split())
