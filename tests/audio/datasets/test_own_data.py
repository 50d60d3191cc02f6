"""Data sets of one's own: a folder for each class, or a table of labels."""

from __future__ import annotations

import shutil
import unicodedata

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
    path.parent.mkdir(exist_ok=True)
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
        ("", "no column filename or file or path or fname in the header"),
        (
            "name,category\n",
            ":1: no column filename or file or path or fname in the header (name, category)",
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


def splits_of(clips):
    return {clip.path.removeprefix("audio/"): (clip.labels[0], clip.split) for clip in clips}


def set_of(root, audio, *paths):
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        samples = np.full(8000, number + 1, np.int16)
        reading.write(root / path, samples, 8000)


def test_folders_named_like_splits_are_the_split(tmp_path, audio):
    root = tmp_path / "set"
    classes = ("dog/a.wav", "dog/b.wav", "rain/a.wav", "rain/b.wav")
    set_of(
        root, audio, *(f"{split}/{path}" for split in ("Train", "val", "test") for path in classes)
    )
    found = splits_of(listed(tmp_path, "folder", Source(root)))
    assert found["Train/dog/a.wav"] == ("dog", "training")
    assert found["val/rain/b.wav"] == ("rain", "validation")
    assert found["test/dog/b.wav"] == ("dog", "test")
    assert len(found) == 12


def test_one_class_may_be_called_like_a_split(tmp_path, audio):
    root = tmp_path / "set"
    set_of(root, audio, "train/a.wav", "train/b.wav", "bus/a.wav", "bus/b.wav")
    found = splits_of(listed(tmp_path, "folder", Source(root)))
    assert found["train/a.wav"] == ("train", None)
    both = tmp_path / "both"
    set_of(both, audio, "train/a.wav", "train/b.wav", "test/a.wav", "test/b.wav")
    datasets.prepare(
        "folder", [Source(both)], tmp_path / "named", options={"classes": ("train", "test")}
    )
    assert splits_of(read_manifest(tmp_path / "named"))["test/a.wav"] == ("test", None)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("train/dog/a.wav", "train/rain/a.wav", "test/dog/a.wav"), "has the class folder 'rain'"),
        (("train/dog/a.wav", "test/dog/a.wav", "extra/a.wav"), "but extra stands beside them"),
        (("train/a.wav", "test/a.wav"), "is not in a class folder"),
    ],
)
def test_folders_half_like_splits_are_refused(tmp_path, audio, paths, expected):
    root = tmp_path / "set"
    set_of(root, audio, *paths)
    with pytest.raises(DataError) as caught:
        listed(tmp_path, "folder", Source(root))
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'filename, category\na.wav, "dog"\nb.wav, "dog"\nc.wav, "rain"\n',
        '"filename", "category"\n"a.wav", "dog"\n"b.wav" , "dog" \n"c.wav" ,"rain"\n',
        "filename,category\na.wav,dog\u200b\nb.wav,\ufeffdog\nc.wav,\u00a0rain\n",
    ],
)
def test_blanks_around_quotes_and_invisible_ends_are_no_part_of_a_label(tmp_path, audio, text):
    whole = text + "ä 犬.wav,rain\n"
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, whole)))
    assert [clip.labels for clip in clips] == [("dog",), ("dog",), ("rain",), ("rain",)]


def test_a_quoted_cell_keeps_what_is_inside(tmp_path, audio):
    text = 'filename,category\na.wav,"dog , rain"\nb.wav,"rain;dog"\n'
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text)))
    assert [clip.labels for clip in clips] == [("dog", "rain"), ("rain", "dog")]


def test_columns_of_any_name(tmp_path, audio):
    text = "clip,mids,tags\na.wav,/m/1,dog\nb.wav,/m/1,dog\n"
    columns = {"file": "Clip", "labels": "tags"}
    source = Source(audio, table(tmp_path, text))
    assert [c.labels for c in listed(tmp_path, "csv", source, columns=columns)] == [("dog",)] * 2


def test_decimal_commas_are_times(tmp_path, audio):
    text = "filename;category;start_s;end_s\na.wav;dog;0,25;0,5\na.wav;dog;0,5;1\n"
    clips = listed(tmp_path, "csv", Source(audio, table(tmp_path, text)))
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(0.25, 0.5), (0.5, 1.0)]


@pytest.mark.parametrize("disk", ["NFC", "NFD"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_either_unicode_form_are_found(tmp_path, form, disk):
    folder = tmp_path / "set"
    names = [unicodedata.normalize(disk, f"gänse/ö{n}.wav") for n in range(2)]
    set_of(folder, None, *names)
    rows = "".join(f"{unicodedata.normalize(form, name)},goose\n" for name in names)
    clips = listed(tmp_path, "csv", Source(folder, table(tmp_path, f"file,label\n{rows}")))
    assert [clip.path for clip in clips] == [f"audio/{name}" for name in names]


def test_back_slashes_are_folders(tmp_path):
    folder = tmp_path / "set"
    set_of(folder, None, "dogs/a.wav", "dogs/b.wav")
    text = "file,label\ndogs\\a.wav,dog\n.\\dogs\\b.wav,dog\n"
    clips = listed(tmp_path, "csv", Source(folder, table(tmp_path, text)))
    assert [clip.path for clip in clips] == ["audio/dogs/a.wav", "audio/dogs/b.wav"]
    for outside in ("C:\\data\\a.wav", "..\\set\\dogs\\a.wav", "\\\\host\\a.wav"):
        said = refused(tmp_path / "no", folder, f"file,label\n{outside},dog\n")
        assert "is outside" in said


@pytest.mark.parametrize("label", ["dog\nrain", "dog\x1b[31m", "\u200b", "a\u2028b", "a\x85b"])
def test_class_names_with_control_characters_are_refused(tmp_path, audio, label):
    said = refused(tmp_path, audio, f'filename,category\na.wav,"{label}"\nb.wav,dog\n')
    assert said.isprintable()
    folder = tmp_path / "set"
    set_of(folder, audio, f"{label}/a.wav", "dog/a.wav")
    with pytest.raises(DataError, match="name the class"):
        listed(tmp_path, "folder", Source(folder))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\nb.wav", r"dog/a\nb.wav: its name holds a control character: rename it"),
        ("a\x1b[2J.wav", r"dog/a\x1b[2J.wav: its name holds a control character: rename it"),
        ("a\udcff.wav", r"dog/a\udcff.wav: its name is not valid UTF-8: rename it"),
        ("a\\b.wav", "dog/a\\b.wav: its name holds a back-slash, which separates folders"),
    ],
)
def test_names_that_no_manifest_can_hold_are_refused_in_one_line(tmp_path, audio, name, said):
    folder = tmp_path / "set"
    set_of(folder, audio, "dog/b.wav", "rain/a.wav")
    shutil.copy(audio / "a.wav", folder / "dog" / name)
    with pytest.raises(DataError) as caught:
        listed(tmp_path, "folder", Source(folder))
    assert said in str(caught.value)
    assert str(caught.value).isprintable()
