from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from fsd50k_layout import DEV, EVAL, split_zip, write_layout, write_ontology

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import download, fsd50k, preparation
from soundgate.audio.datasets.base import Source
from soundgate.errors import DataError, ParameterError

SMALL = dataclasses.replace(
    fsd50k.DATASET, clips_per_split={"training": 4, "validation": 2, "test": 4}
)
# By hand, from the labels of the layout and AudioSet's tree.
LEAVES = {
    "64760": ("Electric_guitar",),
    "16399": ("Bark", "Rain"),
    "16401": ("Bark",),
    "16402": ("Rain",),
    "344271": ("Electric_guitar",),
    "344272": ("Bark", "Animal"),
    "37199": ("Bark",),
    "175151": ("Rain",),
    "253463": ("Electric_guitar",),
    "37200": ("Music",),
}


@pytest.fixture
def root(tmp_path):
    return write_layout(tmp_path / "FSD50K")


def by_name(clips):
    return {Path(clip.path).stem: clip for clip in clips}


def test_labels_lose_what_another_one_implies(root, tmp_path):
    before = {path: path.read_bytes() for path in root.rglob("*.csv")}
    datasets.prepare("fsd50k", [Source(root)], tmp_path / "clips")
    found = by_name(read_manifest(tmp_path / "clips"))
    assert {name: clip.labels for name, clip in found.items()} == LEAVES
    splits = {"train": "training", "val": "validation"}
    assert {name: found[name].split for name in DEV} == {
        name: splits[split] for name, (_, split) in DEV.items()
    }
    assert {found[name].split for name in EVAL} == {"test"}
    assert before == {path: path.read_bytes() for path in root.rglob("*.csv")}
    described = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    assert described["clips"] == 10
    assert described["classes"] == ["Animal", "Bark", "Electric_guitar", "Music", "Rain"]


def test_folders_of_the_user_give_the_same_clips(root, tmp_path):
    (root / "ontology.json").rename(tmp_path / "o.json")
    tables = root / "FSD50K.ground_truth"
    sources = [
        Source(root / "FSD50K.dev_audio", tables, "training"),
        Source(root / "FSD50K.eval_audio", tables, "test"),
    ]
    options = {"audioset_ontology_path": str(tmp_path / "o.json")}
    datasets.prepare("FSD50K", sources, tmp_path / "clips", options=options)
    found = by_name(read_manifest(tmp_path / "clips"))
    assert {name: clip.labels for name, clip in found.items()} == LEAVES
    assert found["16401"].split == "validation"  # the table's word goes before the folder's
    assert found["37199"].split == "test"


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"only_keep_monolabel": True}, LEAVES.keys() - {"16399", "344272"}),
        ({"classes": ("Rain",), "only_keep_monolabel": False}, {"16399", "16402", "175151"}),
        ({"classes": ("Rain",)}, {"16402", "175151"}),
        ({"classes": (), "only_keep_monolabel": False}, LEAVES.keys()),
    ],
)
def test_the_clips_asked_for_are_left(root, tmp_path, options, left):
    clips = tmp_path / "clips"
    datasets.prepare("FSD50K", [Source(root)], clips)
    assert datasets.narrow("FSD50K", clips, options) == (left != LEAVES.keys())
    assert by_name(read_manifest(clips)).keys() == left
    assert {path.stem for path in clips.rglob("*.wav")} == left
    assert json.loads((clips / "dataset.json").read_text())["clips"] == len(left)
    assert {path.stem for path in root.rglob("*.wav")} == LEAVES.keys()  # the user's own stay


def test_a_class_that_it_does_not_have_is_named(root, tmp_path):
    datasets.prepare("FSD50K", [Source(root)], tmp_path / "clips")
    with pytest.raises(ParameterError, match="no class 'Barks'; did you mean 'Bark'"):
        datasets.narrow("FSD50K", tmp_path / "clips", {"classes": ("Barks",)})
    assert len(list(read_manifest(tmp_path / "clips"))) == 10


@pytest.fixture
def packed(root, tmp_path):
    """What Zenodo and AudioSet give: split archives, a plain one, and the ontology."""
    folder = tmp_path / "zenodo"
    folder.mkdir()
    for name in ("FSD50K.dev_audio", "FSD50K.eval_audio"):
        assert split_zip(root / name, folder / f"{name}.zip", 65536) > 1
    split_zip(root / "FSD50K.ground_truth", folder / "FSD50K.ground_truth.zip", 1 << 20)
    write_ontology(folder / "ontology.json")
    return folder


def test_a_command_is_all_it_takes(packed, tmp_path):
    download.acquire(SMALL, tmp_path / "clips", f"cp {packed}/* ./temp/", fsd50k.Options())
    found = by_name(read_manifest(tmp_path / "clips"))
    assert {name: clip.labels for name, clip in found.items()} == LEAVES
    assert len(list((tmp_path / "clips").rglob("*.wav"))) == 10


def test_links_to_archives_do_and_the_archives_stay(packed, tmp_path):
    before = sorted(packed.iterdir())
    download.acquire(SMALL, tmp_path / "clips", f"ln -s {packed}/* ./temp/", fsd50k.Options())
    assert len(list(read_manifest(tmp_path / "clips"))) == 10
    assert sorted(packed.iterdir()) == before


def test_an_incomplete_download_is_not_kept(packed, tmp_path):
    whole = dataclasses.replace(SMALL, clips_per_split={"training": 5})
    with pytest.raises(DataError, match="holds 4 training clips, not 5"):
        download.acquire(whole, tmp_path / "clips", f"ln -s {packed}/* ./temp/", fsd50k.Options())
    assert not list((tmp_path / "clips").iterdir())


def test_its_own_command_fetches_every_part():
    command = fsd50k.DOWNLOAD_COMMAND
    for part in ("dev_audio.z05", "dev_audio.zip", "eval_audio.z01", "ground_truth.zip"):
        assert f"FSD50K.{part}" in command
    assert "dev_audio.z06" not in command
    assert sum(fsd50k.DATASET.clips_per_split.values()) == 51_197  # as published


def test_a_folder_of_archives_says_what_to_do(packed, tmp_path):
    with pytest.raises(DataError, match="still packed: set download_command to 'ln -s"):
        datasets.prepare("FSD50K", [Source(packed)], tmp_path / "clips")


def _without_ontology(root):
    (root / "ontology.json").unlink()


def _unknown_mid(root):
    table = root / "FSD50K.ground_truth" / "eval.csv"
    table.write_text(table.read_text().replace("/m/06mb1", "/m/zzz"))


def _uneven(root):
    table = root / "FSD50K.ground_truth" / "dev.csv"
    table.write_text(table.read_text().replace('"/m/05tny_,/m/0bt9lr', '"/m/05tny_'))


def _missing_clip(root):
    (root / "FSD50K.eval_audio" / "37199.wav").unlink()


def _wrong_split(root):
    table = root / "FSD50K.ground_truth" / "dev.csv"
    table.write_text(table.read_text().replace(",val", ",tset"))


def _other_table(root):
    (root / "FSD50K.ground_truth" / "dev.csv").write_text("filename,category\na,b\n")


def _elsewhere(root):
    """A name that would lay the clip outside of the folder that is made."""
    (root / "37199.wav").write_bytes((root / "FSD50K.eval_audio" / "37199.wav").read_bytes())
    table = root / "FSD50K.ground_truth" / "eval.csv"
    table.write_text(table.read_text().replace("37199", "../37199"))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_elsewhere, r"eval.csv:2: '../37199' is not a file name"),
        (_without_ontology, "ontology.json: no such file: .*audioset_ontology_path"),
        (_unknown_mid, r"eval.csv:3: '/m/zzz' is not in the ontology"),
        (_uneven, r"dev.csv:3: 4 labels for 3 mids"),
        (_missing_clip, r"eval.csv:2: .*37199.wav is missing"),
        (_wrong_split, r"dev.csv:4: split 'tset' is not train or val"),
        (_other_table, r"dev.csv:1: no column 'fname'"),
    ],
)
def test_what_is_wrong_is_named(root, tmp_path, damage, text):
    damage(root)
    with pytest.raises(DataError, match=text) as caught:
        datasets.prepare("FSD50K", [Source(root)], tmp_path / "clips")
    assert "\n" not in str(caught.value)


def test_one_of_two_folders_is_not_enough(root, tmp_path):
    source = Source(root / "FSD50K.dev_audio", root / "FSD50K.ground_truth")
    with pytest.raises(DataError, match=r"set both .*dev_audio_folder and eval_audio_folder"):
        datasets.prepare("FSD50K", [source], tmp_path / "clips")


def test_nothing_left_is_said(root, tmp_path):
    datasets.prepare("FSD50K", [Source(root)], tmp_path / "clips")
    with pytest.raises(DataError, match="no clips are left with only_keep_monolabel True"):
        preparation.narrow(
            fsd50k.DATASET,
            tmp_path / "clips",
            fsd50k.Options(classes=("Animal",)),
        )
