"""SageMaker, the open inference protocol, and streams of PCM."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from served import RATE_HZ, noise, serving, upload
from starlette.websockets import WebSocketDisconnect
from toy_model import CLASSES, write_model

from soundgate.audio.serving.scoring.live import OpenEvents, PcmStream


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    model = write_model(tmp_path_factory.mktemp("protocols") / "aed")
    with serving(model, max_files=4, max_duration_s=10.0, max_streams=1) as client:
        yield client


@pytest.fixture(scope="module")
def expected(client):
    [found] = client.post("/predict", files=upload(noise(1.5))).json()["recordings"]
    return found["scores"]


def samples_of(content):
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


def b64(content):
    return base64.b64encode(content).decode()


def test_sagemaker_s_container_contract(client, expected):
    assert client.get("/ping").status_code == 200
    content = noise(1.5)
    wav = {"Content-Type": "audio/wav"}
    asked = {"instances": [{"audio": b64(content), "name": "x.wav"}], "top_k": 1}
    for found in (
        client.post("/invocations", content=content, headers=wav),
        client.post("/invocations", json=asked),
        client.post("/invocations", files=upload(content)),
        client.post(
            "/invocations",
            content=content,
            headers=wav | {"X-Amzn-SageMaker-Target-Model": "aed"},
        ),
    ):
        assert found.status_code == 200, found.text
        assert found.json()["recordings"][0]["scores"] == expected


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"a,b", "text/csv", 415, "content type 'text/csv'"),
        (b"{", "application/json", 400, "the body is no JSON"),
        (b"[" * 100_000, "application/json", 400, "the body is no JSON"),
        (b'{"instances": []}', "application/json", 422, "send at least one"),
        (b'{"instances": [{"audio": "*"}]}', "application/json", 422, "is no base64"),
        (b'{"instances": [{"sound": "aa"}]}', "application/json", 422, "instances.0.audio: Field"),
        (b"x" * 400, "audio/wav", 415, "is not audio"),
    ],
)
def test_invocations_that_are_wrong_are_problems(client, body, kind, status, said):
    found = client.post("/invocations", content=body, headers={"Content-Type": kind})
    assert (found.status_code, said in found.json()["detail"]) == (status, True), found.text


def test_an_unknown_target_model_is_a_problem(client):
    headers = {"Content-Type": "audio/wav", "X-Amzn-SageMaker-Target-Model": "other"}
    found = client.post("/invocations", content=noise(1.0), headers=headers)
    assert found.status_code == 404
    assert "unknown model 'other'" in found.json()["detail"]


def test_the_open_inference_protocol_describes_server_and_model(client):
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/aed/ready").json() == {"name": "aed", "ready": True}
    about = client.get("/v2/models/aed").json()
    assert about == client.get("/v2/models/aed/versions/1").json()
    assert about["versions"] == ["1"]
    assert [each["name"] for each in about["inputs"]] == ["waveform", "audio"]
    assert about["outputs"][0] == {"name": "scores", "datatype": "FP32", "shape": [-1, 3]}
    assert about["parameters"] == {"labels": list(CLASSES), "sample_rate_hz": RATE_HZ}
    missing = client.get("/v2/models/other")
    assert missing.status_code == 404
    assert "unknown model" in missing.json()["error"]
    assert client.get("/v2/models/aed/versions/7").status_code == 404


def test_tensors_give_the_scores_of_files(client, expected):
    content = noise(1.5)
    samples = np.stack([samples_of(content), samples_of(noise(1.5, 9))])
    shape = list(samples.shape)
    tensor = {"name": "waveform", "datatype": "FP32", "shape": shape}
    nested = client.post(
        "/v2/models/aed/infer", json={"id": "7", "inputs": [tensor | {"data": samples.tolist()}]}
    ).json()
    assert nested["id"] == "7"
    assert nested["model_name"] == "aed"
    scores, decisions = nested["outputs"]
    assert (scores["shape"], decisions["datatype"]) == ([2, 3], "BOOL")
    assert scores["data"][:3] == pytest.approx(list(expected.values()), abs=1e-6)
    rows = np.reshape(scores["data"], (2, 3))
    given = np.reshape(decisions["data"], (2, 3))
    assert given.tolist() == (rows == rows.max(1)[:, None]).tolist()
    flat = {"inputs": [tensor | {"data": samples.ravel().tolist()}]}
    assert client.post("/v2/models/aed/versions/1/infer", json=flat).json()["outputs"][0] == scores
    raw = samples.astype("<f4").tobytes()
    head = json.dumps(
        {"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]}
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    found = client.post("/v2/models/aed/infer", content=head + raw, headers=headers)
    assert found.json()["outputs"][0] == scores
    files = {"name": "audio", "datatype": "BYTES", "shape": [1], "data": [b64(content)]}
    found = client.post("/v2/models/aed/infer", json={"inputs": [files]}).json()
    assert found["outputs"][0]["data"] == list(expected.values())


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        ({"name": "image", "datatype": "FP32", "shape": [1, 2]}, "inputs: send one"),
        ({"name": "waveform", "datatype": "FP64", "shape": [1, 2]}, "send FP32"),
        ({"name": "waveform", "datatype": "FP32", "shape": [1, 0]}, "send FP32"),
        ({"name": "waveform", "datatype": "FP32", "shape": [1, 3], "data": [1.0]}, "not of shape"),
        ({"name": "waveform", "datatype": "FP32", "shape": [1], "data": ["a"]}, "send FP32"),
        ({"name": "audio", "datatype": "BYTES", "shape": [1], "data": ["*"]}, "is no base64"),
        ({"name": "waveform", "shape": [1, 1]}, "inputs.0.datatype: Field required"),
    ],
)
def test_wrong_tensors_are_told(client, tensor, said):
    found = client.post("/v2/models/aed/infer", json={"inputs": [tensor]})
    assert (found.status_code, said in found.json()["error"]) == (400, True), found.text


def test_a_stream_gives_the_scores_of_its_windows(client):
    content = noise(3.0)
    samples = np.rint(samples_of(content) * 32768).astype("<i2")
    with client.websocket_connect("/stream") as socket:
        socket.send_json({"window_s": 1.5, "hop_s": 0.75})
        opening = socket.receive_json()
        assert (opening["type"], opening["window_s"], opening["latency_s"]) == ("ready", 1.5, 1.5)
        raw = samples.tobytes()
        for first in range(0, len(raw), 1001):  # pieces that split samples
            socket.send_bytes(raw[first : first + 1001])
        socket.send_json({"type": "end"})
        told = []
        while (message := socket.receive_json())["type"] != "done":
            told.append(message)
    scored = [message for message in told if message["type"] == "scores"]
    assert [(m["start_s"], m["end_s"]) for m in scored] == [(0, 1.5), (0.75, 2.25), (1.5, 3.0)]
    for message in scored:
        first = round(message["start_s"] * RATE_HZ)
        held = io.BytesIO()
        soundfile.write(held, samples[first : first + 24_000], RATE_HZ, format="WAV")
        alone = client.post("/predict", files=upload(held.getvalue())).json()["recordings"][0]
        assert message["scores"] == pytest.approx(alone["scores"], abs=1e-6)
        assert message["labels"] == alone["labels"]
        assert message["took_s"] < 20
    events = [message for message in told if message["type"] == "event"]
    assert events[0]["start_s"] == 0
    assert events[-1]["end_s"] == 3.0
    assert {event["label"] for event in events} == {m["labels"][0] for m in scored}


@pytest.mark.parametrize(
    ("opening", "said"),
    [
        ({"window_s": 60}, "window_s: 60 s is not from"),
        ({"encoding": "mp3"}, "encoding: Input should be"),
        ({"model": "other"}, "unknown model 'other'"),
        ({"thresholds": {"cat": 0.5}}, "unknown label 'cat'"),
    ],
)
def test_a_stream_that_opens_wrongly_is_closed_with_the_reason(client, opening, said):
    with client.websocket_connect("/stream") as socket:
        socket.send_json(opening)
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    assert closed.value.code == 1007
    assert said in closed.value.reason


def test_one_stream_too_many_is_told_to_come_again(client):
    with client.websocket_connect("/stream") as socket:
        socket.send_json({})
        assert socket.receive_json()["type"] == "ready"
        second = client.websocket_connect("/stream")
        with second, pytest.raises(WebSocketDisconnect) as closed:
            second.receive_json()
        assert closed.value.code == 1013
        socket.send_bytes(np.full(8000, np.nan, "<f4").tobytes())
        socket.send_json({"type": "end"})
        while socket.receive_json()["type"] != "done":
            pass


def test_pcm_of_another_rate_is_resampled_as_a_file_is():
    import soxr

    samples = np.random.default_rng(0).normal(0, 0.2, 44_100).astype(np.float32)
    stream = PcmStream(
        encoding="pcm_f32le", rate_hz=44_100, model_rate_hz=16_000, window=16_000, hop=16_000
    )
    raw = samples.tobytes()
    found = [w for k in range(0, len(raw), 999) for w in stream.add(raw[k : k + 999])]
    found += list(stream.add(b"", last=True))
    whole = np.concatenate([window for _, window in found])
    wanted = soxr.resample(samples, 44_100, 16_000, quality="HQ")
    assert abs(whole.size - wanted.size) <= 1
    assert np.abs(whole[: wanted.size] - wanted[: whole.size]).max() < 1e-4


def test_events_of_windows_are_told_when_they_are_over():
    events = OpenEvents()
    assert events.add(0, 1, ["a"], {"a": 0.6}) == []
    assert events.add(0.5, 1.5, ["a", "b"], {"a": 0.9, "b": 0.5}) == []
    (over,) = events.add(1, 2, ["b"], {"b": 0.4})
    assert (over.label, over.start_s, over.end_s, over.score) == ("a", 0, 1.5, 0.9)
    (last,) = events.end()
    assert (last.label, last.start_s, last.end_s, last.score) == ("b", 0.5, 2, 0.5)
    assert events.end() == []
