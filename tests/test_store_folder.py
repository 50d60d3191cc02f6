"""What a store in a folder does besides: links, mount points, leftovers, memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from stores import contents, key_of

from soundgate.errors import StoreError
from soundgate.store import (
    get_tree,
    open_store,
    put_tree,
)
from soundgate.store.scratch import Scratch, sweep

pytest_plugins = ["store_fixtures"]


def test_leftovers_of_the_dead_are_cleared_and_the_livings_are_not(tmp_path):
    incoming = tmp_path / "store" / ".soundgate" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / ".part-dead").write_bytes(b"half")
    with Scratch(incoming) as living:
        open_store(str(tmp_path / "store")).put("a", b"content")
        assert [path.name for path in incoming.iterdir()] == [living.path.name]
    assert list(incoming.iterdir()) == []


def test_a_killed_fetch_is_cleared_by_the_next(tmp_path, clips):
    store = open_store(str(tmp_path / "store"))
    put_tree(store, "esc", clips)
    left = tmp_path / ".target.part-dead"
    (left / "tree").mkdir(parents=True)
    (tmp_path / ".other.part-dead").mkdir()
    get_tree(store, "esc", tmp_path / "target")
    assert not left.exists()
    assert (tmp_path / ".other.part-dead").exists()  # another target's
    assert sweep(tmp_path, ".other") == 1


def test_a_folder_store_hard_links_read_only_files(tmp_path, clips):
    store = open_store((tmp_path / "store").as_uri())
    put_tree(store, "esc", clips)
    get_tree(store, "esc", tmp_path / "target")
    held = store.root / key_of(b"one")
    fetched = tmp_path / "target" / "a b" / "é.wav"
    assert held.samefile(fetched)
    assert fetched.stat().st_mode & 0o777 == 0o444
    assert not held.samefile(clips / "a b" / "é.wav")  # the source stays its owner's


def test_without_hard_links_files_are_copied(tmp_path, clips, monkeypatch):
    def no_links(*_args, **_options):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = open_store(str(tmp_path / "store"))
    digest = put_tree(store, "esc", clips)
    assert get_tree(store, "esc", tmp_path / "target") == digest
    assert contents(tmp_path / "target") == contents(clips)
    assert not (store.root / key_of(b"one")).samefile(tmp_path / "target" / "a b" / "é.wav")


def test_a_mount_point_is_filled_from_within(tmp_path, clips, monkeypatch):
    store = open_store(str(tmp_path / "store"))
    put_tree(store, "esc", clips)
    target = tmp_path / "target"
    target.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == target)
    inode = target.stat().st_ino
    get_tree(store, "esc", target)
    assert contents(target) == contents(clips)
    assert sorted(path.name for path in target.iterdir()) == sorted(
        path.name for path in clips.iterdir()
    )
    assert target.stat().st_ino == inode  # not renamed over


def test_a_key_below_an_object_is_refused_in_one_line(tmp_path):
    store = open_store(str(tmp_path))
    store.put("a", b"")
    with pytest.raises(StoreError, match="a key cannot be both an object and a folder"):
        store.put("a/b", b"")


def test_memory_does_not_grow_with_the_bytes_of_a_tree(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(64):
        (folder / f"{number}.wav").write_bytes(number.to_bytes(1, "big") * (1 << 20))
    store = open_store(str(tmp_path / "store"))
    tracemalloc.start()
    try:
        put_tree(store, "esc", folder, workers=2)
        get_tree(store, "esc", tmp_path / "target", workers=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
