"""Predictions as a user gets them, on audio made here and models that are small."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch
from reading_tables import predict, rows, scores
from toy_model import CLASSES, RATE_HZ, sound, write_model, write_sound

from soundgate.audio.classification import inference
from soundgate.audio.signal import waveforms
from soundgate.audio.signal.log_mel import log_mel
from soundgate.errors import DataError, ParameterError
from steps.predict import predict as predict_step

EXACT = {"rtol": 0, "atol": 2e-6}  # six decimals are kept


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model")


def alone(model, samples):
    """Scores of one clip by evaluation's own parts, in the order in which it uses them."""
    classifier = inference.load(model)
    description = inference.read_description(model)
    prepared = waveforms.prepare(samples, description.preprocessing)
    mel = log_mel(torch.from_numpy(prepared), description.feature_extraction, RATE_HZ)
    return classifier.patch_scores(mel.half().numpy())


# -- what the results must not depend on ---------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of many lengths, one of them of several segments, in folders of folders."""
    root = tmp_path_factory.mktemp("folder")
    for number in range(12):
        write_sound(root / f"{number % 3}" / f"{number:02d}.wav", 0.3 + 0.21 * number, number)
    write_sound(root / "1.wav", 9.3, 40)
    return root


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (3, 2), (7, 1), (100_000, 3)])
def test_neither_batches_nor_workers_change_anything(
    model, folder, tmp_path, batch_size, workers, monkeypatch
):
    expected = predict(model, folder, tmp_path / "one")
    monkeypatch.setattr("soundgate.audio.prediction.reading._SMALL_BYTES", 50_000 * (workers - 1))
    found = predict(model, folder, tmp_path / "out", batch_size=batch_size, workers=workers)
    assert [row["path"] for row in found] == sorted(row["path"] for row in found)
    keys = ("path", "start_s", "end_s", "predicted")
    assert [[row[key] for key in keys] for row in found] == [
        [row[key] for key in keys] for row in expected
    ]
    # Kernels differ with the size of a batch; the toy model makes much of it.
    np.testing.assert_allclose(scores(found, CLASSES), scores(expected, CLASSES), atol=2e-5)
    for name in ("clips", "patches"):
        assert len(rows(tmp_path / "out", name)) == len(rows(tmp_path / "one", name))


def test_rows_are_sorted_as_a_manifest_is(model, tmp_path):
    names = ["a.wav", "a/x.wav", "a-b.wav", "a/b/c.wav", "B.wav", "ä.wav", "a b/z.wav"]
    for name in names:
        write_sound(tmp_path / "in" / name, 0.5)
    found = predict(model, tmp_path / "in", tmp_path / "out")
    assert [row["path"] for row in found] == sorted(names)


# -- long files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("hop_s", [0.0, 0.7])
def test_a_long_file_is_scored_as_the_clips_it_consists_of(model, tmp_path, extension, hop_s):
    path = write_sound(tmp_path / "in" / f"long.{extension}", 7.3, rate_hz=22_050)
    found = predict(model, path, tmp_path / "out", segment_s=1.5, hop_s=hop_s)
    step = hop_s or 1.5
    starts = [k * step for k in range(20) if k == 0 or k * step < 7.3]
    ends = [min(start + 1.5, 7.3) for start in starts]
    count = next(k for k, end in enumerate(ends, 1) if end == 7.3)
    assert [row["start_s"] for row in found] == pytest.approx(starts[:count])
    assert [row["end_s"] for row in found] == pytest.approx(ends[:count], abs=1e-4)
    whole, rate_hz = waveforms.reading.read(path)
    for row in found:
        piece = whole[round(row["start_s"] * rate_hz) : round(row["end_s"] * rate_hz)]
        soundfile.write(tmp_path / "piece.wav", piece, rate_hz, subtype="FLOAT")
        samples = waveforms.reading.load(tmp_path / "piece.wav", sample_rate_hz=RATE_HZ)
        expected = inference.clip_scores(alone(model, samples))
        np.testing.assert_allclose(scores([row], CLASSES)[0], expected, rtol=0, atol=2e-4)


def test_a_file_is_never_held_whole(model, tmp_path, monkeypatch):
    path = write_sound(tmp_path / "in" / "long.flac", 60.0)
    longest = []
    original = soundfile.SoundFile.read

    def watched(self, frames=-1, *args, **kwargs):
        longest.append(frames)
        return original(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", watched)
    found = predict(model, path, tmp_path / "out")
    assert len(found) == 30
    assert max(longest) == 2 * RATE_HZ
    assert sum(longest) == 60 * RATE_HZ


def test_a_remainder_of_less_than_a_frame_is_no_clip(model, tmp_path):
    write_sound(tmp_path / "in" / "a.wav", 4.031)  # a frame is 32 ms
    write_sound(tmp_path / "in" / "b.wav", 4.033)
    found = predict(model, tmp_path / "in", tmp_path / "out")
    ends = [row["end_s"] for row in found]
    assert ends == [2.0, 4.0, 2.0, 4.0, 4.033]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"segment_s": 3.0}, r"segment_s: 3 s exceeds the .*max_length of 2 s"),
        ({"segment_s": 0.01}, r"segment_s: 0\.01 s is shorter than one frame of 0\.032 s"),
        ({"hop_s": 1e-9}, r"hop_s: 1e-09 s is shorter than one frame"),
    ],
)
def test_segments_are_neither_too_long_for_the_model_nor_too_short(model, tmp_path, settings, text):
    write_sound(tmp_path / "in" / "a.wav", 0.5)
    with pytest.raises(ParameterError, match=text):
        predict(model, tmp_path / "in", tmp_path / "out", **settings)


# -- sound that tells nothing ----------------------------------------------------------------------


def test_each_clip_says_what_is_wrong_with_its_sound(model, tmp_path, capsys):
    """The same words as in the inspection of a data set; a clean clip says nothing."""
    folder = tmp_path / "in"
    write_sound(folder / "clean.wav", 1.0)
    wave = sound(1.0)
    tracks = {
        "dead.wav": np.zeros((RATE_HZ, 1)),
        "half.wav": np.stack([wave, 0 * wave], 1),
        "integers.wav": (wave * 32768)[:, None],
        "loud.wav": np.clip(20 * wave, -1, 1)[:, None],
        "opposed.wav": np.stack([wave, -wave], 1),
    }
    for name, samples in tracks.items():
        soundfile.write(folder / name, samples, RATE_HZ, subtype="FLOAT")
    late = np.concatenate([np.zeros(2 * RATE_HZ), sound(2.0)])  # silent, then not
    soundfile.write(folder / "two.wav", late, RATE_HZ)
    predict_step(model, folder, tmp_path / "out", format="jsonl")
    said = {(row["path"], row["start_s"]): row["remark"] for row in rows(tmp_path / "out", "clips")}
    peak = f"{np.abs(wave * 32768).max():,.0f}"
    assert said.pop(("loud.wav", 0.0)).startswith("clipped: ")
    assert said == {
        ("clean.wav", 0.0): "",
        ("dead.wav", 0.0): "silent: no sound in any channel",
        ("half.wav", 0.0): "with a dead channel: at least one of its 2 channels holds no sound",
        ("integers.wav", 0.0): f"mis-scaled: its samples reach {peak}, where 1 is full scale",
        ("opposed.wav", 0.0): "silent: its channels cancel each other out",
        ("two.wav", 0.0): "silent: no sound in any channel",
        ("two.wav", 2.0): "",
    }
    counts = json.loads((tmp_path / "out" / "predictions.json").read_text())["remarks"]
    assert counts == {"clipped": 1, "mis-scaled": 1, "silent": 3, "with a dead channel": 1}
    log = capsys.readouterr().out
    assert "0 failures, 1 clipped, 1 mis-scaled, 3 silent, 1 with a dead channel; " in log


# -- files that cannot be read -------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path):
    """Three good clips among what users' folders hold besides."""
    root = tmp_path / "in"
    for name in ("good.wav", "ok/größe ☂.flac", "ok/two.ogg"):
        write_sound(root / name, 0.7)
    (root / "empty.wav").touch()
    (root / "notes.txt").write_text("not audio")
    (root / "text.wav").write_text("not audio either")
    soundfile.write(root / "zero.wav", np.zeros(0), RATE_HZ)
    whole = (root / "good.wav").read_bytes()
    (root / "cut.wav").write_bytes(whole[: len(whole) // 2])
    wave = sound(0.7)
    wave[3000] = np.nan
    soundfile.write(root / "nan.wav", wave, RATE_HZ, subtype="FLOAT")
    (root / "gone.wav").symlink_to(root / "nowhere.wav")
    (root / "loop").symlink_to(root)
    return root


BAD = {
    "cut.wav": "is cut short",
    "empty.wav": "is empty",
    "gone.wav": "no such file",
    "nan.wav": "NaN",
    "text.wav": "is not audio",
    "zero.wav": "0 samples",
}


def test_what_cannot_be_read_is_listed_and_the_rest_is_predicted(model, mixed, tmp_path):
    found = predict(model, mixed, tmp_path / "out")
    assert [row["path"] for row in found] == ["good.wav", "ok/größe ☂.flac", "ok/two.ogg"]
    failures = rows(tmp_path / "out", "failures")
    assert [row["path"] for row in failures] == list(BAD)
    for row in failures:
        assert BAD[row["path"]] in row["reason"]
        assert str(mixed) not in row["reason"]
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert (summary["files"], summary["clips"], summary["failures"]) == (9, 3, 6)


def test_strict_stops_at_the_first_one(model, mixed, tmp_path):
    with pytest.raises(DataError, match=r"^cut\.wav: is cut short"):
        predict(model, mixed, tmp_path / "out", strict=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_readable_is_an_error(model, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    with pytest.raises(DataError, match=r"none of 2 could be read: a\.wav: is empty"):
        predict(model, tmp_path / "in", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("make", "text"), [(True, "contains no audio"), (False, "no such file")])
def test_no_audio_is_an_error(model, tmp_path, make, text):
    if make:
        (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=text):
        predict(model, tmp_path / "in", tmp_path / "out")


def test_a_name_that_is_not_unicode_is_listed(model, tmp_path):
    write_sound(tmp_path / "in" / "a.wav", 0.5)
    shutil.copy(tmp_path / "in" / "a.wav", os.fsencode(tmp_path / "in") + b"/b\xff.wav")
    assert len(predict(model, tmp_path / "in", tmp_path / "out")) == 1
    (failure,) = rows(tmp_path / "out", "failures")
    assert failure["path"] == "b\\udcff.wav"
    assert "not valid UTF-8" in failure["reason"]


def test_half_a_long_file_is_one_failure(model, tmp_path):
    path = write_sound(tmp_path / "in" / "long.flac", 20.0)
    data = bytearray(path.read_bytes())
    del data[len(data) // 2 :]
    path.write_bytes(data)
    found = predict(model, tmp_path / "in", tmp_path / "out")
    (failure,) = rows(tmp_path / "out", "failures")
    assert 6 < found[-1]["end_s"] == failure["start_s"] < 12
    assert failure["end_s"] == 20.0


def test_a_clip_too_short_for_a_patch_is_repeated_until_it_fills_one(tmp_path):
    model = write_model(tmp_path / "model", sound={"min_length": 0})
    write_sound(tmp_path / "in" / "a.wav", 0.1)
    (row,) = predict(model, tmp_path / "in", tmp_path / "out")
    assert (row["start_s"], row["end_s"]) == (0.0, 0.1)
    tiled = np.resize(waveforms.reading.read(tmp_path / "in" / "a.wav")[0], 23 * 160 + 512)
    np.testing.assert_allclose(scores([row], CLASSES)[0], alone(model, tiled)[0], **EXACT)


# -- which clips ---------------------------------------------------------------------------------


def test_one_file(model, tmp_path):
    path = write_sound(tmp_path / "in" / "a.wav", 0.5)
    write_sound(tmp_path / "in" / "b.wav", 0.5)
    assert [row["path"] for row in predict(model, path, tmp_path / "out")] == ["a.wav"]


def test_a_table_names_files_and_segments(model, tmp_path):
    write_sound(tmp_path / "in" / "long.wav", 8.0)
    write_sound(tmp_path / "in" / "audio" / "b, c.wav", 0.7)
    table = tmp_path / "rows.csv"
    table.write_text(
        "start_s;Filename;end_s;note\n1.5;long.wav;2.25;x\n;b, c.wav;;\n6;long.wav;;\n"
        "0;long.wav;5;\n1.5;long.wav;2.25;again\n9;long.wav;10;\n;missing.wav;;\n",
        encoding="utf-8-sig",
    )
    found = predict(model, tmp_path / "in", tmp_path / "out", manifest=table)
    assert [(row["path"], row["start_s"], row["end_s"]) for row in found] == [
        ("audio/b, c.wav", 0.0, 0.7),
        ("long.wav", 0.0, 2.0),
        ("long.wav", 2.0, 4.0),
        ("long.wav", 4.0, 5.0),
        ("long.wav", 1.5, 2.25),
        ("long.wav", 6.0, 8.0),
    ]
    samples = waveforms.reading.load(
        tmp_path / "in" / "long.wav", sample_rate_hz=RATE_HZ, start_s=1.5, end_s=2.25
    )
    expected = inference.clip_scores(alone(model, samples))
    np.testing.assert_allclose(scores(found, CLASSES)[4], expected, **EXACT)
    failures = rows(tmp_path / "out", "failures")
    assert [row["path"] for row in failures] == ["long.wav", "missing.wav"]
    assert "is not a segment of its 8 s" in failures[0]["reason"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na.wav\n", "expected one column path or filename or file"),
        ("path,file\na.wav,b.wav\n", "expected one column"),
        ("path,start_s\na.wav,soon\n", r"rows\.csv:2: start_s 'soon' is not a time"),
        ("path,start_s,end_s\na.wav,2,1\n", r"rows\.csv:2: end_s 1 is not after start_s 2"),
        ("path\n../a.wav\n", "is outside"),
        ("path\n/etc/a.wav\n", "is outside"),
        ("path,note\na.wav\n", r"rows\.csv:2: 1 cells for 2 columns"),
        ("path\n", "contains no audio"),
    ],
)
def test_a_wrong_table_is_named(model, tmp_path, text, message):
    write_sound(tmp_path / "in" / "a.wav", 0.5)
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        predict(model, tmp_path / "in", tmp_path / "out", manifest=tmp_path / "rows.csv")
    assert "\n" not in str(caught.value)


def test_a_table_may_have_blanks_around_its_quotes(model, tmp_path):
    write_sound(tmp_path / "in" / "a,b.wav", 0.6)
    (tmp_path / "rows.csv").write_text('path , "start_s"\n "a,b.wav" ,0\n\n', "utf-8")
    (row,) = predict(model, tmp_path / "in", tmp_path / "out", manifest=tmp_path / "rows.csv")
    assert (row["path"], row["start_s"]) == ("a,b.wav", 0.0)
