"""The index of a corpus, made of names of files or of annotation tables."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from soundgate.audio.datasets.corpora.indexing.building import make_index
from soundgate.audio.datasets.corpora.indexing.names import CallName, call_name, year_of
from soundgate.audio.files.reading import write
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.cli import main
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TAPE = "388_20250204_cut.wav"
CLIPS = (f"{TAPE}_0_2.wav", f"{TAPE}_2_4.wav")
CALLS = (f"{CLIPS[0]}_0.25_0.75Q2.wav", f"{CLIPS[1]}_1_1.5Q3.wav", f"{CLIPS[1]}_0.5_0.9_hw_q1.wav")


def sound(folder: Path, *paths: str, seconds: float = 2.0, rate_hz: int = 8000) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write(folder / path, np.zeros(int(seconds * rate_hz), "float32"), rate_hz)


@pytest.fixture
def alpacas(tmp_path: Path) -> Path:
    """A corpus in the folders of its users."""
    folder = tmp_path / "alpacas"
    sound(folder, f"raw_recordings/{TAPE}", seconds=4)
    sound(folder, *(f"labelled_recordings/{name}" for name in CLIPS))
    sound(folder, *(f"segmented_wavs/{name}" for name in CALLS), seconds=0.5)
    sound(folder, "labelled_recordings/20250205_193000 windy.wav")
    return folder


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_names_of_files_tell_times_on_the_clip_and_on_the_tape(alpacas):
    index = make_index(alpacas)
    told = [
        (e.clip_path[-11:], e.clip_start_s, e.raw_start_s, e.raw_end_s, e.quality)
        for e in index.entries
    ]
    assert told == [
        ("wav_0_2.wav", 0.25, 0.25, 0.75, 2),
        ("wav_2_4.wav", 0.5, 2.5, 2.9, 1),
        ("wav_2_4.wav", 1.0, 3.0, 3.5, 3),
    ]
    assert {e.raw_path for e in index.entries} == {f"raw_recordings/{TAPE}"}
    assert [r.path[20:] for r in index.recordings] == ["20250205_193000 windy.wav", *CLIPS]
    assert len({r.tape for r in index.recordings}) == 2
    assert index.meta.n_hums == 3
    assert index.distribution.per_raw[str(index.entries[0].raw_uid)].qualities == {
        "1": 1,
        "2": 1,
        "3": 1,
    }


def test_the_command_renames_nothing_and_writes_equal_bytes_again(alpacas, capsys):
    before = names(alpacas)
    assert main(["build-corpus-index", str(alpacas)]) == 0
    assert "3 calls in 3 recordings of 2 tapes, 0.1 minutes; 1 without calls" in (
        capsys.readouterr().out
    )
    assert names(alpacas) == before | {"corpus_index.json"}
    first = (alpacas / "corpus_index.json").read_bytes()
    assert main(["build-corpus-index", str(alpacas)]) == 0
    assert (alpacas / "corpus_index.json").read_bytes() == first
    assert read_corpus_index(alpacas) == make_index(alpacas)


def test_malformed_names_are_listed_in_one_error(alpacas):
    sound(alpacas, f"segmented_wavs/{CLIPS[0]}_hum.wav", f"segmented_wavs/{TAPE}_8_9.wav_0_1Q2.wav")
    sound(alpacas, f"segmented_wavs/{CLIPS[0]}_1_2.5Q2.wav")
    with pytest.raises(DataError) as told:
        make_index(alpacas)
    text = str(told.value)
    assert f"{CLIPS[0]}_hum.wav is not called <clip>_<start>_<end>Q<quality>.wav" in text
    assert f"is of {TAPE}_8_9.wav, which is not there" in text
    assert "ends at 2.5 s, but labelled_recordings" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.wav_0_900.wav_12.5_13Q2.wav", CallName("a.wav_0_900.wav", 12.5, 13.0, 2)),
        ("a.wav_12.5_13_h_q4 (loud).wav", CallName("a.wav", 12.5, 13.0, 4)),
        ("a.wav_12.5_13Q.wav", None),
    ],
)
def test_names_of_calls(name, told):
    assert call_name(name) == told


@pytest.mark.parametrize(
    ("tape", "year"),
    [("388_20250204_cut", "2025"), ("m32-19991231-2", "1999"), ("tape_20259904", "0000")],
)
def test_names_of_tapes_tell_the_year(tape, year):
    """Earlier tools had "0000" for every tape."""
    assert year_of(tape) == year


def raven(path: Path, *rows: str) -> None:
    header = "Selection\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"{header}\tAnnotation\tComments", *rows, ""]), "utf-8")


def test_tables_beside_recordings_make_an_index(tmp_path):
    sound(tmp_path, "a.wav", "quiet.wav", "unheard.wav")
    sound(tmp_path, "bats/a2.wav", rate_hz=200_000)
    raven(tmp_path / "a.Table.1.selections.txt", "1\t0.5\t1.25\t900\t3000\thum\tQ2")
    raven(tmp_path / "quiet.selections.txt")
    (tmp_path / "bats/a2.txt").write_text("0.1\t0.2\tsweep\n", "utf-8")
    index = make_index(tmp_path)
    assert [(r.path, r.rate_hz) for r in index.recordings] == [
        ("a.wav", 8000),
        ("bats/a2.wav", 200_000),
        ("quiet.wav", 8000),
    ]
    hum, sweep = index.entries
    assert (hum.label, hum.quality, hum.low_hz, hum.high_hz) == ("hum", 2, 900.0, 3000.0)
    assert (sweep.clip_path, sweep.label, sweep.quality) == ("bats/a2.wav", "sweep", None)
    assert hum.hum_path is None
    assert index.distribution.per_clip[str(sweep.clip_uid)].qualities == {}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["1\t1.5\t2.5\t\t\thum\t"], "a.wav: a call ends at 2.5 s, but a.wav at 2 s"),
        (["1\t1.5\t1.5\t\t\thum\t"], "starts at 1.5 s and ends at 1.5 s: it has no length"),
        (["1\t1.5\t1.2\t\t\thum\t"], "ends at 1.2 s, before it starts at 1.5 s"),
        (["1\t1\t1.5\t\t\thum\t", "1\t1.6\t1.7\t\t\thum\t"], "has selection 1 a second time"),
    ],
)
def test_wrong_tables_are_one_line(tmp_path, rows, told):
    sound(tmp_path, "a.wav")
    raven(tmp_path / "annotations/a.selections.txt", *rows)
    with pytest.raises(DataError, match=told):
        make_index(tmp_path)


def test_a_table_without_times_and_one_of_an_unknown_tape_are_one_line(tmp_path):
    sound(tmp_path, "a.wav")
    (tmp_path / "a.csv").write_text("file,label\na.wav,hum\n", "utf-8")
    with pytest.raises(DataError, match="has no column for start_s"):
        make_index(tmp_path)
    (tmp_path / "a.csv").write_text("file,start_s,end_s,label\nb.wav,0,1,hum\n", "utf-8")
    with pytest.raises(DataError, match=r"name the recording 'b\.wav', which is not there"):
        make_index(tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(DataError, match="holds no annotation tables"):
        make_index(tmp_path)


def test_recordings_of_one_name_in_two_folders_are_two_tapes(tmp_path):
    sound(tmp_path, "monday/a.wav", "tuesday/a.wav")
    for day in ("monday", "tuesday"):
        raven(tmp_path / day / "a.selections.txt", "1\t0.5\t1.25\t\t\thum\t")
    index = make_index(tmp_path)
    assert [r.tape for r in index.recordings] == ["monday/a", "tuesday/a"]
    assert [e.clip_path for e in index.entries] == ["monday/a.wav", "tuesday/a.wav"]


def test_of_a_folder_of_tables_those_named_like_a_recording_count(tmp_path):
    sound(tmp_path / "corpus", "a.wav", "b.wav")
    for name in ("a", "b"):
        raven(tmp_path / "version_2" / f"{name}.selections.txt", "1\t0.5\t1.25\t\t\thum\t")
    (tmp_path / "version_2/changes.csv").write_text("file,start_s,end_s\na.wav,0,1\n")
    index = make_index(tmp_path / "corpus", [tmp_path / "version_2"])
    assert [e.clip_path for e in index.entries] == ["a.wav", "b.wav"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: holds no table that is named like a recording"):
        make_index(tmp_path / "corpus", [tmp_path / "empty"])


def test_indexes_real_recordings(real_data, tmp_path, capsys):
    assert len(make_index(real_data("datasets/spot/ohun_lbh")).entries) == 19
    finches = shutil.copytree(real_data("datasets/spot/bengalese_sober"), tmp_path / "finches")
    with pytest.raises(DataError, match=r"stands in .*selections.txt too; name the tables"):
        make_index(finches)
    tables = sorted(map(str, finches.glob("*.selections.txt")))
    assert main(["build-corpus-index", str(finches), "--annotations", *tables]) == 0
    assert "145 calls in 4 recordings of 4 tapes" in capsys.readouterr().out
