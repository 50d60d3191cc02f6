"""A head that hears: prediction from audio, and the zero-shot baseline, with a tiny CLAP."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from soundgate.audio.classification.heads.fit import fit
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.models.embedding_classifier import head_settings
from soundgate.audio.networks.encoders.catalogue import load_text_encoder
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.cli import main
from soundgate.errors import ConfigError, DataError, ParameterError
from steps.predict import predict
from steps.sec.evaluate import evaluate
from tests.audio.encoders.clap_files import write_clap
from tests.audio.heads import heard as sounds
from tests.audio.served import serving, upload

pytestmark = pytest.mark.slow
pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heard")
    made = sounds.write(folder)
    fit(made.embeddings, folder / "model", folder / "metrics", head_settings("ridge", []))
    return made


@pytest.fixture(scope="module")
def model(heard):
    return heard.embeddings.parent / "model"


def test_audio_gets_the_scores_of_its_embeddings(heard, model, tmp_path):
    predict(model, heard.clips, tmp_path / "predictions", encoder=heard.weights)
    with (tmp_path / "predictions/clips.csv").open(newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    read, head = read_embeddings(heard.embeddings), read_head(model)
    segments = read.segments()
    scores = head.scores(read.matrix())
    assert len(rows) == 15
    for path, row in rows.items():
        own = [k for k, segment in enumerate(segments) if segment.path == path]
        means = scores[own].mean(0)
        found = [float(row[name]) for name in sounds.CLASSES]
        assert found == pytest.approx(means, abs=2e-5)
        assert row["predicted"] == sounds.CLASSES[int(means.argmax())]
    right = np.mean([row["predicted"] == path.split("/")[0] for path, row in rows.items()])
    assert right > 0.7
    with (tmp_path / "predictions/patches.csv").open(newline="") as file:
        spans = [(row["start_s"], row["end_s"]) for row in csv.DictReader(file)][:2]
    assert [tuple(map(float, span)) for span in spans] == [(0, 1), (1, 1.5)]


def test_other_weights_are_refused_and_missing_ones_asked_for(heard, model, tmp_path):
    other = write_clap(tmp_path / "other.pth", seed=5)
    with pytest.raises(DataError, match=r"other\.pth is clap-2023 .* give the same weights"):
        predict(model, heard.clips, tmp_path / "predictions", encoder=other)
    with pytest.raises(ParameterError, match="heard through clap-2023, whose weights are not kept"):
        predict(model, heard.clips, tmp_path / "predictions")
    with pytest.raises(ParameterError, match="run in torch, not onnx"):
        predict(model, heard.clips, tmp_path / "p", encoder=heard.weights, runtime="onnx")


def test_zero_shot_stands_beside_the_trained_head(heard, model, tmp_path):
    evaluate(heard.embeddings, model, tmp_path, weights=heard.weights, text=heard.text)
    made = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    tower = load_text_encoder(
        EncoderSettings(name="clap-2023", path=heard.weights, text_path=heard.text)
    )
    said = tower.texts([f"this is the sound of {name}" for name in sounds.CLASSES]).numpy()
    read = read_embeddings(heard.embeddings)
    values = read.matrix("test")
    cosines = values @ said.T / np.linalg.norm(values, axis=1, keepdims=True)
    truth = [sounds.CLASSES.index(segment.class_name) for segment in read.segments("test")]
    expected = (cosines.argmax(1) == truth).mean()
    assert made["metrics"]["zero_shot_accuracy"]["value"] == pytest.approx(expected, abs=1e-6)
    assert made["metrics"]["accuracy"]["value"] > made["metrics"]["zero_shot_accuracy"]["value"]


def test_a_text_tower_of_other_weights_is_an_error_not_noise(heard, model, tmp_path):
    other = write_clap(tmp_path / "other.pth", text=tmp_path / "text", seed=5)
    with pytest.raises(DataError, match="but the embeddings are of"):
        evaluate(heard.embeddings, model, tmp_path / "r", weights=other, text=heard.text)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty"):
        evaluate(
            heard.embeddings, model, tmp_path / "r", weights=heard.weights, text=tmp_path / "empty"
        )


def test_the_service_gives_the_scores_of_predict(heard, model, tmp_path):
    predict(model, heard.clips, tmp_path / "predictions", encoder=heard.weights)
    with (tmp_path / "predictions/clips.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    with serving(model, encoder=heard.weights) as client:
        [about] = client.get("/version").json()["models"]
        assert (about["system"], about["runtime"]) == ("sec", "torch")
        content = (heard.clips / row["path"]).read_bytes()
        [found] = client.post("/predict", files=upload(content)).json()["recordings"]
    expected = [float(row[name]) for name in sounds.CLASSES]
    assert list(found["scores"].values()) == pytest.approx(expected, abs=2e-5)
    assert found["labels"] == [row["predicted"]]


def test_a_sound_and_a_sentence_find_the_nearest_of_the_corpus(heard, tmp_path, capsys):
    words = ["search-audio", str(heard.embeddings), str(tmp_path), "--encoder", str(heard.weights)]
    own = heard.clips / "hum/0.wav"
    for part in ([], ["--end", "1"]):  # the whole of it is cut as the corpus was
        assert main([*words, "--sound", str(own), *part, "--most", "4"]) == 0
        with (tmp_path / "found.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows[0]["path"] == "hum/0.wav"
        assert float(rows[0]["similarity"]) == pytest.approx(1, abs=1e-4)
    assert (
        main([*words, "--text", "a low hum", "--text-tower", str(heard.text), "--most", "3"]) == 0
    )
    settings = EncoderSettings(name="clap-2023", path=heard.weights, text_path=heard.text)
    said = load_text_encoder(settings).texts(["a low hum"]).numpy()[0]
    read = read_embeddings(heard.embeddings)
    values = read.matrix()
    best = int((values @ said / np.linalg.norm(values, axis=1)).argmax())
    with (tmp_path / "found.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert first["record_id"] == read.segments()[best].record_id
    capsys.readouterr()
    assert main([*words[:3], "--text", "a low hum"]) == 2
    assert "encoder: sounds are heard through clap-2023" in capsys.readouterr().err
