from __future__ import annotations

import shutil
import subprocess
import zipfile

import numpy as np
import pytest
from fsd50k_layout import split_zip

from soundgate.audio.files import split_archive
from soundgate.errors import DataError


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Files of odd sizes, some compressible; together 360 kB."""
    root = tmp_path_factory.mktemp("tree") / "FSD50K.dev_audio"
    rng = np.random.default_rng(0)
    for number in range(30):
        folder = root / f"d{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, 11_000 + 37 * number, np.uint8).tobytes()
        (folder / f"{number}.wav").write_bytes(noise + b"\0" * 5_000)
    (root / "empty.wav").write_bytes(b"")
    return root


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("size", [65536, 10_007, 1_000, 401])
def test_parts_of_any_size_give_back_every_byte(tree, tmp_path, size):
    archive = tmp_path / "x.zip"
    # At 401 bytes headers, data and the index itself are cut by the ends of parts.
    assert split_zip(tree, archive, size) > 4
    split_archive.extract(archive, tmp_path / "out")
    assert contents(tmp_path / "out" / tree.name) == contents(tree)


@pytest.mark.skipif(shutil.which("zip") is None, reason="Info-ZIP's zip is not installed")
@pytest.mark.parametrize("more", [[], ["-0"], ["-fz"]])
def test_parts_that_info_zip_wrote(tree, tmp_path, more):
    archive = tmp_path / "x.zip"
    # -0 stores without compressing, -fz writes 64-bit fields.
    command = ["zip", "-q", "-r", "-s", "64k", *more, str(archive), tree.name]
    subprocess.run(command, cwd=tree.parent, check=True)
    assert archive.with_suffix(".z05").exists()
    split_archive.extract(archive, tmp_path / "out", remove=True)
    assert contents(tmp_path / "out" / tree.name) == contents(tree)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_archive_in_one_piece(tree, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("a/b.txt", "c")
        file.comment = b"with a comment"
    split_archive.extract(tmp_path / "x.zip", tmp_path / "out")
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "c"


def test_a_missing_part_is_named(tree, tmp_path):
    split_zip(tree, tmp_path / "x.zip", 65536)
    (tmp_path / "x.z03").unlink()
    with pytest.raises(DataError, match=r"x\.z03: is missing: x\.zip has \d parts"):
        split_archive.extract(tmp_path / "x.zip", tmp_path / "out")


def test_damage_is_found(tree, tmp_path):
    split_zip(tree, tmp_path / "x.zip", 65536)
    part = tmp_path / "x.z02"
    broken = bytearray(part.read_bytes())
    broken[30_000] ^= 1
    part.write_bytes(broken)
    with pytest.raises(DataError, match=r"is damaged .*download all its parts again"):
        split_archive.extract(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize("cut", [1, 30, 500])
def test_an_archive_cut_short_is_no_archive(tree, tmp_path, cut):
    split_zip(tree, tmp_path / "x.zip", 65536)
    data = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(data[:-cut])
    with pytest.raises(DataError, match=r"x\.zip: is"):
        split_archive.extract(tmp_path / "x.zip", tmp_path / "out")


def test_a_part_cut_short_is_damage(tree, tmp_path):
    split_zip(tree, tmp_path / "x.zip", 65536)
    part = tmp_path / "x.z01"
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(DataError, match="is damaged"):
        split_archive.extract(tmp_path / "x.zip", tmp_path / "out")


# In the end record the part that the index begins in; in an entry of it the part of its file.
@pytest.mark.parametrize(("record", "field"), [(b"PK\5\6", 6), (b"PK\1\2", 34)])
def test_a_part_that_is_not_there_is_damage(tree, tmp_path, record, field):
    split_zip(tree, tmp_path / "x.zip", 65536)
    data = bytearray((tmp_path / "x.zip").read_bytes())
    at = data.rindex(record) + field
    data[at : at + 2] = b"\x77\0"
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"it names part 120 of \d"):
        split_archive.extract(tmp_path / "x.zip", tmp_path / "out")


def test_nothing_is_written_outside_of_the_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("../../evil.txt", "x")
    split_archive.extract(tmp_path / "x.zip", tmp_path / "a" / "b")
    assert not list(tmp_path.glob("evil*"))
    assert not list((tmp_path / "a").glob("evil*"))
