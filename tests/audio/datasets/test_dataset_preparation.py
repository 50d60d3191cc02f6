"""The clips folder: whole or not at all, whatever fails."""

from __future__ import annotations

import errno
import json
import os
import shutil

import numpy as np
import pytest

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import preparation
from soundgate.audio.datasets.base import Source
from soundgate.audio.files import reading
from soundgate.errors import DataError, ParameterError


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def classes(tmp_path):
    """Two classes of two clips."""
    root = tmp_path / "set"
    for number, name in enumerate(["dog/a.wav", "dog/b.wav", "rain/a.wav", "rain/b.wav"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        reading.write(root / name, np.full(800, number, np.int16), 8000)
    return root


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_bytes_each_time(tmp_path, classes):
    datasets.prepare("folder", [Source(classes)], tmp_path / "one")
    datasets.prepare("folder", [Source(classes)], tmp_path / "deep" / "two")
    assert content(tmp_path / "one") == content(tmp_path / "deep" / "two")
    assert len(content(tmp_path / "one")) == 6


def test_description(tmp_path, classes):
    datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    description = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    assert list(description) == [
        "name",
        "title",
        "licence",
        "citation",
        "homepage",
        "classes",
        "clips",
        "labels",
    ]
    assert (description["classes"], description["clips"]) == (["dog", "rain"], 4)


def test_several_sources_are_kept_apart(tmp_path, classes):
    shutil.copytree(classes, tmp_path / "other")
    sources = [Source(classes, split="training"), Source(tmp_path / "other", split="test")]
    datasets.prepare("folder", sources, tmp_path / "clips")
    clips = list(read_manifest(tmp_path / "clips"))
    assert [(clip.path, clip.split) for clip in clips[::4]] == [
        ("audio/1-training/dog/a.wav", "training"),
        ("audio/2-test/dog/a.wav", "test"),
    ]
    assert len(clips) == 8


def test_a_clip_cannot_be_trained_and_tested(tmp_path, classes):
    (tmp_path / "alias").symlink_to(classes)
    sources = [Source(classes, split="training"), Source(tmp_path / "alias", split="test")]
    with pytest.raises(DataError, match=r"a\.wav: is listed twice, as audio/1-training/dog/a\.wav"):
        datasets.prepare("folder", sources, tmp_path / "clips")


def test_splits_that_contradict(tmp_path, classes):
    table = tmp_path / "t.csv"
    table.write_text("filename,label,split\ndog/a.wav,dog,test\n")
    with pytest.raises(DataError, match=r"split 'test', but .* 'training'"):
        datasets.prepare("csv", [Source(classes, table, "training")], tmp_path / "clips")
    with pytest.raises(ParameterError, match="split 'tests' is unknown; did you mean 'test'"):
        datasets.prepare("csv", [Source(classes, table, "tests")], tmp_path / "clips")


def test_sources_must_fit_the_data_set(tmp_path, classes):
    with pytest.raises(ParameterError, match="dataset folder: no folder given"):
        datasets.prepare("folder", [], tmp_path / "clips")
    with pytest.raises(ParameterError, match="synthetic is generated: remove its folders"):
        datasets.prepare("synthetic", [Source(classes)], tmp_path / "clips")


def test_symbolic_links_are_resolved(tmp_path, classes):
    (classes / "dog" / "b.wav").rename(tmp_path / "real.wav")
    (classes / "dog" / "b.wav").symlink_to("../../real.wav")
    datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    copied = tmp_path / "clips" / "audio" / "dog" / "b.wav"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (tmp_path / "real.wav").read_bytes()


def test_the_files_of_a_user_are_copied_and_left_as_they_were(tmp_path, classes):
    """A link would carry later edits into the output, and changes the ctime that keys look at."""
    file = classes / "dog" / "a.wav"
    before = file.stat()
    datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    copied = tmp_path / "clips" / "audio" / "dog" / "a.wav"
    assert not copied.samefile(file)
    assert copied.read_bytes() == file.read_bytes()
    after = file.stat()
    assert (after.st_ctime_ns, after.st_nlink) == (before.st_ctime_ns, before.st_nlink)


def test_copies_where_links_are_not_possible(tmp_path, classes, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    loaded = datasets.load("folder")
    options = datasets.read_options(loaded, {})
    preparation.prepare(loaded, [Source(classes)], tmp_path / "clips", options, link=True)
    copied = tmp_path / "clips" / "audio" / "dog" / "a.wav"
    assert not copied.samefile(classes / "dog" / "a.wav")
    assert copied.read_bytes() == (classes / "dog" / "a.wav").read_bytes()


@pytest.mark.parametrize("name", ["empty", "text", "truncated"])
def test_damaged_audio_is_found_before_anything_is_written(tmp_path, classes, name):
    clip = classes / "rain" / "b.wav"
    clip.write_bytes(
        {"empty": b"", "text": b"hello" * 99, "truncated": clip.read_bytes()[:900]}[name]
    )
    with pytest.raises(DataError, match=r"rain/b\.wav: "):
        datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    assert names(tmp_path / "clips") == []


@pytest.mark.parametrize("fails_at", ["audio", "manifest.jsonl", "dataset.json"])
def test_a_full_disk_leaves_nothing(tmp_path, classes, monkeypatch, fails_at):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "clips"
    if fails_at == "audio":
        monkeypatch.setattr(shutil, "copyfile", full)
    else:
        replace = type(out).replace
        monkeypatch.setattr(
            type(out),
            "replace",
            lambda path, target: full() if target.name == fails_at else replace(path, target),
        )
    with pytest.raises(DataError, match=f"{fails_at}.*No space left on device: free space"):
        datasets.prepare("folder", [Source(classes)], out)
    assert names(out) == []


def test_the_description_is_written_last(tmp_path, classes, monkeypatch):
    seen = []
    describe = preparation._describe

    def watch(dataset, clips, out):
        seen.extend(names(out))
        describe(dataset, clips, out)

    monkeypatch.setattr(preparation, "_describe", watch)
    datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    assert seen == ["audio", "manifest.jsonl"]


def test_an_output_that_cannot_be_written(tmp_path, classes):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file/clips: cannot be written: Not a directory"):
        datasets.prepare("folder", [Source(classes)], tmp_path / "file" / "clips")


def test_an_output_that_is_in_use_is_left_alone(tmp_path, classes):
    datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    before = content(tmp_path / "clips")
    with pytest.raises(DataError, match="clips: is not empty: delete it or choose another"):
        datasets.prepare("folder", [Source(classes)], tmp_path / "clips")
    assert content(tmp_path / "clips") == before
