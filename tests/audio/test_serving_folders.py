"""Folders of the server that requests name."""

from __future__ import annotations

import json

import pytest
from served import noise, serving
from toy_tagger import LABELS, write_tagger

PREDICT, TEST = "/model/predict-directory", "/model/test-directory"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    write_tagger(root / "model")
    for k in range(3):
        (root / "open" / "deep").mkdir(parents=True, exist_ok=True)
        (root / "open" / "deep" / f"{k}.wav").write_bytes(noise(1.0, k))
    rows = "file,cello,flute\ndeep/0.wav,1,0\ndeep/1.wav,0,1\ndeep/2.wav,1,1\n"
    (root / "open" / "table.csv").write_text(rows, "utf-8")
    (root / "open" / "labelled" / "cello").mkdir(parents=True)
    (root / "open" / "labelled" / "cello" / "x.wav").write_bytes(noise(1.0, 7))
    (root / "secret").mkdir()
    (root / "secret" / "s.wav").write_bytes(noise(1.0))
    (root / "linked").mkdir()
    (root / "open" / "links").mkdir()
    (root / "open" / "links" / "a.wav").symlink_to(root / "secret" / "s.wav")
    (root / "shortcut").symlink_to(root / "open")
    return root


@pytest.fixture(scope="module")
def client(world):
    settings = {"roots": (world / "open",), "add_instrument_metrics": True}
    with serving(world / "model", **settings) as client:
        yield client


def test_a_folder_is_answered_by_the_names_of_its_files(client, world):
    found = client.post(PREDICT, json=[str(world / "open" / "deep")]).json()
    assert list(found) == ["0", "1", "2"]
    alone = [("audio_files", ("0.wav", (world / "open/deep/0.wav").read_bytes()))]
    assert found["0"] == client.post("/model/predict-files", files=alone).json()["0"]
    lines = client.post(f"{PREDICT}-stream", json=[str(world / "open" / "deep")])
    streamed = [json.loads(line) for line in lines.text.splitlines()]
    assert {name: each for line in streamed for name, each in line.items()} == found
    table = client.post(PREDICT, json=[str(world / "open" / "table.csv")]).json()
    assert table == found


@pytest.mark.parametrize(
    "path",
    [
        "secret",
        "open/../secret",
        "open/links",
        "nowhere",
        "open/nowhere",
        "linked/../secret",
        "/etc",
    ],
)
@pytest.mark.parametrize("route", [PREDICT, f"{PREDICT}-stream"])
def test_nothing_outside_of_the_roots_is_read(client, world, route, path):
    found = client.post(route, json=[str(world / path)])
    assert found.status_code == 403
    assert "open to requests" in found.json()["detail"]
    asked = {"dataset_type": "irmastrain", "dataset_path": str(world / path)}
    assert client.post(TEST, json=[asked]).status_code == 403


def test_a_link_to_a_root_is_resolved(client, world):
    found = client.post(PREDICT, json=[str(world / "shortcut" / "deep")])
    assert list(found.json()) == ["0", "1", "2"]


def test_without_a_root_no_folder_is_read(world):
    with serving(world / "model") as client:
        found = client.post(PREDICT, json=[str(world / "open")])
    assert found.status_code == 403
    assert "start the service with --root DIR" in found.json()["detail"]


def test_figures_of_a_labelled_table_are_those_of_its_decisions(client, world):
    asked = [{"dataset_type": "csv", "dataset_path": str(world / "open" / "table.csv")}]
    found = client.post(TEST, json=asked).json()
    truth = {"0": {"cello": 1, "flute": 0}, "1": {"cello": 0, "flute": 1}}
    truth["2"] = {"cello": 1, "flute": 1}
    predictions = found["predictions"]
    assert list(predictions) == list(truth)
    wrong = [
        predictions[name][label] != given
        for name, labels in truth.items()
        for label, given in labels.items()
    ]
    assert found["hamming_distance"] == pytest.approx(sum(wrong) / 6, abs=1e-6)
    assert found["accuracy"] == pytest.approx(1 - sum(wrong) / 6, abs=1e-6)
    for label in ("cello", "flute"):
        hits = sum(predictions[n][label] and truth[n][label] for n in truth)
        assert found[f"instruments/{label}_recall"] == pytest.approx(hits / 2)
    lines = client.post(f"{TEST}-stream", json=asked).text.splitlines()
    assert len(lines) == 4
    assert json.loads(lines[-1])["f1"] == found["f1"]


def test_a_folder_a_label_is_read_with_the_model_s_labels(client, world):
    asked = [{"dataset_type": "irmastrain", "dataset_path": str(world / "open" / "labelled")}]
    found = client.post(TEST, json=asked)
    assert found.status_code == 200, found.text
    assert list(found.json()["predictions"]) == ["x"]
    assert list(found.json()["predictions"]["x"]) == list(LABELS)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("openmic", "dataset_type: unknown 'openmic'"), ("irmstrain", "did you mean 'irmastrain'?")],
)
def test_other_types_are_refused(client, world, kind, said):
    found = client.post(TEST, json=[{"dataset_type": kind, "dataset_path": str(world / "open")}])
    assert found.status_code == 422
    assert said in found.json()["detail"]
