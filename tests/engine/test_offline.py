"""A program that tries the network where there is none fails at once and says why."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

TRIED = "tried to use the network ({host}) on a compute node without network"


def attempt(code: str, offline: str) -> subprocess.CompletedProcess[str]:
    program = f"from soundgate.programs import offline; offline.guard()\nimport socket\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"SOUNDGATE_OFFLINE": offline},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


@pytest.mark.parametrize(
    ("code", "host"),
    [
        ("socket.create_connection(('203.0.113.7', 80), timeout=9)", "203.0.113.7"),
        ("socket.getaddrinfo('hub.example', 443)", "hub.example"),
        ("import urllib.request as u; u.urlopen('http://hub.example/x')", "hub.example"),
        ("socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))", "2001:db8::1"),
    ],
)
def test_another_machine_is_out_of_reach(code, host):
    ended = attempt(code, "none")
    assert ended.returncode == 1
    assert TRIED.format(host=host) in ended.stderr.strip().splitlines()[-1]
    assert "needs_network=True" in ended.stderr


def test_this_machine_and_allowed_hosts_are_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        accepted = threading.Thread(
            target=lambda: [server.accept()[0].close() for _ in "ab"], daemon=True
        )
        accepted.start()
        for host in ("127.0.0.1", "localhost"):
            ended = attempt(f"socket.create_connection(({host!r}, {port})).close()", "none")
            assert (ended.returncode, ended.stderr) == (0, "")
        accepted.join(10)
    ended = attempt(
        "socket.getaddrinfo('no-such-host.invalid', 80)", "tracker,no-such-host.invalid"
    )
    assert "gaierror" in ended.stderr
    assert "compute node" not in ended.stderr


def test_without_the_variable_nothing_is_refused():
    assert "gaierror" in attempt("socket.getaddrinfo('no-such-host.invalid', 80)", "").stderr
