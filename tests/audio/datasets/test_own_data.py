"""Data sets of one's own: a folder for each class, or a table of labels."""

from __future__ import annotations

import numpy as np
import pytest

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets.base import Source
from soundgate.audio.files import reading
from soundgate.errors import DataError, ParameterError


@pytest.fixture
def audio(tmp_path):
    """Six clips of one second in one folder."""
    folder = tmp_path / "audio in"
    folder.mkdir()
    for name in ("a.wav", "b.wav", "c.wav", "ä 犬.wav", "1-77-A-0.wav", "1-77-B-0.wav"):
        reading.write(folder / name, np.zeros(8000, np.int16), 8000)
    return folder


def listed(tmp_path, name, *sources, **options):
    datasets.prepare(name, sources, tmp_path / "clips", options=options)
    return list(read_manifest(tmp_path / "clips"))


def table(tmp_path, text, name="labels.csv", **how):
    path = tmp_path / name
    path.write_text(text, **({"encoding": "utf-8"} | how))
    return path


def refused(tmp_path, audio, text, error=DataError, **options):
    """What is said about a table."""
    with pytest.raises(error) as caught:
        listed(tmp_path, "csv", Source(audio, table(tmp_path, text)), **options)
    assert not list((tmp_path / "clips").rglob("*"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folders_are_classes(tmp_path, audio):
    root = tmp_path / "set"
    for place in ("dog", "dog/puppies", "rain", ".hidden"):
        (root / place).mkdir(parents=True)
    (audio / "a.wav").rename(root / "dog" / "A.WAV")
    (audio / "1-77-A-0.wav").rename(root / "dog" / "puppies" / "1-77-A-0.wav")
    (audio / "b.wav").rename(root / "rain" / "b.wav")
    (audio / "ä 犬.wav").rename(root / "rain" / "ä 犬.wav")
    (audio / "c.wav").rename(root / ".hidden" / "c.wav")
    (root / "README.txt").write_text("about")
    (root / "rain" / "notes.txt").write_text("about")
    clips = listed(tmp_path, "custom", Source(root))
    assert [(clip.path, clip.labels, clip.source, clip.fold) for clip in clips] == [
        ("audio/dog/A.WAV", ("dog",), None, None),
        ("audio/dog/puppies/1-77-A-0.wav", ("dog",), "77", None),
        ("audio/rain/b.wav", ("rain",), None, None),
        ("audio/rain/ä 犬.wav", ("rain",), None, None),
    ]


def test_wrong_folders(tmp_path, audio):
    with pytest.raises(DataError, match="is not in a class folder"):
        listed(tmp_path, "folder", Source(audio))
    root = tmp_path / "set"
    (root / "dog").mkdir(parents=True)
    with pytest.raises(DataError, match="dog: class folder without audio"):
        listed(tmp_path, "folder", Source(root))
    (audio / "a.wav").rename(root / "dog" / "a.wav")
    with pytest.raises(DataError, match="unknown class 'dog'; did you mean 'dogs'"):
        listed(tmp_path, "folder", Source(root), classes=["dogs", "rain"])
    (root / "dog" / "a.wav").unlink()
    (root / "dog").rmdir()
    with pytest.raises(DataError, match="set: contains no clips of folder"):
        listed(tmp_path, "folder", Source(root))


def test_every_column(tmp_path, audio):
    text = (
        "\ufefffold,Path,unknown,Labels,split,start_s,end_s,source\n"
        "2,a.wav,x,dog,train,0.25,0.75,r1\n"
        '3,a.wav,,"rain, dog",val,0.75,,r1\n'
        "\n"
        ',ä 犬.wav,"1,5",rain;wind;rain,test,,,\n'
        ",1-77-A-0.wav,,wind,,,,\n"
    )
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text)))
    assert [(c.path, c.labels, c.fold, c.split, c.start_s, c.end_s, c.source) for c in clips] == [
        ("audio/1-77-A-0.wav", ("wind",), None, None, None, None, "77"),
        ("audio/a.wav", ("dog",), 2, "training", 0.25, 0.75, "r1"),
        ("audio/a.wav", ("rain", "dog"), 3, "validation", 0.75, None, "r1"),
        ("audio/ä 犬.wav", ("rain", "wind"), None, "test", None, None, None),
    ]


@pytest.mark.parametrize("file_column", ["filename", "file", "path"])
@pytest.mark.parametrize("label_column", ["category", "label", "labels", "class"])
def test_names_of_columns(tmp_path, audio, file_column, label_column):
    text = f"{label_column},{file_column}\ndog,a.wav\ndog,b.wav\n"
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text)))
    assert [(clip.path, clip.labels) for clip in clips] == [
        ("audio/a.wav", ("dog",)),
        ("audio/b.wav", ("dog",)),
    ]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters(tmp_path, audio, delimiter):
    rows = ["file|label", "a.wav|dog", "b.wav|dog,rain", "c.wav|rain", ""]
    text = "\n".join(rows).replace("|", delimiter)
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text)))
    assert [clip.labels for clip in clips] == [("dog",), ("dog", "rain"), ("rain",)]


def test_names_without_extension(tmp_path, audio):
    text = "filename,category\na,dog\nb.wav,dog\n"
    source = Source(audio, table(tmp_path, text))
    with pytest.raises(DataError, match=r"a is not in .*set file_extension"):
        listed(tmp_path, "csv", source)
    for extension in (".wav", "wav"):
        clips = listed(tmp_path / extension, "csv", source, file_extension=extension)
        assert [clip.path for clip in clips] == ["audio/a.wav", "audio/b.wav"]


def test_the_only_table_is_found(tmp_path, audio):
    text = "filename,category\na.wav,dog\nb.wav,dog\n"
    table(audio, text)
    assert len(listed(tmp_path, "csv", Source(audio))) == 2
    assert len(listed(tmp_path / "both", "csv", Source(audio, audio))) == 2
    table(audio, text, "second.csv")
    with pytest.raises(
        DataError, match=r"expected exactly one .csv file, found labels.csv, second.csv"
    ):
        listed(tmp_path / "again", "csv", Source(audio))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no column filename or file or path in the header"),
        (
            "name,category\n",
            ":1: no column filename or file or path in the header (name, category)",
        ),
        ("filename,target\n", ":1: no column category or label"),
        ("filename,label,class\n", ":1: columns label and class have the same meaning"),
        ("filename,label\na.wav\n", ":2: 1 cells for 2 columns"),
        ("filename,label\na.wav,dog\nb.wav,dog,rain\n", ":3: 3 cells for 2 columns"),
        ("filename,label\na.wav,dog\nz.wav,dog\n", ":3: z.wav is not in"),
        ("filename,label\na.wav,\n", ":2: empty label"),
        ('filename,label\na.wav,"dog,"\n', ":2: empty label in 'dog,'"),
        ("filename,label\n,dog\n", ":2: no file name"),
        ("filename,label\na.wav,dog\nb.wav,dog\na.wav,rain\n", ":4: a.wav is already listed at"),
        ("filename,label\na.wav,dog\n./a.wav,dog\n", ":3: ./a.wav is already listed at"),
        ("filename,label\n/etc/a.wav,dog\n", ":2: '/etc/a.wav' is outside"),
        ("filename,label\n../a.wav,dog\n", ":2: '../a.wav' is outside"),
        ("filename,label,fold\na.wav,dog,zero\n", ":2: fold 'zero' is not a whole number"),
        ("filename,label,fold\na.wav,dog,0\n", ":2: fold '0' is not a whole number"),
        (
            "filename,label,split\na.wav,dog,tset\n",
            ":2: split 'tset' is unknown; did you mean 'test'",
        ),
        ("filename,label,start_s\na.wav,dog,x\n", ":2: start_s 'x'"),
        ("filename,label,start_s,end_s\na.wav,dog,2,1\n", ":2: end_s 1 is not after start_s 2"),
        ("filename,label,end_s\na.wav,dog,nan\n", ":2: end_s nan is not after"),
        ('filename,label\na.wav,"dog\n', "is not CSV"),
        ("filename,label\n", "contains no clips of csv"),
        (
            "filename,label,end_s\na.wav,dog,0.5\nb.wav,dog,1.5\n",
            "end_s 1.5 is after the end of the file at 1 s",
        ),
        (
            "filename,label\na.wav,dog\nb.wav,dog\nc.wav,rain\n",
            "audio/c.wav: is the only clip of class 'rain'",
        ),
    ],
)
def test_wrong_tables(tmp_path, audio, text, expected):
    assert expected in refused(tmp_path, audio, text)


def test_classes_that_are_not_allowed(tmp_path, audio):
    text = "filename,label\na.wav,dog\nb.wav,rian\n"
    said = refused(tmp_path, audio, text, classes=["dog", "rain"])
    assert said.endswith("labels.csv:3: unknown class 'rian'; did you mean 'rain'?")


def test_wrong_options(tmp_path, audio):
    text = "filename,label\na.wav,dog\n"
    assert "unknown option 'clases'; did you mean 'classes'" in refused(
        tmp_path, audio, text, ParameterError, clases=["dog"]
    )
    assert "'dog' is not a list" in refused(tmp_path, audio, text, ParameterError, classes="dog")
    assert "file_extension: 1" in refused(tmp_path, audio, text, ParameterError, file_extension=1)


def test_a_table_that_is_not_utf_8(tmp_path, audio):
    path = table(tmp_path, "filename,label\nä.wav,dog\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"labels\.csv: is not UTF-8 text"):
        listed(tmp_path, "csv", Source(audio, path))
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        listed(tmp_path, "csv", Source(audio, tmp_path / "none.csv"))


def test_a_single_clip_is_enough_to_test_with(tmp_path, audio):
    text = "filename,label\na.wav,dog\nb.wav,rain\n"
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text), "test"))
    assert [clip.split for clip in clips] == ["test", "test"]
