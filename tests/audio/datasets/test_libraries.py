"""Data sets of soundata and mirdata, in the layouts that these libraries read."""

from __future__ import annotations

import functools
import hashlib
import http.server
import importlib
import json
import shutil
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from fsd50k_layout import split_zip
from library_layouts import MAKERS, index_name, make, text, wav, write_index

from soundgate.audio import config, datasets
from soundgate.audio.clips.manifest import Event, read_manifest
from soundgate.audio.datasets import libraries
from soundgate.audio.datasets.base import Source
from soundgate.audio.datasets.declaration import declare
from soundgate.audio.datasets.libraries import conversion
from soundgate.audio.datasets.libraries.adapter import load_module
from soundgate.audio.datasets.plan import make_plan
from soundgate.errors import DataError, MissingExtra, ParameterError


def prepared(tmp_path, name, **options):
    """The clips of a made data set, by the name of their file without extension."""
    home = make(name, tmp_path / "home")
    datasets.prepare(name, [Source(home)], tmp_path / "clips", options=options)
    return {Path(clip.path).stem: clip for clip in read_manifest(tmp_path / "clips")}


# The library's own figures of these layouts, by hand: labels, split, fold and source of each clip.
EXPECTED = {
    "soundata:urbansound8k": {
        "7-3-0-0": (("dog_bark",), None, 1, "7"),
        "7-3-0-1": (("dog_bark",), None, 1, "7"),
        "9-8-0-0": (("siren",), None, 10, "9"),
    },
    "soundata:esc50": {
        "1-100032-A-0": (("dog",), None, 1, "100032"),
        "2-4-B-11": (("sea_waves",), None, 2, "4"),
        "5-9032-A-0": (("dog",), None, 5, "9032"),
    },
    "soundata:dcase23_task4b": {
        "cafe_restaurant_00": (("people talking", "cutlery and dishes"), None, None, None),
    },
    "soundata:urbansed": {
        "soundscape_train": (("dog_bark", "siren"), "training", None, None),
        "soundscape_validate": (("siren",), "validation", None, None),
        "soundscape_test": (("dog_bark",), "test", None, None),
    },
    # The challenge's clips have no labels, and one development clip is in neither part.
    "soundata:tau2019uas": {
        "airport-a-1": (("airport",), "training", None, None),
        "park-b-2": (("park",), "test", None, None),
    },
    "soundata:starss2022": {"fold3_foa": (("8", "1"), "training", None, None)},
    "soundata:warblrb10k": {
        "a-1": (("bird",), None, None, None),
        "b-2": (("no_bird",), None, None, None),
    },
    "mirdata:irmas": {
        "[cla][cla]0189__2": (("cla",), "training", None, None),
        "02 - And The Body Will Die-8": (("gel", "voi"), "test", None, None),
    },
    "mirdata:medley_solos_db": {
        "Medley-solos-DB_training-4_aa.wav": (("piano",), "training", None, "7"),
        "Medley-solos-DB_validation-3_bb.wav": (("flute",), "validation", None, "8"),
        "Medley-solos-DB_test-4_cc.wav": (("piano",), "test", None, "9"),
    },
    "mirdata:gtzan_genre": {
        "blues.00000": (("blues",), None, None, None),
        "hiphop.00001": (("hip-hop",), None, None, None),
    },
    "mirdata:giantsteps_key": {
        "1.LOFI": (("Techno",), None, None, None),
        "2.LOFI": (("House",), None, None, None),
    },
    "mirdata:openmic2018": {
        "000100_0": (("piano", "voice"), "training", None, None),
        "000101_3840": (("flute",), "test", None, None),
    },
    "mirdata:tinysol": {
        "Accordion-C4": (("Accordion",), None, 1, None),
        "Oboe-C4": (("Oboe",), None, 5, None),
    },
}


@pytest.mark.parametrize("name", MAKERS)
def test_clips_have_the_labels_splits_and_folds_of_their_data_set(tmp_path, name):
    clips = prepared(tmp_path, name)
    found = {key: (c.labels, c.split, c.fold, c.source) for key, c in clips.items()}
    assert found == EXPECTED[name]
    about = json.loads((tmp_path / "clips" / "dataset.json").read_text())
    module = load_module(name)
    assert about["licence"] == " ".join(module.LICENSE_INFO.split())
    assert about["citation"] == module.BIBTEX.strip()
    folds = declare(name, {}.get, path="x").folds
    if any(clip.split for clip in clips.values()):
        assert folds == 0
    elif any(clip.fold for clip in clips.values()):
        assert max(clip.fold for clip in clips.values()) == folds


def test_events_have_their_times(tmp_path):
    assert prepared(tmp_path / "urbansed", "soundata:urbansed")["soundscape_train"].events == (
        Event(0.1, 0.6, "dog_bark"),
        Event(0.4, 0.9, "siren"),
        Event(0.7, 0.8, "dog_bark"),
    )
    soft = prepared(tmp_path / "soft", "soundata:dcase23_task4b")["cafe_restaurant_00"]
    assert soft.events == (Event(0, 1, "people talking"), Event(1, 2, "cutlery and dishes"))
    # A class that sounds in steps 0 and 1 of 0.1 s, and again in step 5.
    spatial = prepared(tmp_path / "spatial", "soundata:starss2022")["fold3_foa"]
    times = [(e.label, round(e.onset_s, 3), round(e.offset_s, 3)) for e in spatial.events]
    assert times == [("8", 0.0, 0.2), ("8", 0.5, 0.6), ("1", 0.2, 0.3)]


class Tags:
    labels = ("a", "b")
    confidence = (0.4, 0.5)


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (None, ()),
        ("dog", ("dog",)),
        ("dog, cat,", ("dog", "cat")),
        (3, ("three",)),
        (["b", "a", "b"], ("b", "a")),
        ({"piano": 0.5, "voice": 0.49}, ("piano",)),
        (Tags(), ("b",)),
    ],
)
def test_every_kind_of_tags_is_read(value, labels):
    assert conversion.read(value, {"3": "three"}, ",").labels == labels


def test_an_unknown_kind_of_annotation_is_refused():
    with pytest.raises(ValueError, match="object is neither tags nor events"):
        conversion.read(object(), {}, "")


def test_missing_and_damaged_files_are_one_line(tmp_path):
    home = make("soundata:urbansound8k", tmp_path / "home")
    damaged = home / "audio/fold1/7-3-0-1.wav"
    damaged.write_bytes(damaged.read_bytes()[:-2])
    said = r"home: 1 files of soundata:urbansound8k are damaged \(audio/fold1/7-3-0-1.wav\): fetch"
    with pytest.raises(DataError, match=said):
        datasets.prepare("soundata:urbansound8k", [Source(home)], tmp_path / "clips")
    damaged.unlink()
    (home / "audio/fold10/9-8-0-0.wav").unlink()
    with pytest.raises(DataError, match=r"2 files of .* are missing \(audio/fold1/7.*, audio/fold"):
        datasets.prepare("soundata:urbansound8k", [Source(home)], tmp_path / "clips")
    assert not list((tmp_path / "clips").iterdir())


def test_a_clip_without_a_label_is_refused_or_left_out(tmp_path):
    home = make("soundata:urbansed", tmp_path / "home")
    empty = home / "annotations/test/soundscape_test.txt"
    text(empty, "0.2\t0.2\tdog_bark\n")  # of no length
    index = home / index_name("soundata:urbansed")
    listed = json.loads(index.read_text())
    digest = hashlib.md5(empty.read_bytes()).hexdigest()
    listed["clips"]["soundscape_test"]["txt"][1] = digest
    index.write_text(json.dumps(listed))
    said = r"1 clips have no label \(audio/test/soundscape_test.wav\): .*soundata.drop_unlabelled"
    with pytest.raises(DataError, match=said):
        datasets.prepare("soundata:urbansed", [Source(home)], tmp_path / "clips")
    chosen = {"drop_unlabelled": True}
    datasets.prepare("soundata:urbansed", [Source(home)], tmp_path / "clips", options=chosen)
    assert len(list(read_manifest(tmp_path / "clips"))) == 2


def test_metadata_that_are_missing_are_one_line(tmp_path):
    home = make("soundata:urbansound8k", tmp_path / "home")
    (home / "metadata" / "UrbanSound8K.csv").unlink()
    with pytest.raises(DataError, match=r"urbansound8k: 7-3-0-0: Metadata not found"):
        datasets.prepare("soundata:urbansound8k", [Source(home)], tmp_path / "clips")


def test_the_real_irmas_files_of_its_layout(tmp_path, shared):
    given = shared / "datasets" / "tagging" / "irmas_layout"
    if not given.is_dir():
        pytest.skip(f"{given} is absent")
    home = tmp_path / "home"
    shutil.copytree(given, home)
    [train] = home.rglob("*cla*0189__2.wav")
    test = home / "IRMAS-TestingData-Part1/Part1/02 - And The Body Will Die-8.wav"
    items = {
        "0189__2": {"audio": train, "annotation": None},
        "1": {"audio": test, "annotation": test.with_suffix(".txt")},
    }
    write_index("mirdata:irmas", home, items)
    datasets.prepare("mirdata:irmas", [Source(home)], tmp_path / "clips")
    clips = {clip.split: clip.labels for clip in read_manifest(tmp_path / "clips")}
    assert clips["training"] == ("cla",)
    written = [line.strip() for line in test.with_suffix(".txt").read_text().splitlines()]
    assert clips["test"] == tuple(written)


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A folder and the address that it is served at, on loopback."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def offered(tmp_path, web, monkeypatch):
    """UrbanSound8K as the library downloads it: ``pack(home, folder)`` names the archives."""
    module = load_module("soundata:urbansound8k")
    folder, root = web

    def offer(pack):
        home = make("soundata:urbansound8k", tmp_path / "made")
        index = home / index_name("soundata:urbansound8k")
        index.rename(folder / index.name)
        remote = importlib.import_module("soundata.download_utils").RemoteFileMetadata

        def at(name, *directories):
            digest = hashlib.md5((folder / name).read_bytes()).hexdigest()
            return remote(name, f"{root}/{name}", digest, None, directories)

        found = at(index.name)
        core = importlib.import_module("soundata.core")
        version = core.Index(index.name, found.url, found.checksum)
        monkeypatch.setattr(module, "INDEXES", {"default": "1.0", "1.0": version})
        monkeypatch.setattr(module, "REMOTES", pack(home, folder, at))
        return folder

    return offer


def zipped(home, folder, at):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for path in sorted(home.rglob("*.*")):
            archive.write(path, Path("UrbanSound8K") / path.relative_to(home))
    return {"all": at("all.zip", "UrbanSound8K")}


def in_parts(home, folder, at):
    assert split_zip(home / "audio", folder / "audio.zip", 40_000) > 1
    parts = [at(path.name) for path in sorted(folder.glob("audio.z*"))]
    with zipfile.ZipFile(folder / "tables.zip", "w") as archive:
        archive.write(home / "metadata/UrbanSound8K.csv", "metadata/UrbanSound8K.csv")
    return {"audio": parts, "tables": at("tables.zip")}


def one_in_parts(home, folder, at):
    split_zip(home / "audio", folder / "audio.zip", 40_000)
    shutil.copy(home / "metadata/UrbanSound8K.csv", folder)
    table = at("UrbanSound8K.csv")
    table.destination_dir = "metadata"
    return {"audio": [at(path.name) for path in sorted(folder.glob("audio.z*"))], "table": table}


def tarred(home, folder, at):
    with tarfile.open(folder / "all.tgz", "w:gz") as archive:
        for path in sorted(home.iterdir()):
            archive.add(path, f"UrbanSound8K/{path.name}")
    return {"all": at("all.tgz")}


@pytest.mark.parametrize("pack", [zipped, in_parts, one_in_parts, tarred])
def test_every_kind_of_archive_is_unpacked(tmp_path, offered, pack):
    offered(pack)
    datasets.acquire("soundata:urbansound8k", tmp_path / "clips")
    clips = {Path(clip.path).stem: clip.fold for clip in read_manifest(tmp_path / "clips")}
    assert clips == {"7-3-0-0": 1, "7-3-0-1": 1, "9-8-0-0": 10}


def test_it_is_downloaded_checked_and_the_home_folder_is_left_alone(
    tmp_path, offered, monkeypatch, capsys
):
    offered(zipped)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    import soundata

    code = Path(soundata.__file__).parent / "datasets"
    before = sorted(code.rglob("*.json"))
    datasets.acquire("soundata:urbansound8k", tmp_path / "clips")
    clips = {Path(clip.path).stem: clip.fold for clip in read_manifest(tmp_path / "clips")}
    assert clips == {"7-3-0-0": 1, "7-3-0-1": 1, "9-8-0-0": 10}
    assert "licence of soundata:urbansound8k: Creative Commons" in capsys.readouterr().out
    assert not (tmp_path / "nobody").exists()
    assert sorted(code.rglob("*.json")) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips", "made", "web"]


def test_a_damaged_download_is_one_line_and_leaves_nothing(tmp_path, offered):
    with (offered(zipped) / "all.zip").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match=r"urbansound8k: the download failed: .*checksum"):
        datasets.acquire("soundata:urbansound8k", tmp_path / "clips")
    assert not (tmp_path / "clips").exists() or not list((tmp_path / "clips").iterdir())


def test_the_index_of_a_folder_of_the_user_s_is_fetched_aside(tmp_path, offered):
    offered(zipped)
    home = tmp_path / "made"
    before = sorted(home.rglob("*"))
    datasets.prepare("soundata:urbansound8k", [Source(home)], tmp_path / "clips")
    assert len(list(read_manifest(tmp_path / "clips"))) == 3
    assert sorted(home.rglob("*")) == before


def test_an_unknown_version_is_refused(tmp_path):
    home = make("mirdata:gtzan_genre", tmp_path / "home")
    said = "mirdata.version: mirdata:gtzan_genre has no version 'mimi'; known: default, test, 1.0"
    with pytest.raises(ParameterError, match=said):
        datasets.prepare(
            "mirdata:gtzan_genre", [Source(home)], tmp_path / "clips", options={"version": "mimi"}
        )


def test_what_has_to_be_requested_is_not_downloaded(tmp_path):
    said = "its audio is given out on request only: give its folder"
    with pytest.raises(ParameterError, match=said):
        declare("mirdata:medleydb_pitch", {}.get)
    with pytest.raises(ParameterError, match=said):
        datasets.acquire("mirdata:medleydb_pitch", tmp_path / "clips")
    assert declare("mirdata:medleydb_pitch", {}.get, path="x").files == {"source": "x"}


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mirdata", None)
    with pytest.raises(MissingExtra, match=r"mirdata is not installed; pip install 'soundgate\["):
        datasets.acquire("mirdata:irmas", tmp_path / "clips")


def test_a_version_and_what_is_left_out_are_kept_apart():
    def key(text):
        return make_plan("SOUNDATA:UrbanSound8k", config.parse(text, "x"), {}).key

    assert key("general: {}") == "soundata/urbansound8k"
    changed = ("{version: mini}", "{drop_unlabelled: true}")
    others = {key(f"dataset_specific: {{soundata: {each}}}") for each in changed}
    assert len(others) == 2
    assert all(other.startswith("soundata/urbansound8k/") for other in others)


@pytest.mark.parametrize("library", libraries.TABLES)
def test_every_data_set_of_the_library_is_read_or_its_lack_is_named(library):
    """Without the network: the attributes that are read exist, and what is left out is said."""
    known = importlib.import_module(library).list_datasets()
    rows, unsupported = libraries.tables(library)
    assert sorted([*rows, *unsupported]) == sorted(known)
    for given in known:
        name = f"{library}:{given}"
        if given in unsupported:
            with pytest.raises(ParameterError, match=name):
                datasets.load(name)
            continue
        module = load_module(name)
        item = module.Clip if library == "soundata" else module.Track
        source = Path(module.__file__).read_text("utf-8")
        row = rows[given]
        for attribute in (row.labels, row.split, row.fold, row.source, row.audio, *row.only):
            name_of = attribute.partition(".")[0]
            assert (
                not name_of
                or hasattr(item, name_of)
                or f"self.{name_of} =" in source
                or f"def {name_of}(" in source
            ), f"{name}: {name_of}"
        assert datasets.load(name).name == name
        # A set whose audio the library cannot fetch says so before anything runs.
        if not row.request:
            assert module.REMOTES, f"{name} has nothing to download"


def test_a_file_outside_of_the_folder_is_refused(tmp_path):
    home = make("soundata:warblrb10k", tmp_path / "home")
    other = wav(tmp_path / "elsewhere.wav")
    index = home / index_name("soundata:warblrb10k")
    listed = json.loads(index.read_text())
    digest = hashlib.md5(other.read_bytes()).hexdigest()
    listed["clips"]["a-1"]["audio"] = ["../elsewhere.wav", digest]
    index.write_text(json.dumps(listed))
    with pytest.raises(DataError, match=r"warblrb10k: a-1: .*is not in the subpath"):
        datasets.prepare("soundata:warblrb10k", [Source(home)], tmp_path / "clips")
