"""Assets are brought whole, under their names, with the digests of what came."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading

import pytest

from soundgate.errors import DataError, ParameterError
from steps.stage import stage

BYTES = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(BYTES).hexdigest()


class Host(http.server.BaseHTTPRequestHandler):
    """Serves one file, and the same cut short."""

    def do_GET(self):
        if self.path not in ("/weights.bin", "/short.bin"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BYTES)))
        self.end_headers()
        self.wfile.write(BYTES if self.path == "/weights.bin" else BYTES[:-1])

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def host():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def staged(tmp_path):
    folder = tmp_path / "staged"
    folder.mkdir()
    return folder


def test_assets_of_the_web_and_of_this_host_are_brought_with_their_digests(host, staged, tmp_path):
    (tmp_path / "tokens=1.json").write_bytes(b"{}")
    stage(staged, assets=[
        f"clap.pth={host}/weights.bin@sha256:{DIGEST}",
        f"tokens.json={tmp_path}/tokens=1.json",
    ])  # fmt: skip
    assert (staged / "clap.pth").read_bytes() == BYTES
    assert (staged / "tokens.json").read_bytes() == b"{}"
    listing = json.loads((staged / "assets.json").read_text())
    assert listing["clap.pth"] == {
        "source": f"{host}/weights.bin",
        "sha256": DIGEST,
        "bytes": 1280000,
    }
    assert listing["tokens.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()


@pytest.mark.parametrize(
    ("path", "digest", "said"),
    [
        ("weights.bin", "0" * 64, f"SHA-256 is {DIGEST}, not 000"),
        ("short.bin", DIGEST, "cut short at 1279999 of 1280000 bytes"),
        ("absent.bin", DIGEST, "cannot be fetched: HTTP Error 404"),
    ],
)
def test_what_is_not_what_was_asked_for_is_refused(host, staged, path, digest, said):
    with pytest.raises(DataError) as wrong:
        stage(staged, assets=[f"a={host}/{path}@sha256:{digest}"])
    assert said in str(wrong.value)
    assert not (staged / "assets.json").exists()


def test_a_host_that_is_not_there_is_one_line(staged):
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:9/x: cannot be fetched: .*refused"):
        stage(staged, assets=["a=http://127.0.0.1:9/x"])


@pytest.mark.parametrize("text", ["clap", "a/b=c", "..=c", "assets.json=c", "=c", "a="])
def test_an_asset_without_name_or_source_is_refused(staged, text):
    with pytest.raises(ParameterError, match="expected NAME=SOURCE"):
        stage(staged, assets=[text])


def test_names_are_used_once_and_files_are_there(staged, tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(ParameterError, match="two assets are called 'a'"):
        stage(staged, assets=[f"a={tmp_path}/x", f"a={tmp_path}/x"])
    with pytest.raises(DataError, match=r"absent: cannot be read: No such file"):
        stage(staged, assets=[f"b={tmp_path}/absent"])
