"""Data sets cut from a corpus: their files, shapes, sides and what makes them fail."""

from __future__ import annotations

import json
import shutil

import jsonschema
import numpy as np
import pytest
from PIL import Image
from toy_corpus import calls, index_of, loud, recording, write_corpus

from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.datasets.corpora.indexing.index import build_index
from soundgate.audio.datasets.corpora.preparing import prepare
from soundgate.audio.datasets.corpora.strategies import Strategy
from soundgate.audio.files.reading import read
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.audio.formats.datasets.variant import (
    VariantIndex,
    clip_name,
    read_variant_index,
)
from soundgate.audio.formats.schemas import schema_of
from soundgate.errors import DataError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Seven tapes, the last without calls."""
    return write_corpus(tmp_path_factory.mktemp("corpus"), index_of(7))


@pytest.fixture(scope="module")
def variant(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("variants") / "dataset_calm"
    strategy = Strategy(split_strategy="quality_balanced", seed=911, noise_per_hum=1.5)
    return out, prepare(corpus, out, "calm", strategy, spectrograms=True)


def test_files_hold_what_their_names_say(variant):
    out, index = variant
    assert index.meta.n_target == 36
    assert index.meta.n_noise == 54
    for entry in index.entries:
        samples, rate_hz = read(out / entry.fn)
        assert samples.size == (entry.end_ms - entry.start_ms) * rate_hz // 1000
        assert loud(samples) == (entry.class_name == "target")
        name = clip_name(entry.fn)
        assert (name.uid, name.start_ms, name.label) == (entry.uid, entry.start_ms, entry.label)
    assert index.entries[0].fn.startswith("target-Q1_000001_2025_t0-20250104_0000000_0000500")
    assert {entry.label for entry in index.entries} == {"Q1", "Q2", "Q3", "bg"}


def test_index_lists_and_tables_agree(variant, corpus):
    out, index = variant
    for side in ("train", "val", "test"):
        lines = (out / f"{side}.csv").read_text("utf-8").splitlines()
        assert lines == [entry.fn for entry in index.entries if entry.split == side]
        assert len(lines) == index.meta.split_counts[side]
    tapes = {entry.tape_key: entry.split for entry in index.entries}
    assert {(e.tape_key, e.split) for e in index.entries} == set(tapes.items())
    assert read_variant_index(out) == index
    jsonschema.validate(
        json.loads((out / "variant_index.json").read_text()), schema_of(VariantIndex)
    )
    silent = read_corpus_index(corpus).recordings[-1].path
    regions = {region.path for region in index.meta.validation_regions}
    assert regions
    assert not regions & {e.recording for e in index.entries if e.split != "val"}
    assert silent not in {entry.recording for entry in index.entries}


def test_selection_tables_open_in_raven_with_times_of_the_tape(tmp_path):
    """Earlier tools wrote times of the clip into tables of the tape, and "Begin time (s)"."""
    clips = [recording(f"tape.wav_{at}_{at + 20}.wav", "tape", 20, at) for at in (900, 920, 940)]
    found = [call for clip in clips for call in calls(clip.path, [2.0, 5.0])]
    folder = write_corpus(tmp_path / "corpus", build_index("tape", clips, found))
    prepare(folder, tmp_path / "out", "v", Strategy(group_by="clip"))
    (table,) = (tmp_path / "out/selection_tables").iterdir()
    assert table.name == "tape_selection.txt"
    header = table.read_text("utf-8").splitlines()[0].split("\t")
    assert header[:5] == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"]
    events = raven.read(table)
    assert [event.start_s for event in events] == [902.0, 905.0, 922.0, 925.0, 942.0, 945.0]
    assert {(event.low_hz, event.high_hz) for event in events} == {(0.0, 4000.0)}
    assert dict(events[0].columns)["Comments"] == "Q1"


def test_pictures_show_the_call(variant):
    out, index = variant
    call = next(entry for entry in index.entries if entry.class_name == "target")
    picture = np.asarray(Image.open(out / call.spectrogram_path).convert("L"), float)
    loudest = picture.mean(1).argmax() / picture.shape[0]
    # a tone of 0.8 * 8000 / 2 pi = 1019 Hz between 4000 Hz on top and 200 Hz below
    assert loudest == pytest.approx((4000 - 1019) / 3800, abs=0.02)
    assert len(list((out / "spectrograms").iterdir())) == index.meta.n_total


def test_the_same_seed_gives_equal_bytes(variant, corpus, tmp_path):
    out, index = variant
    strategy = Strategy(split_strategy="quality_balanced", seed=911, noise_per_hum=1.5)
    prepare(corpus, tmp_path / "again", "calm", strategy, spectrograms=True)
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files == sorted(
        p.relative_to(tmp_path / "again") for p in (tmp_path / "again").rglob("*") if p.is_file()
    )
    for path in files:
        assert (out / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path
    other = prepare(corpus, tmp_path / "other", "calm", Strategy(seed=912, noise_per_hum=1.5))
    assert [e.fn for e in other.entries] != [e.fn for e in index.entries]


def test_short_calls_keep_real_sound_around_them(corpus, tmp_path):
    index = prepare(corpus, tmp_path / "wide", "wide", Strategy(clip_s=0.9, seed=2))
    places = []
    for entry in index.entries:
        samples, rate_hz = read(tmp_path / "wide" / entry.fn)
        assert samples.size == 0.9 * rate_hz
        assert samples.std() > 0.005  # noise of the tape, no zeros
        if entry.call_start_s is None:
            assert not loud(samples)
            continue
        inside = samples[round(entry.call_start_s * rate_hz) : round(entry.call_end_s * rate_hz)]
        assert np.abs(inside[:3900]).reshape(-1, 100).max(1).min() > 0.3
        places.append(entry.call_start_s)
    assert max(places) > 0.3
    assert min(places) < 0.1


def test_calls_that_are_files_are_copied_as_they_are(corpus, tmp_path):
    folder = tmp_path / "corpus"
    shutil.copytree(corpus, folder)
    index = json.loads((folder / "corpus_index.json").read_text())
    shutil.copyfile(folder / index["recordings"][0]["path"], folder / "call.wav")
    index["entries"][0]["hum_path"] = "call.wav"
    (folder / "corpus_index.json").write_text(json.dumps(index))
    found = prepare(folder, tmp_path / "out", "v", Strategy())
    assert (tmp_path / "out" / found.entries[0].fn).read_bytes() == (
        folder / "call.wav"
    ).read_bytes()


def test_a_tape_under_two_names_fails_and_is_named(corpus, tmp_path):
    index = index_of(4)
    folder = write_corpus(tmp_path / "corpus", index)
    one, other = (recording.path for recording in index.recordings[:2])
    shutil.copyfile(folder / one, folder / other)
    with pytest.raises(
        DataError, match=r"on two sides: .*hold the same samples: .*remove the copies"
    ):
        prepare(folder, tmp_path / "out", "v", Strategy())
    found = prepare(folder, tmp_path / "told", "v", Strategy(allow_leakage=True))
    assert (one, other) in found.meta.leakage.identical
    assert found.meta.leakage.fails


def test_calls_that_overlap_fail_where_calls_are_divided(tmp_path):
    index = build_index(
        "near", [recording("a.wav", "a", 60)], calls("a.wav", [k * 0.4 for k in range(30)], 0.5)
    )
    folder = write_corpus(tmp_path / "corpus", index)
    with pytest.raises(DataError, match="files hold the same seconds of a tape: target-Q"):
        prepare(folder, tmp_path / "out", "v", Strategy(group_by="call", noise_per_hum=0))


def test_reads_folders_of_earlier_tools(variant, tmp_path):
    """With their index, with CSV files only, and with WAVs only: then whole tapes are divided."""
    out, index = variant
    folder = shutil.copytree(out, tmp_path / "theirs")
    theirs = json.loads((folder / "variant_index.json").read_text())
    del theirs["format"]
    kept = ("created_at", "split_strategy", "n_total", "n_target", "n_noise", "split_counts")
    theirs["meta"] = {name: theirs["meta"][name] for name in kept}
    for entry in theirs["entries"]:
        for name in ("recording", "call_start_s", "call_end_s"):
            del entry[name]
    (folder / "variant_index.json").write_text(json.dumps(theirs))
    read_again = read_variant_index(folder)
    assert read_again.meta.classes == ("target",)
    assert read_again.meta.group_by == "tape"
    assert read_again.entries[0].call_end_s == 0.5

    (folder / "variant_index.json").unlink()
    by_csv = read_variant_index(folder)
    sides = {entry.fn: entry.split for entry in index.entries}
    assert {entry.fn: entry.split for entry in by_csv.entries} == sides
    for side in ("train", "val", "test"):
        (folder / f"{side}.csv").unlink()
    by_names = read_variant_index(folder)
    tapes = {entry.tape_key: entry.split for entry in by_names.entries}
    assert {(e.tape_key, e.split) for e in by_names.entries} == set(tapes.items())
    assert set(tapes.values()) == {"train", "val", "test"}
    (folder / "more.wav").write_bytes(b"")
    with pytest.raises(DataError, match=r"are not called CLASS-LABEL_ID_.*more\.wav first"):
        read_variant_index(folder)


def test_mixed_rates_are_cut_at_their_own(tmp_path):
    index = index_of(4)
    fast = index.recordings[0].model_copy(update={"rate_hz": 200_000})
    index = index.model_copy(update={"recordings": (fast, *index.recordings[1:])})
    folder = write_corpus(tmp_path / "corpus", index)
    found = prepare(folder, tmp_path / "out", "v", Strategy(noise_per_hum=0))
    assert found.meta.rates_hz == {"8000": 12, "200000": 6}
