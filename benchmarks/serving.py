"""How many clips a service answers, how fast, and in which memory, beside other services.

    python -m benchmarks.serving MODEL [--seconds 5] [--clients 1 8 64] [--clip-s 1]
        [--litserve PYTHON] [--requests 20000]

MODEL is a folder with ``export/model.onnx`` in it. Each service has the same program, the same
machine and the same WAV file as the body of each request; clients keep their connections. Peers:

naive      one ``async def`` of FastAPI that decodes and scores where it stands
litserve   LitServe with batches of 16, where a Python is given that has it

Requests a second, milliseconds until half and 99 % are answered, CPU milliseconds a request of the
service's process. With ``--requests`` also the memory of the service after each tenth of them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import numpy as np
import soundfile

if TYPE_CHECKING:
    from collections.abc import Iterator

PEERS = Path(__file__).resolve().parent / "serving_peers"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contender:
    """A service, and how it is asked."""

    name: str
    command: list[str]
    port: int
    ready: str
    request: bytes


def main() -> None:
    """Measure each and print a table."""
    args = _arguments()
    print(f"{'service':<10} clients  requests/s     p50 ms     p99 ms  CPU ms/request")
    for contender in _contenders(args):
        with _running(contender) as process:
            asyncio.run(_load(contender, 8, 1.0))  # what is done at first only
            for clients in args.clients:
                used = _cpu_s(process)
                took_ms = asyncio.run(_load(contender, clients, args.seconds))
                cpu_ms = 1000 * (_cpu_s(process) - used) / len(took_ms)
                p50, p99 = np.percentile(took_ms, [50, 99])
                rate = len(took_ms) / args.seconds
                print(
                    f"{contender.name:<10} {clients:7d} {rate:11.1f} {p50:10.1f} {p99:10.1f} "
                    f"{cpu_ms:15.2f}",
                    flush=True,
                )
            if args.requests and contender.name == "soundgate":
                _memory(contender, process, args.requests)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--clip-s", type=float, default=1.0)
    parser.add_argument("--litserve", metavar="PYTHON", help="a Python that has LitServe")
    parser.add_argument("--requests", type=int, default=0)
    return parser.parse_args()


def _contenders(args: argparse.Namespace) -> Iterator[Contender]:
    held = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, round(args.clip_s * 44_100))
    soundfile.write(held, samples, 44_100, format="WAV", subtype="PCM_16")
    wav, model = held.getvalue(), str(args.model.resolve())
    audio = _request("/invocations", "audio/wav", wav)
    port = _free_port()
    own = [sys.executable, "-m", "soundgate.cli", "serve", "--model-dir", model]
    yield Contender("soundgate", [*own, "--port", str(port)], port, "/health/ready", audio)
    port = _free_port()
    naive = [sys.executable, str(PEERS / "naive.py"), model, str(port)]
    yield Contender("naive", naive, port, "/ping", audio)
    if args.litserve:
        port = _free_port()
        command = [args.litserve, str(PEERS / "with_litserve.py"), model, str(port)]
        body = json.dumps({"audio": base64.b64encode(wav).decode()}).encode()
        asked = _request("/predict", "application/json", body)
        yield Contender("litserve", command, port, "/health", asked)


def _request(path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def _running(contender: Contender) -> Iterator[subprocess.Popen[bytes]]:
    """A service from start to end, once it answers; says how long that took."""
    began = time.monotonic()
    process = subprocess.Popen(
        contender.command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not _answers(contender):
            if process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit(f"{contender.name} did not start")
            time.sleep(0.02)
        used = _cpu_s(process)
        print(f"{contender.name}: ready after {time.monotonic() - began:.1f} s, {used:.1f} s CPU")
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # some leave processes of their own behind
        process.wait()


def _answers(contender: Contender) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{contender.port}{contender.ready}", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _load(contender: Contender, clients: int, seconds: float) -> list[float]:
    """Milliseconds of each request of so many clients."""
    end = time.monotonic() + seconds
    found = await asyncio.gather(*(_client(contender, end) for _ in range(clients)))
    return [took for each in found for took in each]


async def _client(contender: Contender, end: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", contender.port)
    took_ms = []
    while (began := time.monotonic()) < end:
        writer.write(contender.request)
        await _answer(reader)
        took_ms.append(1000 * (time.monotonic() - began))
    writer.close()
    return took_ms


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"answered {head.splitlines()[0].decode()}")
    length = next(line for line in head.splitlines() if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


def _memory(contender: Contender, process: subprocess.Popen[bytes], requests: int) -> None:
    """Resident memory while requests are answered, by 16 clients."""
    sizes: list[int] = []
    done = 0
    while done < requests:
        done += len(asyncio.run(_load(contender, 16, 5.0)))
        if done >= (len(sizes) + 1) * requests / 10:
            sizes.append(round(_resident_mb(process)))
    print(f"memory over {done} requests, MB: {', '.join(map(str, sizes))}")


def _resident_mb(process: subprocess.Popen[bytes]) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text("utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time of the process and of its children that have ended."""
    fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


if __name__ == "__main__":
    main()
