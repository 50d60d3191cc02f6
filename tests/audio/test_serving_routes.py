"""What the service answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import numpy as arrays
from served import noise, serving, upload
from toy_model import CLASSES, write_model
from toy_tagger import THRESHOLDS, write_tagger

from soundgate.audio.prediction.prediction import predict
from soundgate.audio.prediction.settings import Settings
from soundgate.audio.serving.models.catalogue import Catalogue
from soundgate.audio.serving.models.sources import FolderSource
from soundgate.audio.serving.settings import ServiceSettings


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "aed")
    write_tagger(folder / "tagger")
    return folder


@pytest.fixture(scope="module")
def client(models):
    with serving(models / "aed", models / "tagger") as client:
        yield client


def rows(folder, model, content, tmp_path):
    """What ``predict`` says of a file."""
    (tmp_path / "audio").mkdir(exist_ok=True)
    (tmp_path / "audio" / "clip0.wav").write_bytes(content)
    predict(folder / model, tmp_path / "audio", tmp_path / "out", Settings(format="jsonl"))
    lines = (tmp_path / "out" / "clips.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("model", ["aed", "tagger"])
def test_scores_and_decisions_are_those_of_predict(client, models, tmp_path, model):
    content = noise(1.5, seed=3)
    [expected] = rows(models, model, content, tmp_path)
    found = client.post(f"/predict?model={model}", files=upload(content)).json()
    [recording] = found["recordings"]
    labels = found["model"]["labels"]
    scores = [recording["scores"][label] for label in labels]
    assert scores == pytest.approx([expected[label] for label in labels], abs=2e-6)
    predicted = expected["predicted"]
    assert recording["labels"] == (predicted if model == "tagger" else [predicted])
    best = max(recording["scores"].items(), key=lambda pair: pair[1])
    assert (recording["top"][0]["label"], recording["top"][0]["score"]) == best


def test_a_long_file_is_answered_in_the_segments_of_predict(client, models, tmp_path):
    content = noise(4.5)
    expected = rows(models, "aed", content, tmp_path)
    found = client.post("/predict?model=aed", files=upload(content)).json()["recordings"][0]
    times = [(each["start_s"], each["end_s"]) for each in found["segments"]]
    assert times == [(row["start_s"], row["end_s"]) for row in expected]
    for segment, row in zip(found["segments"], expected, strict=True):
        assert segment["labels"] == [row["predicted"]]
        assert segment["scores"]["dog"] == pytest.approx(row["dog"], abs=2e-6)
    events = found["events"]
    assert {each["label"] for each in events} <= set(CLASSES)
    assert events[0]["start_s"] == 0.0
    assert all(each["end_s"] <= 4.5 for each in events)


def test_thresholds_of_a_request_replace_the_model_s_own(client):
    def ask(query):
        found = client.post(f"/predict?model=tagger&{query}", files=upload(noise(1.0)))
        assert found.status_code == 200, found.text
        return found.json()["recordings"][0]

    own = ask("top_k=2")
    assert len(own["top"]) == 2
    assert own["labels"] == [
        name for name, least in THRESHOLDS.items() if own["scores"][name] >= least
    ]
    assert ask("threshold=0")["labels"] == list(THRESHOLDS)
    everything = ask("threshold=1")
    assert everything["labels"] == []
    assert everything["unknown"]
    assert everything["events"] == []
    one = ask('threshold=1&thresholds={"flute":0}')
    assert one["labels"] == ["flute"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("model=nope", 404, "unknown model 'nope'; known: aed, tagger"),
        ("", 422, "several are served; name one of aed, tagger"),
        ("model=aed&top_k=0", 422, "top_k: Input should be greater than or equal to 1"),
        ('model=aed&thresholds={"dgo":0.5}', 422, "unknown label 'dgo'; did you mean 'dog'?"),
        ("model=aed&thresholds={", 422, "thresholds: write JSON"),
        ('model=aed&thresholds={"dog":2}', 422, "dog: 2 is not a number from 0 to 1"),
    ],
)
def test_mistakes_of_a_request_are_problems(client, query, status, said):
    found = client.post(f"/predict?{query}", files=upload(noise(1.0)))
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"
    assert said in found.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"no audio at all" * 20, 415, "clip0.wav: is not audio"),
        (b"", 422, "clip0.wav: is empty"),
        (noise(1.0)[:900], 422, "clip0.wav: "),
    ],
)
def test_files_that_are_no_audio_are_told_apart(client, content, status, said):
    found = client.post("/predict?model=aed", files=upload(content))
    assert (found.status_code, said in found.json()["detail"]) == (status, True), found.text
    both = client.post("/predict?model=aed", files=upload(content, noise(1.0))).json()
    assert [each["file"] for each in both["recordings"]] == ["clip1.wav"]
    assert [(each["file"], each["status"]) for each in both["failures"]] == [("clip0.wav", status)]
    assert "/tmp" not in found.text


def test_streamed_answers_are_a_line_a_recording(client):
    files = upload(noise(1.0), b"junk" * 99, noise(1.2))
    found = client.post("/predict?model=aed&stream=true", files=files)
    assert found.headers["content-type"] == "application/x-ndjson"
    answers = [json.loads(line) for line in found.text.splitlines()]
    assert sorted(each["file"] for each in answers) == ["clip0.wav", "clip1.wav", "clip2.wav"]
    assert [each["status"] for each in answers if "status" in each] == [415]
    whole = client.post("/predict?model=aed", files=files).json()["recordings"]
    assert sorted((a for a in answers if "scores" in a), key=lambda a: a["file"]) == whole


def test_the_older_route_answers_zeros_and_ones_by_name(client):
    files = [("audio_files", (f"{name}.wav", noise(1.0, k))) for k, name in enumerate("ab")]
    found = client.post("/model/predict-files?model_ckpt_path=tagger", files=files).json()
    assert list(found) == ["a", "b"]
    assert all(list(each) == list(THRESHOLDS) for each in found.values())
    full = client.post("/predict?model=tagger", files=files).json()["recordings"]
    for (_, each), answer in zip(found.items(), full, strict=True):
        assert [name for name, given in each.items() if given] == answer["labels"]
    wrong = client.post("/model/predict-files?model_ckpt_path=tagger", files=upload(b"x" * 500))
    assert wrong.status_code == 415


def test_what_supervisors_ask_for(client):
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/models").json() == ["aed", "tagger"]
    assert client.get("/dataset-types").json() == ["irmastest", "irmastrain", "csv"]
    version = client.get("/version").json()
    assert [(each["system"], each["runtime"]) for each in version["models"]] == [
        ("aed", "torch"),
        ("tagging", "torch"),
    ]
    assert all(len(each["digest"]) == 64 for each in version["models"])
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/predict", "/model/predict-files", "/models", "/version"} <= set(paths)
    assert client.get("/docs").status_code == 200
    page = client.get("/?model=tagger")
    assert 'action="/predict?model=tagger"' in page.text
    assert 'name="audio_files"' in page.text


def test_measures_count_requests_batches_and_sound(models):
    with serving(models / "aed") as client:
        client.post("/predict", files=upload(noise(1.0), noise(1.5)))
        client.post("/predict", files=upload(b"x" * 300))
        text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert lines['soundgate_requests_total{route="/predict",status="200"}'] == "1.0"
    assert lines['soundgate_requests_total{route="/predict",status="415"}'] == "1.0"
    assert lines['soundgate_audio_seconds_total{model="aed"}'] == "2.5"
    assert lines['soundgate_batch_clips_sum{model="aed"}'] == "2.0"


def test_a_model_is_tried_before_it_is_used(tmp_path):
    broken = write_model(tmp_path / "broken")
    path = broken / "weights.safetensors"
    weights = arrays.load_file(path)
    arrays.save_file(weights | {"head.bias": np.full(3, np.nan, np.float32)}, path)
    told = []
    catalogue = Catalogue([FolderSource("broken", broken)], ServiceSettings(), tell=told.append)
    catalogue.refresh()
    assert not catalogue.ready
    [line] = told
    assert line.startswith("refused broken: broken: gives scores that are no probabilities")
