"""What the service takes, from whom, and how much of it at once."""

from __future__ import annotations

import asyncio
import io
import shutil
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from served import noise, serving, upload
from toy_model import write_model

from soundgate.audio.prediction.predictors.base import PartScores
from soundgate.audio.serving.models.catalogue import Catalogue
from soundgate.audio.serving.models.sources import FolderSource
from soundgate.audio.serving.scoring.batching import Batcher
from soundgate.audio.serving.scoring.room import Room
from soundgate.audio.serving.settings import ServiceSettings
from soundgate.audio.serving.web.gate import Gate
from soundgate.audio.serving.web.measures import Measures


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("limits") / "aed")


@pytest.fixture(scope="module")
def client(model):
    limits = {"max_body_mb": 1, "max_files": 3, "max_duration_s": 5.0, "max_decoded_mb": 1}
    with serving(model, api_key="sesame", **limits) as client:
        client.headers["X-API-Key"] = "sesame"
        yield client


def problem(found):
    assert found.headers["content-type"] == "application/problem+json", found.text
    assert found.json()["status"] == found.status_code
    return found.status_code, found.json()["detail"]


def test_a_body_is_refused_by_its_length_or_while_it_arrives(client):
    large = noise(40.0)
    assert problem(client.post("/predict", files=upload(large))) == (413, "the body exceeds 1 MiB")

    def parts():
        yield b'--b\r\nContent-Disposition: form-data; name="audio_files"; filename="a.wav"\r\n\r\n'
        yield from (large[k : k + 65536] for k in range(0, len(large), 65536))
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    found = client.post("/predict", content=parts(), headers=headers)
    assert problem(found) == (413, "the body exceeds 1 MiB")


def test_recordings_that_are_too_long_or_too_large_are_refused(client):
    status, said = problem(client.post("/predict", files=upload(noise(6.0))))
    assert status == 413
    assert "6 s exceed the 5 s that this service takes" in said
    held = io.BytesIO()  # small as a file, 5 MB decoded
    soundfile.write(held, np.zeros((160_000, 8), np.float32), 48_000, format="FLAC")
    assert len(held.getvalue()) < 50_000
    status, said = problem(client.post("/predict", files=upload(held.getvalue())))
    assert status == 413
    assert "8 channels at 48000 Hz are 4 MiB once decoded" in said
    status, said = problem(client.post("/predict", files=upload(*[noise(0.6)] * 4)))
    assert (status, "at most 3 are taken at once" in said) == (413, True)


def test_a_key_is_asked_for_where_one_is_configured(client):
    for headers in ({"X-API-Key": ""}, {"X-API-Key": "guess"}, {"Authorization": "Bearer guess"}):
        found = client.get("/models", headers={"X-API-Key": "", **headers})
        assert problem(found)[0] == 401
    bearer = {"X-API-Key": "", "Authorization": "Bearer sesame"}
    assert client.get("/models", headers=bearer).status_code == 200
    assert client.get("/health/ready", headers={"X-API-Key": ""}).status_code == 200
    wrong = client.post("/predict", files=upload(noise(1.0)), headers={"X-API-Key": "no"})
    assert problem(wrong)[0] == 401


def test_pages_of_other_sites_are_not_invited(client):
    origin = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    found = client.options("/predict", headers=origin)
    assert found.status_code == 405
    answered = client.get("/models", headers=origin)
    assert not [name for name in answered.headers if name.startswith("access-control")]


def test_names_of_uploads_reach_no_path(client):
    files = [("audio_files", ("../../../etc/x\n.wav", noise(0.6)))]
    found = client.post("/predict", files=files)
    assert found.status_code == 200
    assert "\n" not in found.json()["recordings"][0]["file"]


async def calls(gate, count, release, *, more=()):
    """Statuses of requests that are made at once, and of ``more`` made meanwhile."""
    statuses, headers = [], []

    async def one():
        body = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive():
            return body.pop() if body else {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                headers.append(dict(message["headers"]))

        await gate({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)

    running = [asyncio.ensure_future(one()) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.gather(*(one() for _ in more))
    release.set()
    await asyncio.gather(*running)
    return statuses, headers


def test_one_request_too_many_is_answered_503_at_once():
    async def run():
        release = asyncio.Event()

        async def app(_scope, _receive, send):
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        gate = Gate(app, ServiceSettings(max_waiting=2), Measures())
        first = await calls(gate, 2, release, more=[1])
        return first, await calls(gate, 2, release)

    (statuses, headers), (after, _) = asyncio.run(run())
    assert statuses == [503, 200, 200]
    assert headers[0][b"retry-after"] == b"1"
    assert after == [200, 200]


def test_a_body_that_stops_arriving_is_given_up(model):
    async def run():
        said = []

        async def app(_scope, receive, _send):
            await receive()

        async def never():
            await asyncio.sleep(60)

        gate = Gate(app, ServiceSettings(body_wait_s=0.1), Measures())
        scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
        try:
            await gate(scope, never, said.append)
        except Exception as error:  # noqa: BLE001 - FastAPI would answer it
            return error.status_code
        return None

    assert asyncio.run(run()) == 408


def scores_of(clips):
    return [PartScores(np.full((1, 2), c.mean(), np.float32), np.zeros((1, 2))) for c in clips]


def test_clips_of_many_clients_share_a_batch_and_none_is_mistaken():
    sizes = []
    batcher = Batcher(
        scores_of, batch_size=4, wait_s=5.0, observe=lambda clips, _: sizes.append(clips)
    )
    batcher.announce(8)
    scored = [batcher.submit(np.full(3, k / 10, np.float32)) for k in range(8)]
    found = [each.result(5).scores[0, 0] for each in scored]
    batcher.close()
    assert found == pytest.approx([k / 10 for k in range(8)])
    assert sizes == [4, 4]


def test_a_batch_waits_for_what_was_announced_and_no_longer():
    batcher = Batcher(scores_of, batch_size=4, wait_s=0.2)
    began = time.monotonic()
    batcher.submit(np.ones(3, np.float32)).result(5)
    assert time.monotonic() - began < 0.15
    batcher.announce(1)
    began = time.monotonic()
    batcher.submit(np.ones(3, np.float32)).result(5)
    assert 0.15 < time.monotonic() - began < 2
    batcher.close()


def test_a_cancelled_clip_is_not_scored_and_a_failing_one_fails_alone():
    seen, go = [], threading.Event()

    def score(clips):
        go.wait(5)
        seen.extend(float(clip[0]) for clip in clips)
        if any(clip[0] == 3 for clip in clips):
            raise ValueError("odd")
        return scores_of(clips)

    batcher = Batcher(score, batch_size=8, wait_s=0.0)
    first = batcher.submit(np.zeros(2, np.float32))
    time.sleep(0.05)  # its batch has begun
    scored = [batcher.submit(np.full(2, k, np.float32)) for k in range(1, 5)]
    assert scored[1].cancel()
    go.set()
    assert first.result(5).scores[0, 0] == 0
    assert [scored[k].result(5).scores[0, 0] for k in (0, 3)] == [1, 4]
    with pytest.raises(ValueError, match="odd"):
        scored[2].result(5)
    with pytest.raises(CancelledError):
        scored[1].result(5)
    batcher.close()
    assert 2 not in seen


def test_room_is_given_in_turn_and_given_back():
    async def run():
        room, order = Room(10), []

        async def stay(name, length_s):
            async with room.hold(length_s):
                order.append(name)
                assert room.held_s <= 10
                await asyncio.sleep(0.01)

        tasks = [asyncio.ensure_future(stay(name, 6)) for name in "abc"]
        tasks.append(asyncio.ensure_future(stay("d", 99)))  # more than there is
        tasks.append(asyncio.ensure_future(stay("e", 1)))
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order, room.held_s

    assert asyncio.run(run()) == (["a", "c", "d", "e"], 0)


def test_a_client_that_leaves_frees_its_work(model):
    with serving(model) as client:
        app = client.app
        service = app.state.service
        (opened,) = service.catalogue.models()
        gate, entered = threading.Event(), threading.Event()

        def slow(clips):
            entered.set()
            gate.wait(10)
            return [PartScores(np.ones((1, 3), np.float32), np.zeros((1, 2))) for _ in clips]

        slowly = Batcher(slow, batch_size=1, wait_s=0.0)
        service.catalogue._places["aed"].model = replace(opened, batcher=slowly)
        request = client.build_request("POST", "/predict", files=upload(*[noise(0.6)] * 3))
        body, headers = request.read(), request.headers.raw
        status = asyncio.run(leave(app, body, headers, entered))
        assert status == 499
        assert service.asking.room.held_s == 0
        assert service.catalogue._users == {}
        gate.set()
        slowly.close()
        assert slowly.waiting == 0


async def leave(app, body, headers, entered):
    """Send a request, and leave once a clip of it is being scored."""
    sent = [{"type": "http.request", "body": body, "more_body": False}]
    statuses = []

    async def receive():
        if sent:
            return sent.pop()
        await asyncio.to_thread(entered.wait, 10)
        return {"type": "http.disconnect"}

    async def send(message):
        statuses.append(message.get("status"))

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "path": "/predict", "raw_path": b"/predict", "root_path": "", "scheme": "http",
        "query_string": b"", "headers": [(k.lower(), v) for k, v in headers],
        "client": ("test", 1), "server": ("test", 80),
    }  # fmt: skip
    await app(scope, receive, send)
    return statuses[0]


def test_a_changed_model_is_taken_over_and_a_broken_one_is_not(tmp_path):
    folder = write_model(tmp_path / "aed", seed=2)
    told = []
    catalogue = Catalogue([FolderSource("aed", folder)], ServiceSettings(), tell=told.append)
    catalogue.refresh()
    with catalogue.use("aed") as held:
        write_model(tmp_path / "next", seed=3)
        shutil.copytree(tmp_path / "next", folder, dirs_exist_ok=True)
        catalogue.refresh()
        with catalogue.use(None) as after:
            assert after.digest != held.digest
        # the one before it still answers those who use it
        held.batcher.submit(np.zeros(16_000, np.float32)).result(20)
    with pytest.raises(RuntimeError, match="closed"):
        wait_closed(held.batcher)
    (folder / "weights.safetensors").write_bytes(b"cut short")
    catalogue.refresh()
    catalogue.refresh()
    with catalogue.use("aed") as kept:
        assert kept is after
    assert catalogue.ready
    assert "weights.safetensors: is damaged" in catalogue.failures()["aed"].why
    assert len(told) == 3
    assert told[-1].endswith("; the version before it is kept")
    catalogue.close()


def wait_closed(batcher):
    for _ in range(500):
        batcher.submit(np.zeros(16_000, np.float32)).result(20)
        time.sleep(0.01)
