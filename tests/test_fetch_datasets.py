"""``fetch`` with data sets that say more than their name: FSD50K, and descriptions in YAML."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import fsd50k
from soundgate.errors import DataError
from steps.fetch import fetch

sys.path.insert(0, str(Path(__file__).resolve().parent / "audio" / "datasets"))
from fsd50k_layout import split_zip, write_layout


@pytest.fixture
def root(tmp_path):
    return write_layout(tmp_path / "FSD50K")


def fetched(tmp_path, text, number, **arguments):
    config = tmp_path / f"{number}.yaml"
    config.write_text(text)
    out = tmp_path / f"out-{number}"
    values = {"dataset": "FSD50K", "store": str(tmp_path / "store")} | arguments
    fetch(config, out / "clips", out / "card", **values)
    card = json.loads((out / "card" / "dataset.json").read_text())
    clips = {Path(clip.path).stem: clip for clip in read_manifest(out / "clips")}
    assert {path.stem for path in (out / "clips").rglob("*.wav")} == clips.keys()
    assert card["clips"] == len(clips)
    return clips, card


ALL = "dataset_specific: {fsd50k: {only_keep_monolabel: false}}"


def test_folders_of_fsd50k_and_what_the_config_asks_for(root, tmp_path):
    (root / "ontology.json").rename(tmp_path / "o.json")
    tables = root / "FSD50K.ground_truth"
    own = {
        "source": root / "FSD50K.dev_audio", "source_labels": tables,
        "test": root / "FSD50K.eval_audio", "test_labels": tables, "ontology": tmp_path / "o.json",
    }  # fmt: skip
    everything, whole = fetched(tmp_path, ALL, 1, **own)
    assert len(everything) == 10
    assert everything["16399"].labels == ("Bark", "Rain")
    assert {clip.split for clip in everything.values()} == {"training", "validation", "test"}
    # By default clips of several labels are left out; class_names chooses among the rest.
    single, _ = fetched(tmp_path, "general: {}", 2, **own)
    assert everything.keys() - single.keys() == {"16399", "344272"}
    rain, some = fetched(tmp_path, "dataset: {class_names: [Rain]}", 3, **own)
    assert rain.keys() == {"16402", "175151"}
    assert some["classes"] == ["Rain"]
    # The store has the set once and whole; the card's digest is of what is used.
    assert some["stored"] == whole["stored"]
    assert some["digest"] != whole["digest"]
    assert len(list(root.rglob("*.wav"))) == 10
    # Clips of other classes are needed where they make up a class of their own.
    garbage = "dataset: {class_names: [Rain], use_garbage_class: true}"
    assert len(fetched(tmp_path, garbage, 4, **own)[0]) == 8


def test_fsd50k_is_downloaded_once_whatever_is_asked_for(root, tmp_path, monkeypatch):
    small = {"training": 4, "validation": 2, "test": 4}
    monkeypatch.setattr(
        fsd50k, "DATASET", dataclasses.replace(fsd50k.DATASET, clips_per_split=small)
    )
    packed = tmp_path / "zenodo"
    packed.mkdir()
    for name in ("FSD50K.dev_audio", "FSD50K.eval_audio", "FSD50K.ground_truth"):
        split_zip(root / name, packed / f"{name}.zip", 65536)
    (root / "ontology.json").rename(packed / "ontology.json")
    command = f"echo x >> {tmp_path}/calls; cp {packed}/* ./temp/"
    everything, _ = fetched(tmp_path, ALL, 1, download_command=command)
    single, _ = fetched(tmp_path, "general: {}", 2, download_command=command)
    assert (len(everything), len(single)) == (10, 8)
    assert (tmp_path / "calls").read_text() == "x\n"
    again, _ = fetched(tmp_path, ALL, 3, download_command=command)
    assert again == everything
    script = tmp_path / "command.sh"
    script.write_text(command)
    assert fetched(tmp_path, ALL, 4, download_script=script)[0] == everything
    assert (tmp_path / "calls").read_text() == "x\n"  # the same command, however it came


DESCRIPTION = """
name: birds
licence: CC0 1.0
layout: names
names: {{pattern: '(?P<label>[A-Za-z_]+)-\\d[.]wav'}}
labels: {{map: {{tit: Tit}}}}
clips_per_class: {{Tit: 2, wren: 2}}
download_command: echo x >> {calls}; cp {audio}/* ./temp/
"""


def test_a_description_is_all_it_takes(root, tmp_path):
    audio = tmp_path / "audio"
    audio.mkdir()
    files = sorted((root / "FSD50K.dev_audio").iterdir())
    for name, file in zip(("tit-0", "tit-1", "wren-0", "wren-1"), files, strict=False):
        (audio / f"{name}.wav").write_bytes(file.read_bytes())
    path = tmp_path / "birds.yaml"
    path.write_text(DESCRIPTION.format(calls=tmp_path / "calls", audio=audio))
    for number in (1, 2):  # named, then handed over as an artifact under another path
        handed = (
            {"dataset": str(path)} if number == 1 else {"dataset": "x.yaml", "description": path}
        )
        clips, card = fetched(tmp_path, "general: {}", number, **handed)
        assert {name: clip.labels for name, clip in clips.items()} == {
            "tit-0": ("Tit",), "tit-1": ("Tit",), "wren-0": ("wren",), "wren-1": ("wren",),
        }  # fmt: skip
        assert (card["name"], card["licence"]) == ("birds", "CC0 1.0")
    assert (tmp_path / "calls").read_text() == "x\n"
    path.write_text(path.read_text().replace("map: {tit: Tit}", "map: {tit: Tit, wren: Wren}"))
    with pytest.raises(DataError, match="holds 0 clips of 'wren', not 2"):
        fetched(tmp_path, "general: {}", 3, dataset=str(path))
    path.write_text(path.read_text().replace("wren: 2", "Wren: 2"))
    clips, _ = fetched(tmp_path, "general: {}", 4, dataset=str(path))
    assert clips["wren-0"].labels == ("Wren",)


def test_a_description_reads_a_folder_of_the_user_too(root, tmp_path):
    path = tmp_path / "sounds.yaml"
    path.write_text(
        "name: sounds\nlayout: table\naudio: FSD50K.dev_audio\nfile_extension: .wav\n"
        "table: {file: FSD50K.ground_truth/dev.csv, columns: {file: fname, label: labels}}\n"
        "labels: {separators: ',', map: {Bark: dog, Dog: dog, Rain: rain}, unmapped: drop}\n"
    )
    clips, card = fetched(tmp_path, "general: {}", 1, dataset=str(path), source=root)
    assert clips["16399"].labels == ("dog", "rain")
    assert clips["16401"].split == "validation"
    assert card["classes"] == ["dog", "rain"]
    assert set(clips) == {"16399", "16401", "16402", "344272"}
