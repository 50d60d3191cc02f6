"""Waveforms: from a manifest to the array that is trained on, divided by recording."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from soundgate.audio.clips.division import Division, divide
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.extraction.waveforms import Settings, extract_waveforms
from soundgate.audio.files import reading
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.inspection import check
from soundgate.errors import ConfigError, DataError
from steps.tagging.prepare import prepare

RATE_HZ = 8000


def tone(folder, name, frequency_hz, *, channels=1, rate_hz=RATE_HZ, seconds=0.5):
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = 0.5 * np.sin(2 * np.pi * frequency_hz * time_s)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / name, np.stack([wave] * channels, axis=1), rate_hz, subtype="FLOAT")


@pytest.fixture
def clips(tmp_path):
    """Thirty recordings of two clips: 10 cello, 10 organ, 10 both; stereo at 16 kHz among them."""
    folder, rows = tmp_path / "clips", []
    for number in range(30):
        labels = (("cel",), ("org",), ("cel", "org"))[number % 3]
        for take in "ab":
            name = f"audio/{number:02d}{take}.wav"
            stereo = number % 2 == 1
            tone(
                folder,
                name,
                100 + 40 * number + (take == "b"),
                channels=1 + stereo,
                rate_hz=RATE_HZ * (1 + stereo),
            )
            rows.append(Clip(name, labels, source=f"{number:02d}", columns={"genre": "pop"}))
    write_manifest(folder / "manifest.jsonl", rows)
    return folder


def prepared(clips, out, **settings):
    extract_waveforms(clips, out, Settings(sample_rate_hz=RATE_HZ, **settings))
    return read_waveforms(out)


def test_keeps_recordings_whole_and_labels_balanced(clips, tmp_path):
    found = prepared(clips, tmp_path / "waveforms")
    assert found.labels == ("cel", "org")
    assert 10 <= len(found.of("test")) <= 14
    assert 6 <= len(found.of("validation")) <= 12
    sides = {}
    for row in found.rows:
        assert sides.setdefault(row.group, row.split) == row.split
    for split in ("training", "validation", "test"):
        targets = found.targets(found.of(split))
        assert abs(targets[:, 0].sum() - targets[:, 1].sum()) <= 4, split
    assert found.mask(found.rows).all()
    assert found.rows[0].columns == {"genre": "pop"}


def test_waveforms_are_what_the_reader_decodes(clips, tmp_path):
    found = prepared(clips, tmp_path / "waveforms")
    for row in found.rows[:4]:  # both mono at 8 kHz and stereo at 16 kHz
        expected = reading.load(clips / row.path, sample_rate_hz=RATE_HZ)
        np.testing.assert_array_equal(found.waveform(row), expected)
        assert found.waveform(row).dtype == np.float32
    assert found.samples.size == sum(row.samples for row in found.rows)


def test_the_number_of_workers_and_the_cache_change_nothing(clips, tmp_path):
    settings = Settings(sample_rate_hz=RATE_HZ)
    one, many = tmp_path / "one", tmp_path / "many"
    extract_waveforms(clips, one, settings, workers=1)
    for _ in range(2):  # the second time from the cache
        extract_waveforms(clips, many, settings, workers=5, cache=tmp_path / "cache")
        for name in ("waveforms.npy", "clips.jsonl", "waveforms.json"):
            assert (one / name).read_bytes() == (many / name).read_bytes()


def test_the_step_writes_an_inspection_that_accept_reads(clips, tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"sample_rate_hz": RATE_HZ}))
    prepare(clips, settings, tmp_path / "waveforms", tmp_path / "inspection")
    assert check(tmp_path / "inspection") == "60 clips of 2 classes accepted; 0 remarks"
    assert len(read_waveforms(tmp_path / "waveforms").rows) == 60


def test_the_same_sound_on_two_sides_is_refused(clips, tmp_path):
    rows = [Clip("audio/00a.wav", ("cel",), split="training")]
    rows += [Clip("audio/01a.wav", ("org",), split="training")]
    samples, rate_hz = soundfile.read(clips / "audio" / "00a.wav")
    soundfile.write(clips / "audio" / "zz.wav", samples, rate_hz, subtype="DOUBLE")
    rows += [Clip("audio/zz.wav", ("cel",), split="test")]
    (clips / "manifest.jsonl").unlink()
    write_manifest(clips / "manifest.jsonl", rows)
    settings = tmp_path / "settings.json"
    inspection = {"min_clips_per_class": 1}
    settings.write_text(json.dumps({"validation_split": 0, "inspection": inspection}))
    prepare(clips, settings, tmp_path / "waveforms", tmp_path / "inspection")
    with pytest.raises(DataError, match=r"on both sides of a split .*zz.wav: is in test, the same"):
        check(tmp_path / "inspection")


def test_clips_of_the_same_bytes_are_never_divided(clips, tmp_path):
    rows = []
    for number in range(10):
        for name in (f"audio/{number:02d}a.wav", f"audio/{number:02d}x.wav"):
            (clips / name).write_bytes((clips / f"audio/{number:02d}a.wav").read_bytes())
            rows.append(Clip(name, ("cel",)))
    write_manifest(clips / "manifest.jsonl", rows)
    found = prepared(clips, tmp_path / "waveforms")
    sides = {row.path: row.split for row in found.rows}
    assert all(sides[path] == sides[path.replace("a.wav", "x.wav")] for path in sides)


def test_a_recording_on_two_sides_ends_the_preparation():
    rows = [Clip("a.wav", ("x",), source="7", split="training")]
    rows += [Clip("b.wav", ("x",), source="7", split="test")]
    with pytest.raises(DataError, match=r"b.wav: is in test, but a.wav from the same source"):
        divide(rows, Division())


def test_given_sides_stand_and_only_what_is_missing_is_made():
    rows = [Clip(f"{n:02d}.wav", ("xy"[n % 2],)) for n in range(20)]
    rows += [Clip(f"v{n}.wav", ("xy"[n % 2],), split="validation") for n in range(4)]
    found = divide(rows, Division(n_folds=4))
    assert [clip.split for clip in found if clip.path[0] == "v"] == ["validation"] * 4
    assert sum(clip.split == "test" for clip in found) == 5
    assert [clip.split for clip in divide(rows, Division(n_folds=4))] == [c.split for c in found]
    assert [c.split for c in divide(rows, Division(n_folds=4, seed=1))] != [c.split for c in found]


def test_folds_of_the_data_set_hold_out_the_test():
    rows = [Clip(f"{n}.wav", ("x",), fold=n % 3 + 1) for n in range(9)]
    found = divide(rows, Division(test_fold=2, validation_split=0))
    assert [clip.path for clip in found if clip.split == "test"] == ["1.wav", "4.wav", "7.wav"]
    with pytest.raises(DataError, match="fold 4 has no clips; known folds: 1, 2, 3"):
        divide(rows, Division(test_fold=4))


@pytest.mark.parametrize("options", [{"fraction": 0.1}, {"quick": True}])
def test_a_fraction_keeps_every_label_in_every_split(options):
    rows = [
        Clip(f"{n:04d}.wav", ("abcdefgh"[n % 8], *(("rare",) if n % 100 == 0 else ())))
        for n in range(1000)
    ]
    found = divide(rows, Division(**options))
    assert 80 < len(found) < 140
    for split in ("training", "validation", "test"):
        labels = {label for clip in found if clip.split == split for label in clip.labels}
        assert labels == {*"abcdefgh", "rare"}, split
    assert {clip.identity for clip in found} < {clip.identity for clip in rows}


def test_labels_are_those_asked_for_in_their_order(clips, tmp_path):
    found = prepared(clips, tmp_path / "waveforms", labels=("org", "cel"))
    assert found.labels == ("org", "cel")
    only = prepared(clips, tmp_path / "only", labels=("org",))
    assert only.labels == ("org",)
    assert only.targets(only.rows).sum() == 40
    assert sum(not row.labels for row in only.rows) == 20, "a clip without its label is a negative"
    with pytest.raises(ConfigError, match="labels: no clip is labelled 'orgn'; did you mean 'org'"):
        prepared(clips, tmp_path / "other", labels=("orgn",))


def test_what_was_not_looked_for_is_masked(clips, tmp_path):
    rows = [
        Clip("audio/00a.wav", ("cel",), split="training", judged={"cel": 0.8}),
        Clip("audio/01a.wav", ("org",), split="training"),
        Clip("audio/02a.wav", (), split="test", judged={"cel": 0.1, "org": 0.4}),
    ]
    write_manifest(clips / "manifest.jsonl", rows, allow_unlabelled=True)
    found = prepared(clips, tmp_path / "waveforms", validation_split=0)
    assert found.targets(found.rows).tolist() == [[1, 0], [0, 1], [0, 0]]
    assert found.mask(found.rows).tolist() == [[True, False], [True, True], [True, True]]
    np.testing.assert_allclose(found.probabilities(found.rows), [[0.8, 0], [0, 1], [0.1, 0.4]])


def test_clips_to_predict_need_no_labels(clips, tmp_path):
    rows = [Clip("audio/00a.wav", ()), Clip("audio/01a.wav", ())]
    write_manifest(clips / "manifest.jsonl", rows, allow_unlabelled=True)
    with pytest.raises(DataError, match="no clip has a label"):
        prepared(clips, tmp_path / "waveforms")
    found = prepared(clips, tmp_path / "waveforms", predicted_only=True, labels=("cel",))
    assert [row.split for row in found.rows] == ["", ""]


def test_damage_is_noticed(clips, tmp_path):
    folder = tmp_path / "waveforms"
    prepared(clips, folder)
    lines = (folder / "clips.jsonl").read_text().splitlines()
    (folder / "clips.jsonl").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"waveforms.npy: holds 240000 samples, but clips.jsonl"):
        read_waveforms(folder)
    (folder / "clips.jsonl").write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(DataError, match=r"clips.jsonl:1: first_sample 4000 should be 0"):
        read_waveforms(folder)


def test_a_failed_preparation_leaves_nothing(clips, tmp_path):
    (clips / "audio" / "29b.wav").write_bytes(b"no audio")
    with pytest.raises(DataError, match=r"29b\.wav"):
        prepared(clips, tmp_path / "waveforms")
    assert list((tmp_path / "waveforms").iterdir()) == []
