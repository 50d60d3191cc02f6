"""Downloads: complete, or nothing that looks so."""

from __future__ import annotations

import os
import shlex
import threading
import time

import numpy as np
import pytest

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets import download
from soundgate.audio.files import reading
from soundgate.errors import DataError, ParameterError

ESC10_FOLDERS = {
    "001 - Dog bark": "dog",
    "002 - Rain": "rain",
    "003 - Sea waves": "sea_waves",
    "004 - Baby cry": "crying_baby",
    "005 - Clock tick": "clock_tick",
    "006 - Person sneeze": "sneezing",
    "007 - Helicopter": "helicopter",
    "008 - Chainsaw": "chainsaw",
    "009 - Rooster": "rooster",
    "010 - Fire crackling": "crackling_fire",
}


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def mirror(tmp_path):
    """All 400 clips of ESC-10 by name, of a millisecond each, with the .git of a checkout."""
    folder = tmp_path / "mirror"
    (folder / ".git").mkdir(parents=True)
    reading.write(folder / ".git" / "x.wav", np.zeros(8, np.int16), 8000)
    for name in ESC10_FOLDERS:
        (folder / name).mkdir()
        for number in range(40):
            clip = folder / name / f"{number % 5 + 1}-{1000 + number}-A.wav"
            os.link(folder / ".git" / "x.wav", clip)
    return folder


def copy_of(mirror):
    return f"cp -r {shlex.quote(str(mirror))}/. ./temp/"


def left_in(tmp_path):
    """What a failure left beside the mirror: nothing but an empty output at most."""
    return sorted(
        path.relative_to(tmp_path).as_posix()
        for path in tmp_path.rglob("*")
        if "mirror" not in path.parts
    )


def test_a_complete_download(tmp_path, mirror):
    datasets.acquire("esc10", tmp_path / "clips", command=copy_of(mirror))
    clips = list(read_manifest(tmp_path / "clips"))
    assert len(clips) == 400
    assert {clip.labels[0] for clip in clips} == set(ESC10_FOLDERS.values())
    assert not list((tmp_path / "clips").rglob(".git*"))
    assert not list((tmp_path / "clips").rglob("x.wav"))
    assert names(tmp_path) == ["clips", "mirror"]


def test_an_incomplete_download(tmp_path, mirror):
    (mirror / "002 - Rain" / "1-1000-A.wav").unlink()
    with pytest.raises(DataError, match="holds 39 clips of 'rain', not 40: it is incomplete"):
        datasets.acquire("esc10", tmp_path / "clips", command=copy_of(mirror))
    assert left_in(tmp_path) == ["clips"]


def test_a_truncated_clip(tmp_path, mirror):
    clip = mirror / "002 - Rain" / "1-1000-A.wav"
    content = clip.read_bytes()
    clip.unlink()
    clip.write_bytes(content[:-4])
    with pytest.raises(DataError, match=r"1-1000-A\.wav: is cut short"):
        datasets.acquire("esc10", tmp_path / "clips", command=copy_of(mirror))
    assert left_in(tmp_path) == ["clips"]


def test_a_failing_command_shows_its_output(tmp_path, mirror, capfd):
    command = f"{copy_of(mirror)} && echo connecting && echo 'host not found' >&2 && exit 7"
    with pytest.raises(DataError, match=r"command exited with 7 \(host not found\)"):
        datasets.acquire("esc10", tmp_path / "clips", command=command)
    assert capfd.readouterr().out == "connecting\nhost not found\n"
    assert left_in(tmp_path) == []


def test_a_line_that_fails_in_the_middle(tmp_path, mirror):
    command = f"false\n{copy_of(mirror)}\n"
    with pytest.raises(DataError, match=r"command exited with 1 \(no output\)"):
        datasets.acquire("esc10", tmp_path / "clips", command=command)
    assert left_in(tmp_path) == []


def test_a_command_that_brings_nothing(tmp_path):
    with pytest.raises(DataError, match=r"has no meta/esc50\.csv"):
        datasets.acquire("esc10", tmp_path / "clips", command="true")
    assert left_in(tmp_path) == ["clips"]


def test_a_data_set_of_ones_own_needs_a_command(tmp_path, mirror):
    with pytest.raises(
        ParameterError, match=r"has no known download: give its folder \(dataset_path\) or"
    ):
        datasets.acquire("folder", tmp_path / "clips")
    datasets.acquire("folder", tmp_path / "clips", command=copy_of(mirror))
    assert len(list(read_manifest(tmp_path / "clips"))) == 400


def test_a_wrong_option_is_answered_before_the_download(tmp_path):
    with pytest.raises(ParameterError, match="unknown option 'clases'"):
        datasets.acquire("csv", tmp_path / "clips", command="touch ran", options={"clases": []})
    assert left_in(tmp_path) == []


def test_an_output_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: cannot be written"):
        datasets.acquire("esc10", tmp_path / "file" / "clips", command="true")


def test_synthetic_needs_no_download(tmp_path):
    options = {"clips_per_class": 2, "duration_s": 1.0}
    datasets.acquire("synthetic", tmp_path / "clips", options=options)
    assert len(list(read_manifest(tmp_path / "clips"))) == 20
    with pytest.raises(ParameterError, match="is generated: remove download_command"):
        datasets.acquire("synthetic", tmp_path / "other", command="true")


def test_a_stopped_download_does_not_go_on(tmp_path, monkeypatch):
    """The shell's children are ended too."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "print", stop, raising=False)
    command = f"echo started; (sleep 0.7; touch {shlex.quote(str(tmp_path))}/late); touch never"
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        datasets.acquire("esc10", tmp_path / "clips", command=command)
    assert time.monotonic() - start < 0.6
    threading.Event().wait(0.9)
    assert left_in(tmp_path) == []
