from __future__ import annotations

import io
import tarfile

import pytest

from soundgate.errors import DataError
from soundgate.programs.archives import unpacked
from soundgate.step import InputPath, InputPaths, OutputPath, run


@pytest.fixture
def archive(tmp_path):
    """What a training job leaves: two folders in one archive."""
    path = tmp_path / "job" / "model.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as file:
        for name, text in (("model/weights.txt", "0.5"), ("metrics/epochs/1.txt", "été")):
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def test_a_member_is_a_folder(archive):
    assert (unpacked(archive / "model") / "weights.txt").read_text() == "0.5"
    assert (unpacked(archive / "metrics") / "epochs" / "1.txt").read_text("utf-8") == "été"
    assert (unpacked(archive / "model/weights.txt")).read_text() == "0.5"
    assert sorted(p.name for p in archive.parent.iterdir()) == [
        ".model.tar.gz.unpacked",
        "model.tar.gz",
    ]


def test_other_paths_are_left_alone(archive, tmp_path):
    folder = tmp_path / "odd.tar.gz" / "model"  # a folder may be called like that
    folder.mkdir(parents=True)
    for path in (archive, archive.parent, folder, tmp_path / "absent" / "model"):
        assert unpacked(path) == path


def test_a_step_is_handed_the_folders(archive, tmp_path):
    def step(model: InputPath, both: InputPaths, out: OutputPath) -> None:
        texts = [(model / "weights.txt").read_text(), *sorted(path.name for path in both)]
        (out / "seen.txt").write_text(" ".join(texts))

    words = ["--model", archive / "model", "--both", archive / "model", archive / "metrics"]
    assert run(step, [*map(str, words), "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "seen.txt").read_text() == "0.5 metrics model"


def test_a_damaged_archive_is_named(archive):
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"model\.tar\.gz: cannot be unpacked"):
        unpacked(archive / "model")
    assert [p.name for p in archive.parent.iterdir()] == ["model.tar.gz"]


def test_a_member_that_is_not_there_is_named(archive):
    with pytest.raises(DataError, match=r"model\.tar\.gz: contains no weights$"):
        unpacked(archive / "weights")


def test_nothing_is_written_outside(tmp_path):
    path = tmp_path / "in" / "model.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo("../../evil.txt")
        file.addfile(member, io.BytesIO())
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpacked(path / "model")
    assert not list(tmp_path.rglob("evil.txt"))
