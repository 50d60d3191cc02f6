"""The service as a process: under load, with clients that leave, a new model, and SIGTERM."""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import numpy as np
import pytest
import soundfile
from aed_runs import latest

pytestmark = pytest.mark.slow

pytest.importorskip("onnxruntime")
BOUNDARY = "b0undary"
LOAD_S = 8.0


@pytest.fixture(scope="module")
def model(small_aed, tmp_path_factory):
    """A model with its programs, as the registry keeps it."""
    tasks = latest(small_aed) / "tasks"
    folder = tmp_path_factory.mktemp("served") / "aed"
    shutil.copytree(tasks / "train" / "model", folder)
    shutil.copytree(tasks / "export" / "exported", folder / "export")
    return folder


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def start(model, port, *more):
    words = ["serve", "--model-dir", str(model), "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "soundgate.cli", *words, *more],
        env={**os.environ, "PYTHONWARNINGS": "default"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until = time.monotonic() + 60
    while status(port, "GET", "/health/ready")[0] != 200:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.05)
    return process


def status(port, method, path, body=b"", headers=None):
    """The status and body of an answer; None and why, where there is none."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException) as error:
        return None, repr(error)
    finally:
        connection.close()


def form(content):
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="audio_files"; filename="a.wav"'
    body = head.encode() + b"\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def wav(seconds=1.0):
    held = io.BytesIO()
    samples = np.random.default_rng(1).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    soundfile.write(held, samples, 16_000, format="WAV")
    return held.getvalue()


def leave_early(port, content):
    """Send half a request, or all of it, and close the connection without reading."""
    body, headers = form(content)
    lines = [f"{k}: {v}" for k, v in (headers | {"Content-Length": len(body)}).items()]
    head = "\r\n".join(["POST /predict HTTP/1.1", "Host: x", *lines, "", ""]).encode()
    for sent in (head, head + body[: len(body) // 2], head + body):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(sent)


class Load:
    """Clients that ask until they are told to stop."""

    def __init__(self, port):
        self.port, self.stop = port, threading.Event()
        self.answers, self.lost = Counter(), []
        kinds = {
            "good": (form(wav()), 200),
            "text": (form(b"no audio" * 50), 415),
            "cut": (form(wav()[:5000]), 422),
            "huge": ((b"", {"Content-Length": str(2 << 30)}), 413),
            "junk": ((b"\0\1" * 50, {"Content-Type": "multipart/form-data; boundary=x"}), 400),
        }
        plan = [*["good"] * 6, *list(kinds)[1:]]
        self.threads = [threading.Thread(target=self.ask, args=(k, *kinds[k])) for k in plan]
        self.threads.append(threading.Thread(target=self.leave))
        for thread in self.threads:
            thread.start()

    def ask(self, kind, request, expected):
        while not self.stop.is_set():
            began = time.monotonic()
            found, body = status(self.port, "POST", "/predict", *request)
            if found is None:
                self.lost.append((began, kind, body))
                time.sleep(0.05)
            else:
                self.answers[kind, found == expected or found] += 1

    def leave(self):
        while not self.stop.is_set():
            try:
                leave_early(self.port, wav())
            except OSError:
                time.sleep(0.05)
            time.sleep(0.02)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def memory_mb(process):
    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def test_nothing_that_was_accepted_is_left_without_an_answer(model):
    port = free_port()
    process = start(model, port, "--hot-reload")
    try:
        maps = Path(f"/proc/{process.pid}/maps").read_text("utf-8")
        assert "libtorch" not in maps  # a program needs none
        assert "onnxruntime" in maps
        load = Load(port)
        time.sleep(LOAD_S / 4)
        before_mb = memory_mb(process)
        os.utime(model / "model.json")  # what a new version looks like
        time.sleep(LOAD_S)
        after_mb = memory_mb(process)
        stopped = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=40)
        load.end()
    finally:
        process.kill()
    assert said.count("serving ") == 2
    assert "Traceback" not in said
    kinds = {kind for kind, _ in load.answers}
    assert kinds == {"good", "text", "cut", "huge", "junk"}
    assert {right for _, right in load.answers} == {True}
    assert load.answers["good", True] > 20
    early = [lost for lost in load.lost if lost[0] < stopped - 0.5 and lost[1] != "huge"]
    assert early == []
    assert after_mb < before_mb + 60
    assert process.returncode in {0, -signal.SIGTERM}
