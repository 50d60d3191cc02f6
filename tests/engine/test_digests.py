from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import time

import pytest

from soundgate.errors import DataError
from soundgate.reuse import digests
from soundgate.reuse.digests import digest_text, digest_tree, read_tree


def by_hand(folder):
    """What a person would type to check a digest."""
    command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum --"
    lines = subprocess.run(command, shell=True, cwd=folder, capture_output=True, check=True).stdout
    return f"sha256:{hashlib.sha256(lines).hexdigest()}"


def fill(folder, **files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def settle(folder):
    """Make files look as old as they are when a digest is taken minutes after they were written."""
    time.sleep(2 * digests.CLOCK_TICK_NS / 1e9)
    return folder


@pytest.fixture
def opened(monkeypatch):
    """The files that were read."""
    read = []
    real = digests.file_sha256
    monkeypatch.setattr(digests, "file_sha256", lambda path: (read.append(path), real(path))[1])
    return read


def test_the_digest_is_that_of_sha256sums_lines(tmp_path):
    fill(tmp_path, **{"b": "1", "a-b": "2", "a/b": "3", "a/c/d e": "", "ü": "ö", "B": "4"})
    tree = digest_tree(tmp_path)
    assert tree.digest == by_hand(tmp_path)
    assert [entry.path for entry in tree.entries] == ["B", "a-b", "a/b", "a/c/d e", "b", "ü"]
    assert tree.size == 6


@pytest.mark.parametrize(
    "name", [b"a\nb", b"a\\b", b"a\rb", b"\\n", b"\xff\xfe.wav", b" a ", b"a  b\n", b"-n", b"'\"$"]
)
def test_odd_names_are_digested_and_remembered(tmp_path, name, opened):
    folder = tmp_path / "a"
    folder.mkdir()
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"x")
    tree = digest_tree(settle(folder))
    assert tree.digest == by_hand(folder)
    tree.write(tmp_path / "list")
    assert read_tree(tmp_path / "list") == tree
    opened.clear()
    assert digest_tree(folder, read_tree(tmp_path / "list")) == tree
    assert opened == []


def test_many_files_digested_by_threads_come_out_the_same(tmp_path):
    fill(tmp_path, **{f"{i % 7}/{i}": str(i) * i for i in range(10 * digests.MANY_FILES)})
    assert digest_tree(tmp_path).digest == by_hand(tmp_path)


def test_a_single_file_is_a_folder_that_holds_it_alone(tmp_path):
    fill(tmp_path, **{"one/a.yaml": "x"})
    assert digest_tree(tmp_path / "one" / "a.yaml") == digest_tree(tmp_path / "one")


def test_an_empty_folder_has_a_digest_and_empty_folders_do_not_count(tmp_path):
    empty = digest_tree(tmp_path)
    assert empty.digest == f"sha256:{hashlib.sha256(b'').hexdigest()}"
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert digest_tree(tmp_path) == empty


@pytest.mark.parametrize(
    "change",
    [
        lambda f: (f / "a").write_text("2"),
        lambda f: (f / "a").rename(f / "c"),
        lambda f: (f / "b").unlink(),
        lambda f: (f / "c").touch(),
        lambda f: ((f / "d").mkdir(), (f / "a").rename(f / "d" / "a")),
    ],
)
def test_any_change_of_content_or_name_changes_the_digest(tmp_path, change):
    before = digest_tree(fill(tmp_path, a="1", b="")).digest
    change(tmp_path)
    assert digest_tree(tmp_path).digest != before


def test_a_files_bytes_cannot_pass_for_a_name(tmp_path):
    one = digest_tree(fill(tmp_path / "one", a="1", b="2")).digest
    two = digest_tree(fill(tmp_path / "two", a="2", b="1")).digest
    assert one != two


def test_time_and_place_do_not_count(tmp_path):
    one = fill(tmp_path / "one", a="1", **{"b/c": "2"})
    two = fill(tmp_path / "elsewhere" / "two", **{"b/c": "2"}, a="1")
    os.utime(two / "a", (1, 1))
    assert digest_tree(one).digest == digest_tree(two).digest


def test_unchanged_files_are_not_read_again(tmp_path, opened):
    folder = fill(tmp_path, **{str(i): str(i) for i in range(40)})
    before = digest_tree(settle(folder))
    opened.clear()
    (folder / "3").write_text("changed")
    os.utime(folder / "5", (1, 1))
    after = digest_tree(folder, before)
    assert sorted(opened) == [str(folder / "3"), str(folder / "5")]
    assert after.digest == by_hand(folder)
    (folder / "3").write_text("3")
    assert digest_tree(folder, after).digest == before.digest


def old_times(folder, *names):
    for name in names:
        os.utime(folder / name, ns=(10**18, 10**18))
    settle(folder)


def swap(folder):
    """As two clips of an archive, which have one size and one time, change places."""
    (folder / "a").rename(folder / "x")
    (folder / "b").rename(folder / "a")
    (folder / "x").rename(folder / "b")


def edit_and_put_the_time_back(folder):
    times = (folder / "a").stat()
    (folder / "a").write_text("9")
    os.utime(folder / "a", ns=(times.st_atime_ns, times.st_mtime_ns))


def replace_by_a_copy(folder):
    (folder / "new").write_text("9")
    os.utime(folder / "new", ns=(10**18, 10**18))
    (folder / "new").rename(folder / "a")


def point_a_link_elsewhere(folder):
    (folder / "a").unlink()
    (folder / "a").symlink_to("b")


@pytest.mark.parametrize(
    "change", [swap, edit_and_put_the_time_back, replace_by_a_copy, point_a_link_elsewhere]
)
def test_notices_other_bytes_of_the_same_size_and_time(tmp_path, change):
    folder = fill(tmp_path / "clips", a="1", b="2")
    old_times(folder, "a", "b")
    digest_tree(folder).write(tmp_path / "list")
    change(folder)
    found = digest_tree(folder, read_tree(tmp_path / "list"))
    assert found.digest == by_hand_following_links(folder)


def by_hand_following_links(folder):
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
    ]
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def test_notices_a_file_written_twice_within_one_tick_of_the_clock(tmp_path):
    folder = fill(tmp_path / "clips", a="1")
    before = digest_tree(folder)  # not settled: a second write may leave the same stamp
    now = (folder / "a").stat()
    (folder / "a").write_text("2")
    forged = dataclasses.replace(
        before,
        entries=tuple(
            dataclasses.replace(e, stamp=digests.Stamp.of((folder / "a").stat()))
            for e in before.entries
        ),
    )
    assert now.st_size == 1
    assert digest_tree(folder, forged).digest == by_hand(folder)


def test_reads_nothing_again_after_a_hard_link_was_made(tmp_path, opened):
    folder = fill(tmp_path / "one", a="1", b="2")
    tree = digest_tree(settle(folder))
    os.link(folder / "a", tmp_path / "twin")
    settle(folder)
    opened.clear()
    linked = digests.relinked(tree, folder)
    assert digest_tree(folder, linked).digest == tree.digest
    assert opened == []
    (folder / "a").write_text("9")
    assert digest_tree(folder, linked).digest == by_hand(folder)


def test_reads_a_list_without_inodes_as_one_of_unknown_files(tmp_path, opened):
    folder = fill(tmp_path / "one", a="1")
    sha, mtime = hashlib.sha256(b"1").hexdigest(), (folder / "a").stat().st_mtime_ns
    (tmp_path / "list").write_text(f"{sha} 1 {mtime} a\n")
    known = read_tree(tmp_path / "list")
    assert known.digest == by_hand(folder)
    assert digest_tree(folder, known).digest == known.digest
    assert opened == [str(folder / "a")]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: (f / "x").symlink_to("/nowhere.wav"), "x: a link that leads nowhere"),
        (lambda f: (f / "x").symlink_to("x"), "x: a link that leads nowhere"),
        (lambda f: (f / "x").symlink_to(".."), "x: a link to a folder it lies in"),
        (lambda f: os.mkfifo(f / "x"), "x: is a pipe, not a file"),
        (lambda f: (f / "x").symlink_to("/dev/zero"), "x: is a device, not a file"),
    ],
)
def test_names_what_cannot_be_read_as_a_file(tmp_path, make, said):
    folder = fill(tmp_path / "set" / "dog", a="1")
    make(folder)
    with pytest.raises(DataError, match=said):
        digest_tree(tmp_path / "set")


def test_digests_a_folder_deeper_than_the_stack(tmp_path):
    depth, here = 1500, os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("f", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        (only,) = digest_tree(tmp_path).entries
        assert only.path == "d/" * depth + "f"
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_damaged_list_is_as_good_as_none(tmp_path):
    for text in ("x", "a b c d\n", "\0", "sha 1\n"):
        (tmp_path / "list").write_text(text)
        assert read_tree(tmp_path / "list") is None
    assert read_tree(tmp_path / "absent") is None
    assert read_tree(tmp_path / "list" / "below") is None


def test_parts_of_a_text_are_kept_apart():
    assert digest_text("a", "b") != digest_text("ab")
    assert digest_text("a", "b") != digest_text("", "ab")
    assert digest_text("ab") == digest_text("ab")
