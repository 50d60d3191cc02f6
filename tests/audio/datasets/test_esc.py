"""ESC-10 and ESC-50, the real one where it is at hand, and checkouts made here."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter, defaultdict

import numpy as np
import pytest

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import preparation
from soundgate.audio.datasets.base import Source
from soundgate.audio.files import reading
from soundgate.errors import DataError

ESC10_CLASSES = [
    "chainsaw",
    "clock_tick",
    "crackling_fire",
    "crying_baby",
    "dog",
    "helicopter",
    "rain",
    "rooster",
    "sea_waves",
    "sneezing",
]
HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def make_esc50(folder, rows, *, seconds=5.0):
    """A checkout with the clips (fold, source, take, class); all have the same audio."""
    (folder / "audio").mkdir(parents=True)
    (folder / "meta").mkdir()
    (folder / ".git").mkdir()
    (folder / ".git" / "secret.wav").write_text("not audio")
    original = folder / "original.wav"
    reading.write(original, np.zeros(round(44_100 * seconds), np.int16), 44_100)
    text = HEADER
    for fold, source, take, label in rows:
        name = f"{fold}-{source}-{take}-0.wav"
        os.link(original, folder / "audio" / name)
        text += f"{name},{fold},0,{label},{label in ESC10_CLASSES},{source},{take}\n"
    original.unlink()
    (folder / "meta" / "esc50.csv").write_text(text)
    return folder


ROWS = [(1, 10, "A", "dog"), (1, 10, "B", "dog"), (2, 11, "A", "cat"), (5, 12, "A", "rain")]


def test_real_esc10(esc10, tmp_path):
    datasets.prepare("esc10", [Source(esc10)], tmp_path / "clips")
    clips = list(read_manifest(tmp_path / "clips"))
    assert len(clips) == 320
    assert Counter(clip.labels for clip in clips) == {(name,): 32 for name in ESC10_CLASSES}
    assert Counter(clip.fold for clip in clips) == dict.fromkeys([1, 2, 3, 4], 80)
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.source].add(clip.fold)
    assert all(len(of_source) == 1 for of_source in folds.values())
    assert len(folds) < 320  # some recordings gave several clips
    description = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    assert description["classes"] == ESC10_CLASSES
    assert description["clips"] == 320
    assert description["licence"].startswith("CC BY 3.0")
    by_path = {clip.path: clip for clip in clips}
    dog = by_path["audio/001 - Dog bark/1-100032-A.ogg"]
    assert (dog.labels, dog.fold, dog.source) == (("dog",), 1, "100032")
    fire = by_path["audio/010 - Fire crackling/4-164661-B.ogg"]
    assert (fire.labels, fire.fold, fire.source) == (("crackling_fire",), 4, "164661")
    for clip in clips:
        assert (tmp_path / "clips" / clip.path).stat().st_size > 10_000


def test_esc10_within_esc50(tmp_path):
    make_esc50(tmp_path / "ESC-50", ROWS)
    datasets.prepare("esc10", [Source(tmp_path / "ESC-50")], tmp_path / "clips")
    clips = list(read_manifest(tmp_path / "clips"))
    assert [(clip.path, clip.labels, clip.fold, clip.source) for clip in clips] == [
        ("audio/1-10-A-0.wav", ("dog",), 1, "10"),
        ("audio/1-10-B-0.wav", ("dog",), 1, "10"),
        ("audio/5-12-A-0.wav", ("rain",), 5, "12"),
    ]
    assert names(tmp_path / "clips") == ["audio", "dataset.json", "manifest.jsonl"]


@pytest.mark.parametrize("given", ["checkout", "audio folder", "audio folder and table"])
def test_esc50_however_it_is_given(tmp_path, given):
    checkout = make_esc50(tmp_path / "ESC-50", ROWS)
    source = {
        "checkout": Source(checkout),
        "audio folder": Source(checkout / "audio"),
        "audio folder and table": Source(checkout / "audio", checkout / "meta" / "esc50.csv"),
    }[given]
    datasets.prepare("ESC-50", [source], tmp_path / "clips")
    clips = list(read_manifest(tmp_path / "clips"))
    assert [clip.path for clip in clips] == [
        "audio/1-10-A-0.wav",
        "audio/1-10-B-0.wav",
        "audio/2-11-A-0.wav",
        "audio/5-12-A-0.wav",
    ]
    assert [clip.labels[0] for clip in clips] == ["dog", "dog", "cat", "rain"]


def test_audio_that_nobody_else_uses_is_linked_not_copied(tmp_path):
    checkout = make_esc50(tmp_path / "ESC-50", ROWS)
    dataset = datasets.load("ESC-50")
    options = datasets.read_options(dataset, {})
    preparation.prepare(dataset, [Source(checkout)], tmp_path / "clips", options, link=True)
    assert (tmp_path / "clips/audio/1-10-A-0.wav").samefile(checkout / "audio/1-10-A-0.wav")


def refused(tmp_path, name, source):
    with pytest.raises(DataError) as caught:
        datasets.prepare(name, [Source(source)], tmp_path / "clips")
    assert names(tmp_path / "clips") == []
    return str(caught.value)


def test_a_checkout_whose_clips_are_short(tmp_path):
    checkout = make_esc50(tmp_path / "ESC-50", ROWS, seconds=2.5)
    assert "1-10-A-0.wav: 220544 bytes, clips of ESC-50 have 441044" in refused(
        tmp_path, "ESC-50", checkout
    )


def test_a_checkout_with_a_clip_missing(tmp_path):
    checkout = make_esc50(tmp_path / "ESC-50", ROWS)
    (checkout / "audio" / "2-11-A-0.wav").unlink()
    assert "esc50.csv:4: 2-11-A-0.wav is not in" in refused(tmp_path, "ESC-50", checkout)


def test_a_folder_that_is_no_checkout(tmp_path):
    (tmp_path / "x").mkdir()
    assert "has no meta/esc50.csv" in refused(tmp_path, "esc10", tmp_path / "x")
    assert "no such folder" in refused(tmp_path, "esc10", tmp_path / "y")


def test_an_esc10_folder_of_another_class(tmp_path):
    (tmp_path / "x" / "001 - Dog").mkdir(parents=True)
    assert "did you mean '001 - Dog bark'" in refused(tmp_path, "esc10", tmp_path / "x")


def test_an_esc10_file_of_another_name(tmp_path):
    (tmp_path / "x" / "001 - Dog bark").mkdir(parents=True)
    reading.write(tmp_path / "x" / "001 - Dog bark" / "rex.wav", np.zeros(8, np.int16), 8000)
    assert "rex.wav: is not named FOLD-ID-TAKE" in refused(tmp_path, "esc10", tmp_path / "x")


def test_a_complete_esc50_is_acquired_as_either(tmp_path):
    classes = datasets.load("ESC-50").clips_per_class
    rows = [
        (number % 5 + 1, 1000 * place + number, "A", label)
        for place, label in enumerate(classes)
        for number in range(40)
    ]
    checkout = make_esc50(tmp_path / "ESC-50", rows)
    command = f"cp -rl {shlex.quote(str(checkout))}/. ./temp"
    datasets.acquire("ESC-50", tmp_path / "all", command=command)
    assert len(list(read_manifest(tmp_path / "all"))) == 2000
    datasets.acquire("ESC-10", tmp_path / "ten", command=command)
    assert Counter(clip.labels[0] for clip in read_manifest(tmp_path / "ten")) == dict.fromkeys(
        ESC10_CLASSES, 40
    )
    assert len(list((tmp_path / "ten" / "audio").iterdir())) == 400
