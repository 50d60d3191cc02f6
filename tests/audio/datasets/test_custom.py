from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import custom
from soundgate.audio.datasets.base import Source
from soundgate.errors import ConfigError, DataError

EXAMPLE = Path(__file__).resolve().parents[3] / "user_configs" / "datasets" / "esc10.yaml"


def write_audio(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(map(ord, str(path)))
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 1600), 8000)


def prepared(tmp_path, text, **source):
    description = tmp_path / "birds.yaml"
    description.write_text(text)
    root = tmp_path / "data"
    datasets.prepare(str(description), [Source(root, **source)], tmp_path / "clips")
    return list(read_manifest(tmp_path / "clips"))


TABLE = """
name: birds
licence: CC0 1.0
audio: wav
file_extension: wav
layout: table
table:
  file: meta/clips.csv
  delimiter: "|"
  columns: {file: clip, label: species, fold: batch, split: set, source: recording,
            start_s: from, end_s: to}
labels:
  meaning: The species that sings loudest
  separators: "/"
  map: {tit: Great_tit, noise: null, Gt: Great_tit}
splits: {day: training, night: test, dusk: validation}
folds: {A: 1, B: 2}
"""
ROWS = """\
clip|species|batch|set|recording|from|to
a|tit|A|day|r1||
b|tit / wren|B|day|r2|0.05|0.1
c|noise|A|night|r3||
d|noise/wren|2|night|r4||
e|tit/Gt|A|dusk|r5||
"""


@pytest.fixture
def table(tmp_path):
    for name in "abcde":
        write_audio(tmp_path / "data" / "wav" / f"{name}.wav")
    meta = tmp_path / "data" / "meta"
    meta.mkdir()
    (meta / "clips.csv").write_text(ROWS)
    return meta / "clips.csv"


def test_a_table_with_words_of_its_own(table, tmp_path):
    found = {Path(clip.path).stem: clip for clip in prepared(tmp_path, TABLE)}
    assert found.keys() == {"a", "b", "d", "e"}  # nothing is left of c
    assert {name: clip.labels for name, clip in found.items()} == {
        "a": ("Great_tit",), "b": ("Great_tit", "wren"), "d": ("wren",), "e": ("Great_tit",),
    }  # fmt: skip
    assert [found[k].split for k in "abde"] == ["training", "training", "test", "validation"]
    assert [found[k].fold for k in "abde"] == [1, 2, 2, 1]
    assert (found["b"].start_s, found["b"].end_s, found["b"].source) == (0.05, 0.1, "r2")
    assert found["a"].path == "audio/wav/a.wav"
    described = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    assert (described["name"], described["licence"]) == ("birds", "CC0 1.0")
    assert described["labels"] == "The species that sings loudest."
    assert described["classes"] == ["Great_tit", "wren"]


def test_a_table_of_the_user_goes_before_the_described_one(table, tmp_path):
    (tmp_path / "other.csv").write_text(ROWS.replace("a|tit", "a|wren"))
    clips = prepared(tmp_path, TABLE, labels=tmp_path / "other.csv")
    assert clips[0].labels == ("wren",)


NAMES = """
name: birds
layout: names
names:
  pattern: (?P<split>train|test)/(?P<label>[a-z]+)-(?P<source>\\d+)(?:f(?P<fold>\\d))?_\\d[.]wav
"""


def test_names_that_say_it_all(tmp_path):
    for name in ("train/tit-7_0", "train/tit-7_1", "train/wren-8_0", "test/tit-9f3_0",
                 "test/wren-10_0"):  # fmt: skip
        write_audio(tmp_path / "data" / f"{name}.wav")
    clips = prepared(tmp_path, NAMES)
    found = {clip.path.removeprefix("audio/"): clip for clip in clips}
    assert found["train/tit-7_1.wav"].labels == ("tit",)
    assert {path: clip.source for path, clip in found.items()} == {
        "train/tit-7_0.wav": "7", "train/tit-7_1.wav": "7", "train/wren-8_0.wav": "8",
        "test/tit-9f3_0.wav": "9", "test/wren-10_0.wav": "10",
    }  # fmt: skip
    assert Counter(clip.split for clip in clips) == {"training": 3, "test": 2}
    assert (found["test/tit-9f3_0.wav"].fold, found["train/tit-7_0.wav"].fold) == (3, None)


def test_a_name_that_does_not_match_is_an_error(tmp_path):
    write_audio(tmp_path / "data" / "train" / "tit-x_0.wav")
    with pytest.raises(DataError, match=r"'train/tit-x_0.wav' does not match names.pattern of"):
        prepared(tmp_path, NAMES)


def test_folders_with_labels_mapped(tmp_path):
    for name in ("tit/1", "tit/deep/2", "gt/3", "wren/4", "wren/5", "rubbish/6"):
        write_audio(tmp_path / "data" / f"{name}.wav")
    text = (
        "name: b\nlayout: folders\nlabels: {map: {tit: Tit, gt: Tit, wren: Wren}, unmapped: drop}"
    )
    clips = prepared(tmp_path, text)
    assert Counter(clip.labels for clip in clips) == {("Tit",): 3, ("Wren",): 2}
    (tmp_path / "clips2").mkdir()
    (tmp_path / "birds.yaml").write_text(text.replace("drop", "error"))
    with pytest.raises(DataError, match=r"6.wav: label 'rubbish' is not in labels.map"):
        datasets.prepare(
            str(tmp_path / "birds.yaml"), [Source(tmp_path / "data")], tmp_path / "clips2"
        )


@pytest.mark.parametrize(("per_class", "message"), [(2, None), (3, "2 clips of 'tit', not 3")])
def test_a_download_that_is_checked(tmp_path, per_class, message):
    for name in ("tit/1", "tit/2", "wren/3", "wren/4"):
        write_audio(tmp_path / "data" / f"{name}.wav")
    description = tmp_path / "birds.yml"
    description.write_text(
        f"name: birds\nlayout: folders\naudio: sub\nclasses: [tit, wren]\n"
        f"clips_per_class: {per_class}\ndownload_command: cp -r {tmp_path}/data ./temp/sub\n"
    )
    if message is None:
        datasets.acquire(str(description), tmp_path / "clips")
        assert len(list(read_manifest(tmp_path / "clips"))) == 4
    else:
        with pytest.raises(DataError, match=message):
            datasets.acquire(str(description), tmp_path / "clips")


def test_the_example_describes_esc10(esc10):
    dataset = custom.load(EXAMPLE)
    assert sum(dataset.clips_per_class.values()) == 400
    assert "./temp" in dataset.download_command


def test_the_example_reads_a_checkout(tmp_path):
    rows = [
        "filename,fold,target,category,esc10,src_file,take",
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "1-100038-A-14.wav,1,14,chirping_birds,False,100038,A",
        "2-117271-A-0.wav,2,0,dog,True,117271,A",
    ]
    root = tmp_path / "data"
    for row in rows[1:]:
        write_audio(root / "audio" / row.split(",")[0])
    (root / "meta").mkdir()
    (root / "meta" / "esc50.csv").write_text("\n".join(rows))
    clips = prepared(tmp_path, EXAMPLE.read_text())
    assert [(clip.labels, clip.fold, clip.source) for clip in clips] == [
        (("dog_bark",), 1, "100032"),
        (("dog_bark",), 2, "117271"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout: folders", r"name: is missing; add it"),
        ("name: a b\nlayout: folders", r"birds.yaml:1: name: .*; got 'a b'"),
        ("name: a\nlayout: foldrs", r"birds.yaml:2: layout: .*'folders', 'table' or 'names'"),
        ("name: a\nlayout: folders\nlicense: CC0", r":3: license: .*did you mean 'licence'"),
        ("name: a\nlayout: table", r"layout is table, but section table is missing"),
        ("name: a\nlayout: folders\nnames: {pattern: '(?P<label>a)'}", "does not use names"),
        ("name: a\nlayout: table\ntable: {file: ../x.csv}", r":3: table.file: .*is outside"),
        ("name: a\nlayout: table\ntable:\n  file: x\n  columns: {lable: y}", "mean 'label'"),
        ("name: a\nlayout: names\nnames: {pattern: '(?P<label>'}", "invalid regular expression"),
        ("name: a\nlayout: names\nnames: {pattern: '(?P<class>a)'}", "unknown group 'class'"),
        ("name: a\nlayout: names\nnames: {pattern: a.*}", "needs a group"),
        ("name: a\nlayout: folders\nclips_per_class: 4", "classes must list the classes"),
        ("name: a\nlayout: folders\ndownload_command: git clone x", r"does not fill ./temp"),
        ("name: a\nlayout: folders\nsplits: {day: trainin}", "splits.day"),
        ("name: a\nlayout: folders\nname: b", "stands twice"),
        ("- a", "expected sections"),
    ],
)
def test_errors_name_file_key_and_fix(tmp_path, text, message):
    path = tmp_path / "birds.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        custom.load(path)
    assert "birds.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_description_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml: cannot be read"):
        datasets.load(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("clip|species", "clip|kind"), "clips.csv:1: no column species"),
        (("|day|r1", "|noon|r1"), "clips.csv:2: split 'noon' is unknown"),
        (("|B|", "|C|"), "clips.csv:3: fold 'C' is not a whole number"),
        (("a|tit", "z|tit"), "clips.csv:2: z.wav is not in"),
    ],
)
def test_errors_of_a_table_name_its_line(table, tmp_path, change, message):
    table.write_text(ROWS.replace(*change))
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, TABLE)


def test_nothing_in_a_description_is_evaluated(tmp_path):
    path = tmp_path / "birds.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\nlayout: folders")
    with pytest.raises(ConfigError, match="not valid YAML"):
        custom.load(path)
