"""The tests' own servers end with the test process, even one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import servers

SERVE = """
import sys, time, servers
port = servers.free_port()
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
with servers.running(command, f"http://127.0.0.1:{port}") as url:
    print(url, flush=True)
    if sys.argv[1] == "stay":
        time.sleep(100)
"""


@pytest.mark.parametrize("end", ["stay", "leave"])
def test_a_server_ends_with_the_process_that_started_it(end, tmp_path):
    starter = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, end],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(servers.__file__).parent)},
    )
    with starter:
        url = starter.stdout.readline().strip()
        if end == "stay":
            assert servers.answers(url)
            starter.send_signal(signal.SIGKILL)
    assert starter.returncode == (-signal.SIGKILL if end == "stay" else 0)
    deadline = time.monotonic() + 10
    while servers.answers(url):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_does_not_start_shows_its_log():
    with (
        pytest.raises(RuntimeError, match="No module named no_such_module"),
        servers.running([sys.executable, "-m", "no_such_module"], "http://127.0.0.1:9"),
    ):
        pass
