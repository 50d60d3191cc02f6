"""HDF5 files of SEC_pipeline, as its own code writes them: float64, doubled rows."""

import h5py
import numpy as np
import pytest
import soundfile

from soundgate.audio.datasets.base import Source
from soundgate.audio.datasets.folder import Options, list_clips
from soundgate.audio.embedding.importing import import_files
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.errors import DataError

ROW = np.dtype(
    [
        ("ID", "S100"),
        ("embeddings", "f8", (4,)),
        ("spectrograms", "f8", (2, 3)),
        ("track_names", "S100"),
        ("subclasses", "S100"),
    ]
)


def write_tracks(path, class_name, tracks):
    text = h5py.string_dtype("utf-8")
    kind = np.dtype([("subclass", text), ("track_name", text), ("hdf5_index", "i4")])
    with h5py.File(path, "w") as file:
        file.attrs.update({"audio_format": "wav", "class": class_name, "sample_rate": 51200})
        audio = file.create_dataset("audio_wav", (len(tracks),), h5py.vlen_dtype(np.float32))
        about = file.create_dataset("metadata_wav", (len(tracks),), kind)
        for n, (subclass, name, samples) in enumerate(tracks):
            audio[n], about[n] = samples, (subclass, name, n)


def write_embeddings(path, split, ids, vectors):
    with h5py.File(path, "w") as file:
        file.attrs.update({"split": split, "class": "Birds", "sample_rate": 52100})
        file.attrs.update({"cut_secs": 7, "noise_perc": 0.3})
        rows = np.zeros(len(ids), ROW)
        rows["ID"], rows["embeddings"] = ids, vectors
        rows["track_names"], rows["subclasses"] = b"a.wav", b"owl"
        file.create_dataset("embedding_dataset", data=rows, maxshape=(None,))


def test_tracks_become_a_corpus_with_their_samples_and_rate(tmp_path):
    random = np.random.default_rng(0)
    tracks = [
        ("owl", "night.wav", random.normal(0, 0.1, 900).astype(np.float32)),
        ("owl", "night.wav", random.normal(0, 0.1, 500).astype(np.float32)),
        ("", "day", random.normal(0, 2.0, 700).astype(np.float32)),
    ]
    write_tracks(tmp_path / "Birds_wav_dataset.h5", "Birds", tracks)
    corpus = tmp_path / "corpus"
    said = list(import_files([tmp_path / "Birds_wav_dataset.h5"], corpus, "clap-2023"))
    assert said == ["Birds_wav_dataset.h5: 3 tracks"]
    for path, (_, _, samples) in zip(
        ("Birds/owl/night.wav", "Birds/owl/night_1.wav", "Birds/day.wav"), tracks, strict=True
    ):
        read, rate_hz = soundfile.read(corpus / path, dtype="float32")
        assert rate_hz == 51200
        assert np.array_equal(read, samples)
    listed = list(list_clips(Source(corpus, None, None), Options()))
    assert {clip.labels for clip in listed} == {("Birds",)}


def test_embeddings_stand_once_although_files_repeat_them(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(3, 4))
    ids = ["0_0_0_1_0", "0_0_1_1_1", "0_0_0_2_2"]
    write_embeddings(tmp_path / "a.h5", "train", ids + ids[:2], vectors[[0, 1, 2, 0, 1]])
    write_embeddings(tmp_path / "b.h5", "test", ["0_0_0_3_3"], vectors[:1])
    said = list(import_files([tmp_path], tmp_path / "made", "clap-2023"))
    assert said == [
        "4 embeddings of 1 classes; 2 rows stood there again",
        "leakage: 1 of 1 tracks lie in several splits",
    ]
    read = read_embeddings(tmp_path / "made")
    by_number = {each.number: n for n, each in enumerate(read.segments("train"))}
    found = read.matrix("train")[[by_number[n] for n in range(3)]]
    assert np.array_equal(found, vectors.astype(np.float32))
    assert [each.round for each in read.segments("test")] == [3]


def test_rows_of_one_id_that_differ_are_refused(tmp_path):
    vectors = np.eye(4)[:2]
    write_embeddings(tmp_path / "a.h5", "train", ["0_0_0_1_0", "0_0_0_1_0"], vectors)
    with pytest.raises(DataError, match="another row of 0_0_0_1_0 of Birds in train"):
        list(import_files([tmp_path], tmp_path / "made", "clap-2023"))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [("a.h5", b"text", "is no HDF5 file"), ("a.txt", b"", "is no HDF5 file")],
)
def test_what_is_no_such_file_is_named(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=problem):
        list(import_files([tmp_path / name], tmp_path / "made", "x"))
