"""Features of data sets: the chain, the cache, what is refused."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import soundfile
import torch
from librosa_features import RATE_HZ, YAMNET, by_librosa, load_by_librosa, noise
from uncompiled_librosa import librosa

from soundgate.audio import config
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.extraction.log_mel import extract
from soundgate.audio.formats import features as frames
from soundgate.audio.signal import waveforms
from soundgate.errors import ConfigError, DataError


def data_set(folder, labels, *, seconds=1.2, rate_hz=22050, folds=True, **more):
    (folder / "audio").mkdir(parents=True)
    clips = []
    for number, label in enumerate(labels):
        path = f"audio/{number:04d}.wav"
        soundfile.write(folder / path, noise(int(seconds * rate_hz), number), rate_hz)
        names = (label,) if isinstance(label, str) else tuple(label)
        fold = number % 3 + 1 if folds else None
        clips.append(Clip(path, names, fold=fold, source=f"s{number // 2}", **more))
    write_manifest(folder / "manifest.jsonl", clips)
    return folder


def read_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(tmp_path, name="features", text="", **more):
    extract(tmp_path / "clips", tmp_path / name, config.parse(text, "user.yaml"), **more)
    return tmp_path / name


def test_features_of_real_clips_are_the_zoo_s_chain(esc10, tmp_path):
    paths = sorted(esc10.glob("*/*.ogg"))[::40]
    names = sorted((p.relative_to(esc10).as_posix(), p.parent.name) for p in paths)
    manifest = tmp_path / "set"
    (manifest / "audio").mkdir(parents=True)
    clips = []
    for number, (name, label) in enumerate(names):
        (manifest / f"audio/{number}.ogg").symlink_to(esc10 / name)
        clips.append(Clip(f"audio/{number}.ogg", (label,), fold=1))
    write_manifest(manifest / "manifest.jsonl", clips)
    extract(manifest, tmp_path / "features", config.UserConfig())
    held = frames.read_frames(tmp_path / "features")
    for row, (name, label) in zip(frames.read_rows(tmp_path / "features"), names, strict=True):
        samples = load_by_librosa(esc10 / name, 10)
        kept = librosa.effects.split(samples, top_db=60, frame_length=3200, hop_length=3200)
        samples = np.concatenate([samples[a:b] for a, b in kept])
        expected = by_librosa(np.resize(samples, max(RATE_HZ, samples.size)), YAMNET)
        mine = held[row.first_frame : row.first_frame + row.frames]
        assert row.labels == (label,)
        assert mine.shape == expected.shape
        # float16 has 11 bits: at -9 its steps are 0.008.
        np.testing.assert_allclose(mine, expected, atol=0.006)


def test_rows_and_info(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "rain"])
    folder = run(tmp_path, text="preprocessing: {top_db: None}")
    rows = list(frames.read_rows(folder))
    assert [(row.labels, row.fold, row.source) for row in rows] == [
        *((("rain",), 1, "s0"), (("dog",), 2, "s0"), (("rain",), 3, "s1")),
    ]
    assert [(row.frames, row.duration_s) for row in rows] == [(117, 1.2)] * 3
    info = json.loads((folder / "features.json").read_text())
    assert info["classes"] == ["dog", "rain"]
    assert info["sample_rate_hz"] == 16000
    assert info["feature_extraction"]["n_fft"] == 512
    assert info["preprocessing"]["top_db"] is None


def test_cache_and_workers_change_no_bit(tmp_path, monkeypatch):
    data_set(tmp_path / "clips", ["rain", "dog"] * 9)
    plain = read_bytes(run(tmp_path, "plain"))
    assert read_bytes(run(tmp_path, "two", workers=2)) == plain
    cache = tmp_path / "cache"
    assert read_bytes(run(tmp_path, "first", cache=cache, workers=3)) == plain
    assert len(list(cache.iterdir())) == 18

    def never(*_args, **_more):
        raise AssertionError("decoded although it is cached")

    monkeypatch.setattr(waveforms.reading, "load", never)
    assert read_bytes(run(tmp_path, "second", cache=cache)) == plain


def test_cache_is_used_only_where_it_fits(tmp_path):
    data_set(tmp_path / "clips", ["rain"])
    cache = tmp_path / "cache"
    run(tmp_path, cache=cache, text="dataset: {to_cache: false}")
    assert not cache.exists()
    run(tmp_path, cache=cache)
    run(tmp_path, cache=cache, text="preprocessing: {target_rate: 15000}")
    run(tmp_path, cache=cache, text="preprocessing: {max_length: 1.1}")
    run(tmp_path, cache=cache, text="preprocessing: {top_db: 20}\nfeature_extraction: {n_mels: 20}")
    assert len(list(cache.iterdir())) == 3
    soundfile.write(tmp_path / "clips/audio/0000.wav", noise(30_000, 99), 22050)
    run(tmp_path, cache=cache)
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "flip", "length", "empty"])
def test_damaged_cache_entries_are_computed_again(tmp_path, damage):
    data_set(tmp_path / "clips", ["rain"])
    cache = tmp_path / "cache"
    plain = read_bytes(run(tmp_path, cache=cache))
    (entry,) = cache.iterdir()
    held = bytearray(entry.read_bytes())
    whole = bytes(held)
    match damage:
        case "cut":
            del held[-2:]
        case "flip":
            held[5000] ^= 1
        case "length":
            held[4] ^= 1
        case "empty":
            held.clear()
    entry.write_bytes(held)
    assert read_bytes(run(tmp_path, "again", cache=cache)) == plain
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_clip_stops_and_is_named(tmp_path, workers):
    data_set(tmp_path / "clips", ["rain"] * 12)
    (tmp_path / "clips/audio/0005.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(DataError, match=r"0005\.wav"):
        run(tmp_path, workers=workers)
    assert not any((tmp_path / "features").iterdir())
    assert not [t for t in threading.enumerate() if t.name.startswith("features")]


def test_a_clip_shorter_than_a_patch_is_named_with_the_fix(tmp_path):
    data_set(tmp_path / "clips", ["rain"], seconds=0.5)
    with pytest.raises(
        DataError,
        match=r"0000\.wav: 0\.500 s of sound give 47 frames, but a patch has 96; set "
        r"preprocessing\.min_length to 0\.982 or lower feature_extraction\.patch_length$",
    ):
        run(tmp_path, text="preprocessing: {min_length: 0}")
    fixed = run(tmp_path, text="preprocessing: {min_length: 0.982}")
    assert [row.frames for row in frames.read_rows(fixed)] == [96]


def test_subset_of_classes(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "wind", "dog"])
    folder = run(tmp_path, text="dataset: {class_names: [rain, dog]}")
    assert [row.path[-8:-4] for row in frames.read_rows(folder)] == ["0000", "0001", "0003"]
    assert frames.read_info(folder).classes == ("dog", "rain")
    with pytest.raises(ConfigError, match=r"class_names: no clip is labelled 'dgo'; did you"):
        run(tmp_path, text="dataset: {class_names: [dgo]}")


def test_garbage_class_samples_each_class_outside(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "wind", "siren"] * 5)
    text = (
        "dataset: {class_names: [rain], use_garbage_class: true, n_samples_per_garbage_class: 2, "
        "seed: %d}"
    )
    chosen = []
    for seed in (0, 0, 1):
        folder = run(tmp_path, text=text % seed)
        assert frames.read_info(folder).classes == ("other", "rain")
        rows = list(frames.read_rows(folder))
        assert sum(row.labels == ("rain",) for row in rows) == 5
        other = [int(row.path[6:10]) for row in rows if row.labels == ("other",)]
        assert sorted(number % 4 for number in other) == [1, 1, 2, 2, 3, 3]
        chosen.append(other)
    assert chosen[0] == chosen[1] != chosen[2]


def test_folds_are_made_where_there_are_none(tmp_path):
    data_set(tmp_path / "clips", ["rain", "rain", "dog", "dog"] * 6, folds=False)
    rows = list(frames.read_rows(run(tmp_path, text="dataset: {n_folds: 3}")))
    assert {row.fold for row in rows} == {1, 2, 3}
    assert len({(row.source, row.fold) for row in rows}) == 12
    again = list(frames.read_rows(run(tmp_path, text="dataset: {n_folds: 3, seed: 9}")))
    assert [row.fold for row in again] != [row.fold for row in rows]


def test_multi_label(tmp_path):
    data_set(tmp_path / "clips", [["rain", "dog"], ["dog"], ["wind", "rain"], ["wind"]])
    text = "dataset: {multi_label: true, class_names: [rain, dog]}"
    folder = run(tmp_path, text=text)
    assert [row.labels for row in frames.read_rows(folder)] == [
        *(("dog", "rain"), ("dog",), ("rain",)),
    ]
    assert frames.read_info(folder).multi_label
    with pytest.raises(DataError, match=r"0000\.wav: has 2 labels \(dog, rain\); set dataset"):
        run(tmp_path)


def test_torch_threads_are_given_back(tmp_path):
    data_set(tmp_path / "clips", ["rain"])
    before = torch.get_num_threads()
    run(tmp_path)
    assert torch.get_num_threads() == before
