"""Inputs of public bug reports about other programs: each is read right, or refused in one line.

They lie in the folder of real data beside the checkout, a folder a report, with source and recipe.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets.base import Source
from soundgate.errors import ConfigError, DataError, ParameterError
from soundgate.executors.slurm import profile as slurm_profile
from soundgate.executors.slurm.service.client import Client
from soundgate.invocation import Invocation, declare
from soundgate.reuse.digests import digest_tree
from steps.accept import accept
from steps.preprocess import preprocess

sys.path += [str(Path(__file__).parent / folder) for folder in ("audio", "slurm")]
from fake import FakeSlurm
from reading_tables import predict, rows
from toy_model import write_model, write_sound

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "04-sagemaker-empty-parameter": "sagemaker/test_control_plane.py",
    "06-runs-folder-hash-question-percent": "test_registry_places.py",
    "07-champion-alias-lost": "test_review_aliases.py",
    "08-runs-folder-moved": "test_registry_places.py",
    "kubeflow": "kubeflow/test_foreign_irs.py",
}
"""Reports whose input a test makes itself."""


@pytest.fixture
def case(shared, request):
    """The folder of the report that a test names."""
    folder = shared / "cases" / request.param
    if not folder.is_dir():
        pytest.skip(f"cases/{folder.name} is not in the folder of real data")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model")


def report(*names):
    """Of which report the ``case`` is."""
    return pytest.mark.parametrize("case", names, indirect=True)


def test_every_report_has_a_test(shared):
    here = Path(__file__).read_text("utf-8")
    if not (shared / "cases").is_dir():
        pytest.skip("no reports in the folder of real data")
    names = {path.name for path in (shared / "cases").iterdir() if path.is_dir()}
    assert [name for name in names - ELSEWHERE.keys() if f'"{name}"' not in here] == []


def seconds_scored(model, folder, out):
    """Where the last clip of each file ends, and what is said of its sound."""
    predict(model, folder, out, format="jsonl")
    found = rows(out, "clips")
    remarks = {row["path"]: row["remark"] for row in found}
    return {row["path"]: row["end_s"] for row in found}, remarks


LENGTHS = {
    "01-mp3-vbr-without-xing": {"vbr_no_xing.mp3": 60.084, "14b_vbr_noxing.mp3": 2.088},
    "02-ogg-chained": {"16b_vorbis_chained.ogg": 4.0, "17b_opus_chained.opus": 4.0},
    "11-m4a-passed-over": {"00_plain.wav": 2.0, "23_phone.m4a": 2.048, "23b_browser.webm": 2.0},
    "17-mp3-in-wav": {"15_mp3_in_riff.wav": 2.088},
    "27-header-says-44-bytes-more": {"08_data_size_plus_44.wav": 2.0},
    "20-silent-by-phase-or-microphone": {"26_stereo_opposed.wav": 2.0, "27_all_zero.wav": 2.0},
    "21-float-wav-in-int16-scale": {"13c_float_int_scale.wav": 2.0},
}
REMARKS = {
    "26_stereo_opposed.wav": "silent: its channels cancel each other out",
    "27_all_zero.wav": "silent: no sound in any channel",
    "13c_float_int_scale.wav": "mis-scaled: its samples reach 15,426, where 1 is full scale",
}


@report(*LENGTHS)
def test_audio_is_predicted_to_its_end_and_odd_sound_is_told(case, model, tmp_path):
    ends, remarks = seconds_scored(model, case, tmp_path / "out")
    assert ends == pytest.approx(LENGTHS[case.name], abs=0.033)  # what is left over may be no frame
    assert remarks == {name: REMARKS.get(name, "") for name in LENGTHS[case.name]}
    assert rows(tmp_path / "out", "failures") == []


@report("11-m4a-passed-over")
def test_phone_audio_without_its_library_is_named(case, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    ends, _ = seconds_scored(model, case, tmp_path / "out")
    assert list(ends) == ["00_plain.wav"]
    failed = {row["path"]: row["reason"] for row in rows(tmp_path / "out", "failures")}
    assert failed.keys() == {"23_phone.m4a", "23b_browser.webm"}
    assert all("pip install" in reason for reason in failed.values())


# -- tables of labels ------------------------------------------------------------------------------


def listed(folder, audio, table):
    datasets.prepare("csv", [Source(audio, table)], folder, options={})
    return list(read_manifest(folder))


@pytest.fixture
def dogs_and_rain(tmp_path):
    """``dog0..4.wav`` and ``rain0..4.wav``."""
    for number, label in enumerate(("dog", "rain")):
        for k in range(5):
            write_sound(tmp_path / "set" / f"{label}{k}.wav", 1.5, 10 * number + k)
    return tmp_path / "set"


@pytest.mark.parametrize("table", ["04_space_quotes.csv", "04b_space_quotes_all.csv"])
@report("10-csv-space-before-quotes")
def test_quotes_behind_a_blank_are_no_part_of_a_class(case, dogs_and_rain, tmp_path, table):
    clips = listed(tmp_path / "clips", dogs_and_rain, case / table)
    assert {clip.labels for clip in clips} == {("dog",), ("rain",)}
    assert len(clips) == len((case / table).read_text().splitlines()) - 1


@report("14-decimal-comma")
def test_decimal_commas_are_seconds(case, dogs_and_rain, model, tmp_path):
    table = case / "11_decimal_comma.csv"
    clips = listed(tmp_path / "clips", dogs_and_rain, table)
    assert {(clip.start_s, clip.end_s) for clip in clips} == {(0.0, 0.5)}
    write_sound(tmp_path / "in" / "a.wav", 2.0)
    found = predict(model, tmp_path / "in", tmp_path / "out", manifest=case / "m4.csv")
    assert [(row["start_s"], row["end_s"]) for row in found] == [(0.5, 1.5)]


@report("15-nfc-table-nfd-disk")
def test_names_in_another_unicode_form_are_found(case, tmp_path):
    table = case / "30_nfc_table_nfd_disk.csv"
    names = [line.split(",")[0] for line in table.read_text("utf-8").splitlines()[1:]]
    for number, name in enumerate(names):
        write_sound(tmp_path / "set" / name.replace("\u00e4", "a\u0308"), 1.0, number)
    assert len(listed(tmp_path / "clips", tmp_path / "set", table)) == len(names)


@report("23-same-bytes-on-both-sides")
def test_the_same_bytes_are_never_on_both_sides(dogs_and_rain, case, tmp_path):
    del case
    root = tmp_path / "root"
    for path in sorted(dogs_and_rain.iterdir()):
        target = root / path.stem[:-1] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for label, number in (("dog", 4), ("rain", 2)):
        shutil.copy(
            root / label / f"{label}{number}.wav", root / label / f"{label}{number} - Copy.wav"
        )
    config = tmp_path / "user_config.yaml"
    config.write_text("dataset: {n_folds: 2}\npreprocessing: {min_length: 1.0}\n")

    def refused(name):
        datasets.prepare("folder", [Source(root)], tmp_path / name, options={})
        preprocess(tmp_path / name, config, tmp_path / f"{name}-f", tmp_path / f"{name}-i")
        try:
            accept(tmp_path / f"{name}-i", tmp_path / f"{name}-a")
        except DataError as error:
            return str(error)
        return ""

    assert refused("copies") == ""
    lines = (tmp_path / "copies-f" / "clips.jsonl").read_text().splitlines()
    folds = {row["path"]: row["fold"] for row in map(json.loads, lines)}
    assert folds["audio/dog/dog4.wav"] == folds["audio/dog/dog4 - Copy.wav"]
    assert folds["audio/rain/rain2.wav"] == folds["audio/rain/rain2 - Copy.wav"]
    shutil.copy(root / "dog" / "dog1.wav", root / "rain" / "rain7.wav")
    said = refused("contradictory")
    assert "2 under two labels of 13 clips" in said
    assert "\n" not in said


# -- folders and configs ---------------------------------------------------------------------------


@report("05-cache-swap-same-time")
def test_clips_of_one_size_and_time_that_change_places_are_another_input(case, tmp_path):
    del case
    for name, seed in (("dog/dog0.wav", 1), ("rain/rain0.wav", 2)):
        os.utime(write_sound(tmp_path / "set" / name, 1.0, seed), (1_714_557_600, 1_714_557_600))
    dog, rain = tmp_path / "set" / "dog" / "dog0.wav", tmp_path / "set" / "rain" / "rain0.wav"
    assert dog.stat().st_size == rain.stat().st_size
    before = digest_tree(tmp_path / "set")
    dog.rename(tmp_path / "x")
    rain.rename(dog)
    (tmp_path / "x").rename(rain)
    after = digest_tree(tmp_path / "set", before)
    assert after.digest != before.digest
    assert after.digest == digest_tree(tmp_path / "set").digest
    content = bytearray(dog.read_bytes())
    content[-1] ^= 1
    dog.write_bytes(content)
    os.utime(dog, (1_714_557_600, 1_714_557_600))
    assert digest_tree(tmp_path / "set", after).digest != after.digest


@pytest.mark.parametrize("loop", [False, True], ids=["broken", "loop"])
@report("09-broken-link")
def test_a_link_to_nothing_or_to_itself_is_named(case, model, tmp_path, loop):
    del case
    write_sound(tmp_path / "set" / "dog" / "a.wav", 1.0)
    link = tmp_path / "set" / "dog" / ("up" if loop else "broken.wav")
    link.symlink_to(".." if loop else "/nope.wav")
    with pytest.raises(DataError, match=link.name) as caught:
        digest_tree(tmp_path / "set")
    assert "\n" not in str(caught.value)
    found = predict(model, tmp_path / "set", tmp_path / "out")  # as with in_place=true
    assert [row["path"] for row in found] == ["dog/a.wav"]
    failed = [row["path"] for row in rows(tmp_path / "out", "failures")]
    assert failed == ([] if loop else ["dog/broken.wav"])


@report("12-st-config-backslashes")
def test_paths_with_back_slashes_in_a_config_are_folders(case, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    words = ("-n", "pipelines.aed", "--config", str(case / "own_config.yaml"), "--dry-run")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SOUNDGATE_RUNS": str(tmp_path / "runs")}

    def dry_run():
        return subprocess.run(
            [sys.executable, "-m", "soundgate.cli", "run-pipeline", *words],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    absent = dry_run()
    assert absent.returncode == 2
    assert "datasets/ESC-50/audio: no such file or folder" in absent.stderr
    assert absent.stderr.count("\n") == 1
    audio, meta = (tmp_path / "datasets" / "ESC-50" / name for name in ("audio", "meta"))
    write_sound(audio / "1-1-A-0.wav", 1.0)
    meta.mkdir()
    (meta / "esc50.csv").write_text("filename,fold,target,category,esc10,src_file,take\n")
    done = dry_run()
    assert done.returncode == 0, done.stderr
    assert "preprocess" in done.stdout


@report("22-model-name-with-quote")
def test_a_model_name_with_a_quote_is_refused_when_declared(case, tmp_path):
    del case
    asked = Invocation(module="pipelines.aed", assignments=("model_name=it's mine",))
    with pytest.raises(ParameterError, match=r"model_name: .*use letters, digits") as caught:
        declare(asked, tmp_path)
    assert "\n" not in str(caught.value)


# -- clusters --------------------------------------------------------------------------------------


@report("25-slurm-text-behind-the-id")
def test_a_job_is_found_although_sbatch_talks(case, tmp_path, monkeypatch):
    del case
    fake = FakeSlurm(tmp_path / "bin", monkeypatch)
    fake.answers("sbatch", (0, "9\nYou will be charged for 1 CPU\n", ""))
    assert Client(tries=1, pause_s=0.0).submit("#!/bin/sh\n", []) == "9"


@report("26-slurm-account-with-space")
def test_an_account_with_a_space_is_refused_by_its_field(case):
    with pytest.raises(ConfigError, match="account: expected one word") as caught:
        slurm_profile.load(str(case / "site.yaml"))
    assert "\n" not in str(caught.value)
