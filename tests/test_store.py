"""What every store does: a folder, moto's S3 in a process, a real S3 (Ceph RGW)."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from stores import BUCKET, contents, key_of, one_line_error, overwrite

from soundgate.errors import DataError, ParameterError, StoreError
from soundgate.reuse.digests import listing_digest
from soundgate.store import (
    get_tree,
    has_tree,
    open_store,
    put_tree,
    s3,
)

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["store_fixtures"]


# Objects


def test_an_object_is_created_once(store, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"first")
    assert not store.exists("runs/a ü.json")
    store.put("runs/a ü.json", source)
    store.put("runs/a ü.json", b"first")  # the same bytes again
    assert store.exists("runs/a ü.json")
    assert store.read("runs/a ü.json") == b"first"
    with pytest.raises(StoreError, match=r"'runs/a ü\.json' exists with different content"):
        store.put("runs/a ü.json", b"second")
    assert store.read("runs/a ü.json") == b"first"
    store.get("runs/a ü.json", tmp_path / "target", sha256=hashlib.sha256(b"first").hexdigest())
    assert (tmp_path / "target").read_bytes() == b"first"


def test_of_many_writers_of_one_name_one_wins(store, request):
    if request.node.callspec.params["store"] == "moto":
        pytest.skip("moto looks for the object and writes it in two steps; Ceph does both in one")
    outcomes = []

    def write(number: int) -> None:
        try:
            store.put("lock", b"%d" % number)
            outcomes.append(number)
        except StoreError:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert store.read("lock") == b"%d" % outcomes[0]


def test_a_key_that_states_a_digest_takes_these_bytes_only(store, tmp_path):
    key = key_of(b"content")
    with pytest.raises(StoreError, match="received bytes with sha256 7dd530c4"):
        store.put(key, b"else")
    assert not store.exists(key)
    store.put(key, b"content")
    store.put(key, b"content")
    assert store.read(key) == b"content"


@pytest.mark.parametrize("named", [True, False])
def test_damaged_bytes_never_reach_the_target(store, tmp_path, named):
    key = "report.json" if named else key_of(b"content")
    store.put(key, b"content")
    overwrite(store, key, b"contenT")
    expected = hashlib.sha256(b"content").hexdigest()
    found = hashlib.sha256(b"contenT").hexdigest()
    message = f"'{key}' is damaged: expected sha256 {expected}, found {found}"
    with pytest.raises(StoreError, match=message):
        store.get(key, tmp_path / "target")
    with pytest.raises(StoreError, match=message):
        store.read(key)
    assert not (tmp_path / "target").exists()
    assert not [path for path in tmp_path.iterdir() if "part" in path.name]


def test_the_callers_digest_is_checked_too(store, tmp_path):
    store.put("a", b"content")
    with pytest.raises(StoreError, match=f"expected sha256 {'0' * 64}, found ed7002b4"):
        store.get("a", tmp_path / "target", sha256="0" * 64)
    assert not (tmp_path / "target").exists()


def test_a_large_object_goes_in_parts_and_comes_back(store, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)  # the smallest S3 allows
    block = hashlib.sha256(b"seed").digest() * 1024
    content = b"".join(number.to_bytes(4, "big") + block for number in range(512))
    assert len(content) > 3 * (5 << 20)
    source = tmp_path / "large.wav"
    source.write_bytes(content)
    for key in (key_of(content), "large by name"):
        store.put(key, source)
        store.put(key, source)
        store.get(key, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == content
    if isinstance(store, s3.S3Store):
        parts = {
            key: store._client.head_object(**store._at(key))["ETag"].strip('"')[32:]
            for key in store.list("")
        }
        assert parts == {key_of(content): "-4", "large by name": ""}


def test_a_file_that_changes_while_it_is_sent_is_refused(store, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    source = tmp_path / "growing.wav"
    source.write_bytes(bytes(11 << 20))
    key = key_of(bytes(11 << 20))
    source.write_bytes(bytes(10 << 20) + b"x" * (1 << 20))
    with pytest.raises(StoreError, match="received bytes with sha256"):
        store.put(key, source)
    assert not store.exists(key)
    if isinstance(store, s3.S3Store):
        answer = store._client.list_multipart_uploads(Bucket=store.bucket)
        assert not answer.get("Uploads")


def test_keys_are_listed_by_prefix_in_byte_order(store):
    keys = ["a", "b/c", "b-c", "b/a b", "b/é", "b!", "bb/c/d", "z"]
    keys.remove("a")
    for key in keys:
        store.put(key, b"")
    assert list(store.list("")) == sorted(keys, key=str.encode)
    assert list(store.list("b/")) == ["b/a b", "b/c", "b/é"]
    assert list(store.list("b")) == ["b!", "b-c", "b/a b", "b/c", "b/é", "bb/c/d"]
    assert list(store.list("bb/c")) == ["bb/c/d"]
    assert list(store.list("nothing/")) == []


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a\nb", ".soundgate/x", "objects/x", "\ud800"]
)
def test_what_is_no_key_is_refused(store, key):
    with pytest.raises(StoreError, match="is not a key"):
        store.put(key, b"")
    with pytest.raises(StoreError, match="is not a key"):
        store.read(key)


def test_an_absent_object_is_named(store, tmp_path):
    with pytest.raises(StoreError, match=r"no object 'runs/none\.json'$"):
        store.read("runs/none.json")
    with pytest.raises(StoreError, match=r"no object 'runs/none\.json'$"):
        store.get("runs/none.json", tmp_path / "target")
    with pytest.raises(StoreError, match="absent"):
        store.put("a", tmp_path / "absent")


# Trees


def test_a_tree_comes_back_whole(store, clips, tmp_path):
    assert has_tree(store, "esc 10/ü") is None
    digest = put_tree(store, "esc 10/ü", clips)
    # what sha256sum says about the files in path order, hashed by an independent program
    lines = subprocess.run(
        ["sha256sum", "--", *sorted(contents(clips))], cwd=clips, capture_output=True, check=True
    ).stdout
    assert digest == hashlib.sha256(lines).hexdigest()
    assert has_tree(store, "esc 10/ü") == digest
    assert get_tree(store, "esc 10/ü", tmp_path / "new" / "target") == digest
    assert contents(tmp_path / "new" / "target") == contents(clips)
    (tmp_path / "empty").mkdir()
    assert get_tree(store, "esc 10/ü", tmp_path / "empty", workers=1) == digest
    assert contents(tmp_path / "empty") == contents(clips)
    manifest = json.loads(store.read("esc 10/ü/manifest.json"))
    assert manifest["format"] == "soundgate.tree/1"
    assert [file["path"] for file in manifest["files"]] == sorted(contents(clips))
    assert sum(file["bytes"] for file in manifest["files"]) == 20
    assert len(list(store.list("objects/"))) == 5  # the twins are one object


def test_a_second_put_sends_nothing(store, clips, monkeypatch):
    digest = put_tree(store, "esc", clips)
    sent = []
    put = store.put
    monkeypatch.setattr(store, "put", lambda key, source: (sent.append(key), put(key, source)))
    assert put_tree(store, "esc", clips) == digest
    assert sent == []
    (clips / "new.wav").write_bytes(b"new")
    put_tree(store, "esc-2", clips)
    assert sent == [key_of(b"new"), "esc-2/manifest.json"]


def test_a_name_is_not_given_to_other_content(store, clips):
    digest = put_tree(store, "esc", clips)
    (clips / "a-b.wav").write_bytes(b"changed")
    with pytest.raises(StoreError, match="data set 'esc' exists with different content"):
        put_tree(store, "esc", clips)
    assert has_tree(store, "esc") == digest
    assert not store.exists(key_of(b"changed"))  # refused before anything is sent


def test_a_damaged_object_fails_the_whole_fetch(store, clips, tmp_path):
    put_tree(store, "esc", clips)
    overwrite(store, key_of(b"three"), b"thr33")
    with pytest.raises(StoreError, match=f"'{key_of(b'three')}' is damaged"):
        get_tree(store, "esc", tmp_path / "target")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["clips"]


def test_a_manifest_that_lies_is_refused(store, tmp_path):
    files = [("../escaped", key_of(b"x")[-64:])]
    manifest = {
        "format": "soundgate.tree/1",
        "digest": listing_digest(files),
        "files": [{"path": path, "sha256": sha256, "bytes": 1} for path, sha256 in files],
    }
    store.put(key_of(b"x"), b"x")
    store.put("out/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(StoreError, match=r"'\.\./escaped', which is outside the target folder"):
        get_tree(store, "out", tmp_path / "target")
    store.put("bad/manifest.json", json.dumps({**manifest, "digest": "0" * 64}).encode())
    with pytest.raises(StoreError, match="the digest of its files is not 000"):
        has_tree(store, "bad")
    store.put("new/manifest.json", json.dumps({**manifest, "format": "x/9"}).encode())
    with pytest.raises(StoreError, match=r"format 'x/9'; expected 'soundgate\.tree/1'"):
        has_tree(store, "new")
    store.put("text/manifest.json", b"hello")
    with pytest.raises(StoreError, match="is not a data set manifest"):
        has_tree(store, "text")


def test_a_target_that_is_not_empty_is_refused(store, clips, tmp_path):
    put_tree(store, "esc", clips)
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine").touch()
    with pytest.raises(StoreError, match="target is not empty"):
        get_tree(store, "esc", tmp_path / "target")
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["mine"]
    with pytest.raises(StoreError, match="no data set 'esk'"):
        get_tree(store, "esk", tmp_path / "other")


def test_what_is_no_data_set_is_refused(store, clips, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        put_tree(store, "x", tmp_path / "absent")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(DataError, match="contains no files"):
        put_tree(store, "x", tmp_path / "empty")
    (clips / "link").symlink_to(clips / "a")
    with pytest.raises(DataError, match="a link to a folder"):
        put_tree(store, "x", clips)
    (clips / "link").unlink()
    os.mkfifo(clips / "pipe")
    with pytest.raises(DataError, match="'pipe' is not a regular file"):
        put_tree(store, "x", clips)
    (clips / "pipe").unlink()
    (clips / "new\nline").touch()
    with pytest.raises(DataError, match="not portable"):
        put_tree(store, "x", clips)
    assert has_tree(store, "x") is None


PUT_TREE = """
import os, signal, sys
from pathlib import Path
from soundgate.store import open_store, put_tree
store = open_store(sys.argv[1])
kill_after = int(sys.argv[3])
put, count = store.put, 0
def counted(key, source):
    global count
    put(key, source)
    count += 1
    if count == kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
store.put = counted
print(put_tree(store, "esc", Path(sys.argv[2]), workers=2))
"""


def start_put_tree(store, folder: Path, kill_after: int = 0) -> subprocess.Popen:
    command = [sys.executable, "-W", "error", "-c", PUT_TREE, store.url, folder, str(kill_after)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_put_the_same_tree_all_succeed(store, tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.wav").write_bytes(b"%d" % number)
    processes = [start_put_tree(store, folder) for _ in range(4)]
    told = [process.communicate()[0].splitlines()[-1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert set(told) == {has_tree(store, "esc")}
    assert len(list(store.list("objects/"))) == 40
    get_tree(store, "esc", tmp_path / "target")
    assert contents(tmp_path / "target") == contents(folder)


def test_a_killed_put_leaves_nothing_a_reader_sees(store, clips):
    killed = start_put_tree(store, clips, kill_after=3)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert has_tree(store, "esc") is None
    assert len(list(store.list("objects/"))) in {3, 4}  # two at once
    finished = start_put_tree(store, clips)
    assert finished.communicate()[0].splitlines()[-1] == has_tree(store, "esc")


def test_a_wrong_signature_is_named(aws, monkeypatch):
    aws("ceph")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    store = open_store(f"s3://{BUCKET}/x")
    assert "wrong signature; check AWS_SECRET_ACCESS_KEY" in one_line_error(lambda: store.read("a"))
    store.close()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "the store URL is empty"),
        ("s3://", "expected s3://bucket/prefix"),
        ("gs://bucket", "unknown scheme 'gs'; known: file, s3"),
        ("file://host/folder", "expected file:///absolute/folder"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url, hint):
    with pytest.raises(ParameterError, match=hint):
        open_store(url)
