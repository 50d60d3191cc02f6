"""Hooks of decisions, and the receiver of webhooks: what it believes and what it does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import socket
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from soundgate import cli
from soundgate.registry.notifications import hooks, webhooks
from soundgate.registry.notifications.webhooks import (
    DELIVERY_HEADER,
    MOST_BYTES,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    Receiver,
    refusal,
)

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

SECRET = "the secret"
EVENT = {
    "entity": "model_version_alias",
    "action": "created",
    "timestamp": "2026-11-20T12:00:00Z",
    "data": {"name": "aed", "alias": "champion", "version": "3"},
}
BODY = json.dumps(EVENT).encode()
TOLD = hooks.Event(event="e", model="aed", version="3", alias="", at="", details={})


def test_a_hook_is_told_of_every_decision_and_its_failure_changes_nothing(
    embedded, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path))
    monkeypatch.setenv(hooks.HOOK_VARIABLE, f"sh -c 'cat >> {tmp_path}/told'")
    embedded.candidate("r1")
    embedded.candidate("r2")
    words = ["--comment", "why ü", "--reviewer", "ann"]
    assert cli.main(["review-model", "approve", "1", *words]) == 0
    assert cli.main(["review-model", "reject", "2", *words]) == 0
    assert capsys.readouterr().err == ""
    first, second = (json.loads(line) for line in (tmp_path / "told").read_text().splitlines())
    assert (first["event"], first["model"], first["version"]) == ("review.approve", "aed", "1")
    assert (first["alias"], second["alias"]) == ("champion", "")
    assert first["decision"]["comment"] == "why ü"
    assert first["outcome"]["released"] == "1"
    assert second["event"] == "review.reject"

    embedded.candidate("r3")
    failing = f"{sys.executable} -c \"import sys; sys.exit('no disk')\""
    assert cli.main(["review-model", "approve", "3", *words, "--hook", failing]) == 0
    err = capsys.readouterr().err
    assert err.endswith("ended with exit code 1: no disk; the decision remains valid\n")
    assert embedded.at("champion") == "2"


def test_how_a_hook_fails_is_told():
    assert hooks.call(["true"], TOLD) == ""
    assert hooks.call(["no-such-program"], TOLD).endswith(
        "cannot be run: No such file or directory"
    )
    assert "took more than 0.1 s" in hooks.call(["sleep", "5"], TOLD, limit_s=0.1)
    long = replace(TOLD, details={"long": "x" * 1_000_000})
    assert hooks.call(["true"], long) == ""  # who does not read is no failure
    # Neither output in another encoding nor half a surrogate pair stops who called it.
    assert hooks.call(["sh", "-c", r"printf '\377 no disk'; exit 3"], TOLD).endswith("no disk")
    assert hooks.call(["true"], replace(TOLD, model="\ud800")) == ""


# Signatures


def signed(body: bytes = BODY, *, secret: str = SECRET, delivery: str = "d-1", at: float = 1000):
    """Headers as https://www.standardwebhooks.com defines them, computed here on their own."""
    text = f"{delivery}.{int(at)}.".encode() + body
    mac = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha256)).decode()
    return {
        DELIVERY_HEADER: delivery,
        TIMESTAMP_HEADER: str(int(at)),
        SIGNATURE_HEADER: f"v1,{mac}",
    }


def test_mlflow_s_own_signature_is_believed():
    from mlflow.webhooks.delivery import _generate_hmac_signature

    headers = signed()
    theirs = _generate_hmac_signature(SECRET, "d-1", "1000", BODY.decode())
    assert headers[SIGNATURE_HEADER] == theirs
    assert refusal(headers, BODY, SECRET, now_s=1000) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({SIGNATURE_HEADER: ""}, "it is not signed"),
        ({DELIVERY_HEADER: "d-2"}, "its signature is wrong"),
        ({TIMESTAMP_HEADER: "1001"}, "its signature is wrong"),
        ({TIMESTAMP_HEADER: "now"}, "its timestamp is not a number"),
        ({SIGNATURE_HEADER: "v1,%%%"}, "its signature is wrong"),
        ({SIGNATURE_HEADER: "v1"}, "its signature is wrong"),
        (signed(secret="a guess"), "its signature is wrong"),
        (signed(b"other"), "its signature is wrong"),
        ({SIGNATURE_HEADER: signed()[SIGNATURE_HEADER].replace("v1", "v2")}, "its signature is"),
    ],
)
def test_a_forged_delivery_is_refused(changes, reason):
    assert refusal({**signed(), **changes}, BODY, SECRET, now_s=1000).startswith(reason)


def test_an_old_delivery_and_one_of_the_future_are_refused():
    for now_s, believed in ((1300, True), (700, True), (1301, False), (699, False)):
        assert (refusal(signed(), BODY, SECRET, now_s=now_s) == "") is believed
    assert refusal(signed(), BODY, SECRET, now_s=1011, tolerance_s=10).startswith("it is too old")


def test_one_of_several_signatures_is_enough():
    headers = signed()
    headers[SIGNATURE_HEADER] = f"v1,{base64.b64encode(b'x').decode()} {headers[SIGNATURE_HEADER]}"
    assert refusal(headers, BODY, SECRET, now_s=1000) == ""


# The receiver


@contextmanager
def receiving(command: list[str]):
    lines: list[str] = []
    receiver = Receiver(("127.0.0.1", 0), SECRET, command, say=lines.append)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        yield receiver.server_port, lines
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()


def post(port: int, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_command_runs_once_for_each_genuine_delivery(tmp_path):
    told = tmp_path / "told"
    now = time.time()
    with receiving(["sh", "-c", f"cat >> {told}"]) as (port, lines):
        fresh = signed(delivery="a", at=now)
        assert post(port, BODY, fresh) == 204
        assert post(port, BODY, fresh) == 204  # sent again by the server, or recorded by a thief
        assert post(port, BODY, signed(delivery="b", at=now)) == 204
        assert post(port, BODY, signed(delivery="c", at=now - 400)) == 401
        assert post(port, BODY, signed(delivery="d", at=now, secret="a guess")) == 401
        assert post(port, b"[]", signed(b"[]", delivery="e", at=now)) == 400
        assert post(port, BODY, {**fresh, "Content-Length": str(MOST_BYTES + 1)}) == 413
    events = [json.loads(line) for line in told.read_text().splitlines()]
    assert len(events) == 2
    assert events[0] == {
        "event": "model_version_alias.created",
        "model": "aed",
        "version": "3",
        "alias": "champion",
        "at": "2026-11-20T12:00:00Z",
        "data": EVENT["data"],
    }
    assert lines.count("model_version_alias.created of aed: hook ran") == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Content-Length": "9" * 5000}, 413),
        ({"Content-Length": "\u00b2"}, 413),
        ({"Content-Length": "-1"}, 413),
        ({TIMESTAMP_HEADER: "9" * 5000}, 401),
        ({TIMESTAMP_HEADER: "1e999"}, 401),
    ],
)
def test_absurd_numbers_are_refused_in_one_line(changes, status):
    with receiving(["true"]) as (port, lines):
        assert post(port, b"", {**signed(at=time.time()), **changes}) == status
        assert post(port, BODY, signed(delivery="good", at=time.time())) == 204
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 200 for line in lines)


def test_an_event_nested_too_deeply_is_no_event():
    body = b"[" * 200_000
    with receiving(["true"]) as (port, lines):
        assert post(port, body, signed(body, at=time.time())) == 400
    assert lines == ["a delivery was refused: it is no event of MLflow"]


def test_what_an_event_says_reaches_no_terminal(tmp_path):
    event = {**EVENT, "data": {**EVENT["data"], "name": "aed\n\x1b[2J\u202e"}}
    body = json.dumps(event).encode()
    with receiving(["true"]) as (port, lines):
        assert post(port, body, signed(body, at=time.time())) == 204
    assert lines == ["model_version_alias.created of aed\\n\\x1b[2J\\u202e: hook ran"]


def test_idle_connections_keep_no_delivery_out():
    with receiving(["true"]) as (port, _), ExitStack() as stack:
        for _ in range(4 * webhooks.MOST_CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        began = time.monotonic()
        assert post(port, BODY, signed(at=time.time())) == 204
        assert time.monotonic() - began < webhooks.SOCKET_LIMIT_S / 2


def drip(connection, seconds):
    """Send a byte now and then, so that no limit between two bytes is reached."""
    for _ in range(int(seconds / 0.05)):
        connection.sendall(b"X")
        time.sleep(0.05)


def test_a_connection_that_drips_is_ended(monkeypatch):
    monkeypatch.setattr(webhooks, "REQUEST_LIMIT_S", 0.5)
    with receiving(["true"]) as (port, _):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as dripping:
            dripping.sendall(b"POST / HTTP/1.1\r\n")
            with pytest.raises(OSError):
                drip(dripping, seconds=10)
        assert post(port, BODY, signed(at=time.time())) == 204


def test_listening_needs_a_secret_and_a_free_port(monkeypatch, capsys):
    words = ["review-model", "listen", "--command", "true", "--port"]
    monkeypatch.delenv("SOUNDGATE_WEBHOOK_SECRET", raising=False)
    assert cli.main([*words, "8085"]) == 2
    assert "SOUNDGATE_WEBHOOK_SECRET is not set" in capsys.readouterr().err
    monkeypatch.setenv("SOUNDGATE_WEBHOOK_SECRET", SECRET)
    assert cli.main([*words, "99999"]) == 2
    assert "cannot listen on 127.0.0.1:99999" in capsys.readouterr().err
    for tolerance in ("0", "-1", "nan", "inf"):
        assert cli.main([*words, "8085", f"--tolerance={tolerance}"]) == 2
        assert "--tolerance must be more than 0 seconds" in capsys.readouterr().err
