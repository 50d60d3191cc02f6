"""``<type>:<path>``: what each layout says of its clips, and what is refused in one line."""

from __future__ import annotations

import json
import re
import zlib

import numpy as np
import pytest
import soundfile

from pipelines.parameters.tagging_data import TaggingDataParameters
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets.layouts.collection import CollectionPlan, collect
from soundgate.audio.datasets.layouts.declaration import declare
from soundgate.audio.datasets.layouts.irmas import recording_of, tags
from soundgate.audio.datasets.layouts.strings import INFERENCE, Layout, parse
from soundgate.audio.extraction.waveforms import Settings, extract_waveforms
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.errors import DataError, ParameterError
from soundgate.parameters import ConfigFile

RATE_HZ = 8000


def sound(path, seed=None):
    """A short noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32(str(path).encode()) if seed is None else seed
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 800)
    soundfile.write(path, noise, RATE_HZ)


def text(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def gathered(out, *, labels=(), overrides=(), **sides):
    """Collect texts by side, as a pipeline and its task do; the clips by the end of their path."""
    names = {"train": "training", "val": "validation", "test": "test", "predicted": None}
    asked = {
        names[side]: parse(side, texts, labelled=side != "predicted")
        for side, texts in sides.items()
    }
    declared = declare(asked, [str(path) for path in overrides])
    plan = CollectionPlan.model_validate_json(declared.plan(labels))
    inputs = {name: out.parent / path for name, path in declared.files.items()}
    collect(plan, inputs, out)
    clips = list(read_manifest(out, allow_unlabelled=True))
    assert all((out / clip.path).is_file() for clip in clips)
    return {clip.path.removeprefix("audio/"): clip for clip in clips}


@pytest.fixture
def irmas(tmp_path):
    """Two instruments, two tracks each, two excerpts a track; and a test folder."""
    for label, first in (("cel", 1), ("gel", 3)):
        for number in (first, first + 1):
            for take in (1, 2):
                sound(tmp_path / f"train/{label}/[{label}][dru][pop_roc]{number:04d}__{take}.wav")
    for part in (1, 8):
        sound(tmp_path / f"irmas test/Part1/01 - A Title-{part}.wav")
        text(tmp_path / f"irmas test/Part1/01 - A Title-{part}.txt", "gel\t", "cel\t")
    return tmp_path


def test_irmas_training_takes_labels_from_folders_and_columns_from_names(irmas):
    clips = gathered(irmas / "clips", train=[f"irmastrain:{irmas}/train"])
    assert len(clips) == 8
    clip = clips["cel/[cel][dru][pop_roc]0002__1.wav"]
    assert clip.labels == ("cel",)
    assert clip.source == "irmas-0002"
    assert clip.columns == {"instrument": "cel", "drums": "dru", "genre": "pop_roc"}


def test_names_of_irmas_are_read_as_its_authors_write_them():
    assert recording_of("008__[cel][nod][cla]0058__1") == "irmas-0058"
    assert recording_of("[cel][cla]0001__3") == "irmas-0001"
    assert recording_of("a recording") is None
    assert tags("[gac][jaz_blu]0164__2") == {"instrument": "gac", "genre": "jaz_blu"}
    assert tags("008__[gac][nod][cla]0164__2")["drums"] == "nod"


def test_irmas_test_reads_a_label_a_line_and_keeps_parts_together(irmas):
    clips = gathered(irmas / "clips", test=[f"irmastest:{irmas}/irmas test"])
    assert [clip.labels for clip in clips.values()] == [("gel", "cel")] * 2
    assert {clip.source for clip in clips.values()} == {"irmas-test-01 - A Title"}
    assert {clip.split for clip in clips.values()} == {"test"}


def test_an_instrument_that_irmas_lacks_is_refused_unless_asked_for(irmas):
    sound(irmas / "train/drums/x.wav")
    given = {"train": [f"irmastrain:{irmas}/train"]}
    with pytest.raises(DataError, match=r"train/drums: label 'drums' is not one of IRMAS; known"):
        gathered(irmas / "clips", **given)
    assert len(gathered(irmas / "clips", labels=["drums", "cel"], **given)) == 9


def test_a_missing_or_empty_label_file_is_named(irmas):
    path = irmas / "irmas test/Part1/01 - A Title-1.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match=r"Title-1\.txt: names no label"):
        gathered(irmas / "clips", test=[f"irmastest:{irmas}/irmas test"])
    path.write_text("gel\nchello\n")
    with pytest.raises(DataError, match=r"Title-1\.txt:2: label 'chello' is not one"):
        gathered(irmas / "clips", test=[f"irmastest:{irmas}/irmas test"])
    path.unlink()
    with pytest.raises(DataError, match=r"Title-1\.wav: has no 01 - A Title-1\.txt beside it"):
        gathered(irmas / "clips", test=[f"irmastest:{irmas}/irmas test"])


def test_a_table_has_any_labels_and_names_below_the_table_or_the_working_directory(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("tables/near/a.wav", "tables/near/deep/b.wav", "far/[x] c.wav", "other/d.wav"):
        sound(tmp_path / name)
    table = text(
        tmp_path / "tables/labels.csv",
        "File,Bird,rain,source",
        "near/a.wav,1,0,one",
        "near/deep/b,0,0,one",
        "far/[x] c.wav,1,1,",
        f"{tmp_path}/other/d.wav,0,1,",
    )
    clips = gathered(tmp_path / "clips", train=["csv:tables/labels.csv"])
    found = {path.rpartition("/")[2]: clip for path, clip in clips.items()}
    assert {name: clip.labels for name, clip in found.items()} == {
        "a.wav": ("Bird",),
        "b.wav": (),
        "[x] c.wav": ("Bird", "rain"),
        "d.wav": ("rain",),
    }
    assert [found[name].source for name in ("a.wav", "b.wav", "d.wav")] == ["one", "one", None]
    assert all(clip.judged is None for clip in clips.values())
    brought = declare({"training": [Layout("csv", str(table))]}).files
    folders = {name: path for name, path in brought.items() if "audio" in name}
    assert sorted(folders.values()) == [
        str(tmp_path / "other"),
        str(tmp_path / "tables/near"),
        "far",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file,x", "a.wav,2"], ":2: column 'x': '2' is not 0 or 1"),
        (["file,x", "a.wav,"], ":2: column 'x': '' is not 0 or 1"),
        (["file,set,x", "a.wav,A,1"], ":2: column 'set': 'A' is not 0 or 1"),
        (["file,x", "a.wav"], ":2: 1 cells for 2 columns"),
        (["name,x", "a.wav,1"], ":1: no column 'file' in the header"),
        (["file", "a.wav"], ":1: no column of a label"),
        (["file,x,x", "a.wav,1,1"], ":1: column 'x' stands twice"),
        (["file,x", "b.wav,1"], ":2: column 'file': 'b.wav' is neither beside the table nor in"),
        (["file,x", ",1"], ":2: column 'file': is empty"),
        (["file,x", "a.wav,1", "a.wav,0"], ":3: 'a.wav' is already listed at"),
    ],
)
def test_a_wrong_table_is_one_line_with_file_and_column(tmp_path, lines, said):
    sound(tmp_path / "a.wav")
    table = text(tmp_path / "labels.csv", *lines)
    with pytest.raises(DataError, match=re.escape(f"{table}{said}")) as caught:
        gathered(tmp_path / "clips", train=[f"csv:{table}"])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "clips" / "manifest.jsonl").exists()


@pytest.fixture
def openmic(tmp_path):
    folder = tmp_path / "openmic-2018"
    rows = ["000046_1,voice,0.8,3", "000046_1,piano,0.2,3", "000046_2,piano,0.5,4"]
    rows += ["000050_0,voice,0.1,3"]
    table = "openmic-2018-aggregated-labels.csv"
    text(folder / table, "sample_key,instrument,relevance,num_responses", *rows)
    text(folder / "partitions/split01_train.csv", "000046_1", "000046_2")
    text(folder / "partitions/split01_test.csv", "000050_0")
    for key in ("000046_1", "000046_2", "000050_0"):
        sound(folder / f"audio/000/{key}.ogg")
    return folder


def test_openmic_has_probabilities_masks_and_a_split_of_its_own(openmic, tmp_path):
    clips = gathered(tmp_path / "clips", train=[f"openmic:{openmic}"])
    first, second, third = clips.values()
    assert [clip.split for clip in clips.values()] == ["training", "training", "test"]
    assert (first.labels, second.labels, third.labels) == (("voice",), ("piano",), ())
    assert first.judged == {"voice": 0.8, "piano": 0.2}
    assert second.judged == {"piano": 0.5}
    assert first.source == second.source == "openmic-000046"


def test_openmic_brings_the_partition_of_its_side(openmic, tmp_path):
    sides = {"train": [f"openmic:{openmic}"], "test": [f"openmic:{openmic}"]}
    clips = gathered(tmp_path / "clips", **sides)
    assert sorted(clip.split for clip in clips.values()) == ["test", "training", "training"]
    with pytest.raises(DataError, match="OpenMIC sets no validation clips apart"):
        gathered(tmp_path / "other", val=[f"openmic:{openmic}"])
    table = openmic / "openmic-2018-aggregated-labels.csv"
    table.write_text(table.read_text().replace("0.8", "1.8"))
    with pytest.raises(DataError, match=r"csv:2: column 'relevance': '1\.8' is not a number from"):
        gathered(tmp_path / "third", **sides)


def test_labels_that_a_source_never_looked_for_are_masked(irmas):
    sound(irmas / "drums/d.wav")
    text(irmas / "drums.csv", "file,drums,cel,bell", "drums/d.wav,1,0,0")
    asked = [f"irmastrain:{irmas}/train", f"csv:{irmas}/drums.csv"]
    clips = gathered(irmas / "clips", train=asked)
    assert clips["2-training/d.wav"].judged == {"drums": 1, "cel": 0}, "bell has no clip"
    one = next(clip for clip in clips.values() if "gel" in clip.labels)
    assert one.judged == {"cel": 0, "gel": 1}


def test_overrides_change_the_labels_of_training_clips_only(irmas):
    table = text(
        irmas / "override.csv",
        "filename,cel,voi",
        "[cel][dru][pop_roc]0001__1.wav,1,1",
        "[gel][dru][pop_roc]0003__2,1,0",
    )
    given = {"train": [f"irmastrain:{irmas}/train"], "test": [f"irmastest:{irmas}/irmas test"]}
    clips = gathered(irmas / "clips", overrides=[table], **given)
    assert clips["1-training/cel/[cel][dru][pop_roc]0001__1.wav"].labels == ("cel", "voi")
    assert set(clips["1-training/gel/[gel][dru][pop_roc]0003__2.wav"].labels) == {"gel", "cel"}
    table.write_text("filename,cel\n01 - A Title-1.wav,1\n")
    with pytest.raises(DataError, match=r"override.csv:2: column 'filename': no training clip is"):
        gathered(irmas / "other", overrides=[table], **given)


def test_an_excerpt_of_a_training_track_is_refused_as_a_test_clip(irmas):
    sound(irmas / "held/gel/[gel][dru][pop_roc]0003__3.wav")
    sides = {"train": [f"irmastrain:{irmas}/train"], "test": [f"irmastrain:{irmas}/held"]}
    gathered(irmas / "clips", **sides)
    with pytest.raises(DataError, match=r"0003__3\.wav: is in test, but .*0003__1\.wav from the"):
        extract_waveforms(irmas / "clips", irmas / "waveforms", Settings())


def test_the_same_file_on_two_sides_is_refused(irmas):
    sides = {"train": [f"irmastrain:{irmas}/train"], "val": [f"irmastrain:{irmas}/train"]}
    with pytest.raises(DataError, match=r"is listed twice, as audio/1-training/.* remove one"):
        gathered(irmas / "clips", **sides)


def test_clips_to_predict_come_from_a_folder_or_a_table(irmas):
    clips = gathered(irmas / "clips", predicted=[f"inference:{irmas}/train"])
    assert len(clips) == 8
    assert all(clip.labels == () and clip.split is None for clip in clips.values())
    text(irmas / "list.csv", "file,ignored", "train/cel/[cel][dru][pop_roc]0001__1.wav,x")
    assert len(gathered(irmas / "one", predicted=[f"inference:{irmas}/list.csv"])) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("labels.csv", "train_paths: 'labels.csv' is not <type>:<path>, such as csv:labels.csv"),
        ("irmas:data", "train_paths: 'irmas:data': unknown type"),
        ("cvs:data", "unknown type; did you mean 'csv'?"),
        (f"{INFERENCE}:data", "inference has no labels; it is predicted"),
        ("csv:s3://bucket/x.csv", "train_paths: s3://bucket/x.csv is no path of this machine"),
    ],
)
def test_a_wrong_text_is_refused_when_the_pipeline_is_declared(given, said):
    with pytest.raises(ParameterError, match=re.escape(said)):
        TaggingDataParameters(config=ConfigFile("none.yaml", must_exist=False), train_paths=[given])


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("csv", "train", "is a folder; give the table itself"),
        ("irmastrain", "a.wav", "is a file; give a folder"),
        ("csv", "a.wav", "is a file; give a .csv file"),
        ("csv", "b.csv", "no such file or folder"),
    ],
)
def test_a_wrong_path_is_refused_when_the_pipeline_is_declared(irmas, kind, name, said):
    sound(irmas / "a.wav")
    with pytest.raises(ParameterError, match=re.escape(said)):
        declare({"training": [Layout(kind, str(irmas / name))]})


def test_the_layouts_of_the_real_data_sets_are_read(shared, tmp_path):
    folder = shared / "datasets" / "tagging"
    if not folder.is_dir():
        pytest.skip("needs shared/datasets/tagging")
    irmas, openmic = folder / "irmas_layout", folder / "openmic_layout" / "openmic-2018"
    clips = gathered(
        tmp_path / "irmas",
        train=[f"irmastrain:{irmas}/IRMAS-TrainingData"],
        test=[f"irmastest:{irmas}/IRMAS-TestingData-Part1"],
    )
    trained, tested = clips.values()
    assert (trained.labels, trained.source) == (("cla",), "irmas-0189")
    assert (tested.labels, tested.source) == (
        ("gac", "vio"),
        "irmas-test-02 - And The Body Will Die",
    )
    clips = gathered(tmp_path / "openmic", train=[f"openmic:{openmic}"])
    assert sorted(clip.split for clip in clips.values()) == ["test"] * 3 + ["training"] * 5
    first = clips["000/000100_0.ogg"]
    assert first.judged is not None
    assert first.judged["trumpet"] == 0.87859
    assert "trumpet" in first.labels
    assert "violin" not in first.labels


def test_real_mixtures_become_targets(shared, tmp_path):
    folder = shared / "datasets" / "tagging" / "real"
    if not folder.is_dir():
        pytest.skip("needs shared/datasets/tagging")
    lines = (folder / "mixtures.csv").read_text().splitlines()
    header = "file," + lines[0].partition("set,")[2]
    kept = [
        f"{folder}/mixtures/{name},{rest}"
        for name, _, rest in (ln.split(",", 2) for ln in lines[1:])
    ]
    table = text(tmp_path / "mixtures.csv", header, *kept)
    clips = gathered(tmp_path / "clips", train=[f"csv:{table}"])
    assert len(clips) == len(kept) == 40
    settings = Settings(sample_rate_hz=RATE_HZ)
    extract_waveforms(tmp_path / "clips", tmp_path / "waveforms", settings)
    found = read_waveforms(tmp_path / "waveforms")
    assert json.dumps(found.labels) == json.dumps(header.split(",")[1:])
    assert found.mask(found.rows).all()
    row = next(row for row in found.rows if "realA_mix000" in row.path)
    assert row.labels == ("cel", "org", "vio")
