"""Real server processes for tests: loopback only, and gone when the test process is.

``python servers.py COMMAND...`` is the keeper: it leads a session of its own, runs the command in
it, and kills all of it when its standard input ends, which happens however the test process dies.
"""

from __future__ import annotations

import base64
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STOP_S = 5.0
AWS_KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
# Hashing a password takes 0.2 s of CPU, and MLflow does it for every request unless told otherwise.
AUTH = """[mlflow]
default_permission = READ
database_uri = sqlite:///{folder}/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 600
"""


def free_port() -> int:
    """A TCP port nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(
    command: list[str],
    url: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    start_s: float = 90.0,
) -> Iterator[str]:
    """Run ``command`` until the block ends; yields ``url`` once it answers HTTP, whatever it says.

    Raises:
        RuntimeError: it ended or did not answer in time; the text carries its log's last lines.
    """
    with tempfile.TemporaryFile() as log:
        keeper = subprocess.Popen(
            [sys.executable, __file__, *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + start_s
            while not answers(url):
                if keeper.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    tail = log.read().decode("utf-8", "replace")[-2000:]
                    raise RuntimeError(f"{command[0]} does not answer at {url}:\n{tail}")
                time.sleep(0.1)
            yield url
        finally:
            keeper.stdin.close()
            keeper.wait(STOP_S + 5)


def answers(url: str) -> bool:
    """Whether something speaks HTTP there."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def moto() -> Iterator[str]:
    """AWS, played by moto's server; yields its URL."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server"]
    with running([*command, "-H", "127.0.0.1", "-p", str(port)], f"http://127.0.0.1:{port}") as url:
        yield url


@contextlib.contextmanager
def mlflow(
    folder: Path, backend: str | None = None, *, admin_password: str = "", webhooks: bool = False
) -> Iterator[str]:
    """An MLflow server that keeps everything in ``folder``; yields its URL.

    With ``admin_password`` it wants a sign-in (``admin``); with ``webhooks`` it may deliver to
    loopback.
    """
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", backend or f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "served")]
    settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    if admin_password:
        command += ["--app-name", "basic-auth"]
        settings["MLFLOW_FLASK_SERVER_SECRET_KEY"] = "key-of-the-test"
        settings["MLFLOW_AUTH_ADMIN_PASSWORD"] = admin_password
        settings["MLFLOW_AUTH_CONFIG_PATH"] = str(folder / "auth.ini")
        (folder / "auth.ini").write_text(AUTH.format(folder=folder), "utf-8")
    if webhooks:
        settings["MLFLOW_WEBHOOK_ALLOWED_SCHEMES"] = "http"
        settings["MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS"] = "true"
        settings["MLFLOW_WEBHOOK_CACHE_TTL"] = "1"  # seconds until a new webhook is noticed
        settings["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] = base64.urlsafe_b64encode(
            b"thirty-two bytes for the webhook"
        ).decode()
    url = f"http://127.0.0.1:{port}"
    with running(command, f"{url}/health", env=settings, cwd=folder):
        yield url


@contextlib.contextmanager
def ceph() -> Iterator[str]:
    """A real S3, Ceph's gateway from Debian packages that are unpacked in ``.ceph``; its URL.

    Raises:
        FileNotFoundError: this machine has no Debian packages, or they cannot be fetched.
    """
    scripts = Path(__file__).parent / "ceph"
    root = Path(__file__).parent.parent / ".ceph" / "root"
    if not root.is_dir():
        if shutil.which("apt-get") is None:
            raise FileNotFoundError("Ceph's packages need apt-get")
        fetched = subprocess.run(
            [scripts / "fetch.sh"], capture_output=True, text=True, check=False, timeout=200
        )
        if not root.is_dir():
            raise FileNotFoundError(f"Ceph's packages cannot be fetched: {fetched.stderr[-300:]}")
    port = free_port()
    keys = [AWS_KEYS["AWS_ACCESS_KEY_ID"], AWS_KEYS["AWS_SECRET_ACCESS_KEY"]]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(scripts / "up.sh"), str(root), f"{folder}/data", str(port), *keys]
        with running(command, f"http://127.0.0.1:{port}") as url:
            yield url


def _keep(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input does; then end the whole session."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while server.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.2)
        if readable and not sys.stdin.buffer.read1(1):
            break
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(STOP_S)
    os.killpg(0, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1:]))
