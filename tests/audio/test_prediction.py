"""Predictions as a user gets them, on audio made here and models that are small."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
import torch
from reading_tables import rows, scores
from toy_model import CLASSES, RATE_HZ, sound, write_model, write_sound

from soundgate.audio import evaluation, features, inference, prediction, training, waveforms
from soundgate.audio.config import UserConfig
from soundgate.audio.datasets import prepare
from soundgate.audio.datasets.base import Source
from soundgate.audio.feature_set import read_features
from soundgate.errors import DataError, ParameterError, Stopped

EXACT = {"rtol": 0, "atol": 2e-6}  # six decimals are kept


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model")


def predict(model, audio, out, *, manifest=None, workers=1, **settings):
    chosen = prediction.Settings(**settings)
    prediction.predict(model, audio, out, chosen, manifest=manifest, workers=workers)
    return rows(out, "clips")


def alone(model, samples):
    """Scores of one clip by evaluation's own parts, in the order in which it uses them."""
    classifier = inference.load(model)
    description = inference.model_folder.read_description(model)
    prepared = waveforms.prepare(samples, description.preprocessing)
    mel = features.log_mel(torch.from_numpy(prepared), description.feature_extraction, RATE_HZ)
    return classifier.patch_scores(mel.half().numpy())


# -- the same as evaluation ----------------------------------------------------------------------


@pytest.fixture(scope="module", params=[False, True], ids=["one class", "multi-label"])
def evaluated(request, tmp_path_factory):
    """A data set with silence, short clips and too long ones; a trained model; its evaluation."""
    root = tmp_path_factory.mktemp("evaluated")
    multi_label = request.param
    lines = ["filename,category"]
    for number in range(24):
        label = ("dog", "rain", "other")[number % 3]
        wave = sound((0.3, 1.0, 1.7, 2.6)[number % 4], seed=number) * (1 + number % 3)
        if number % 5 == 0:
            wave[wave.size // 3 : wave.size // 2] = 0.0
        rate_hz = (16_000, 22_050)[number % 2]
        (root / "raw").mkdir(exist_ok=True)
        soundfile.write(root / "raw" / f"{number:02d}.wav", wave, rate_hz)
        both = multi_label and number % 6 == 0
        lines.append(f"{number:02d}.wav,{'dog;rain' if both else label}")
    (root / "raw" / "labels.csv").write_text("\n".join(lines) + "\n")
    prepare("csv", [Source(root / "raw")], root / "clips")
    config = UserConfig.model_validate(
        {
            "dataset": {"n_folds": 2, "validation_split": 0, "multi_label": multi_label},
            "preprocessing": {"min_length": 0.5, "max_length": 2.0},
            "feature_extraction": {"n_mels": 16, "patch_length": 24},
            "training": {"epochs": 2, "precision": "float32", "model": {"width": 0.25}},
        }
    )
    features.extract(root / "clips", root / "features", config)
    training.fit(root / "features", root / "model", root / "metrics", config)
    evaluation.evaluate(root / "features", root / "model", root / "report")
    lines = (root / "report" / "predictions.jsonl").read_text().splitlines()
    return root, [json.loads(line) for line in lines]


def test_predicting_the_test_clips_gives_what_evaluation_gave(evaluated, tmp_path):
    root, expected = evaluated
    found = predict(root / "model", root / "clips", tmp_path / "out", format="jsonl")
    begins = {row["path"]: row for row in reversed(found)}  # a long clip's first segment stays
    assert len(expected) >= 8
    for clip in expected:
        row = begins[clip["path"]]
        assert row["start_s"] == 0.0
        given = row["predicted"] if isinstance(row["predicted"], list) else [row["predicted"]]
        assert given == clip["predicted"]
        for label, score in clip["scores"].items():
            assert row[label] == pytest.approx(score, abs=2e-6)
    patches = [row["path"] for row in rows(tmp_path / "out", "patches")]
    short = [clip for clip in expected if begins[clip["path"]]["end_s"] < 2]
    assert short
    assert all(patches.count(clip["path"]) == clip["patches"] for clip in short)


def test_patch_scores_are_evaluations(evaluated, tmp_path):
    root, _ = evaluated
    manifest = root / "clips" / "manifest.jsonl"
    predict(root / "model", root / "clips", tmp_path / "out", manifest=manifest)
    found = rows(tmp_path / "out", "patches")
    opened, classifier = read_features(root / "features"), inference.load(root / "model")
    for row in opened.rows:
        expected = classifier.patch_scores(opened.clip_frames(row))
        own = [patch for patch in found if patch["path"] == row.path][: len(expected)]
        np.testing.assert_allclose(scores(own, opened.info.classes), expected, **EXACT)


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
    whole, rate_hz = waveforms.io.read(path)
    for row in found:
        piece = whole[round(row["start_s"] * rate_hz) : round(row["end_s"] * rate_hz)]
        soundfile.write(tmp_path / "piece.wav", piece, rate_hz, subtype="FLOAT")
        samples = waveforms.io.load(tmp_path / "piece.wav", sample_rate_hz=RATE_HZ)
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


def test_a_segment_cannot_exceed_what_the_model_knows(model, tmp_path):
    write_sound(tmp_path / "in" / "a.wav", 0.5)
    with pytest.raises(ParameterError, match=r"segment_s: 3 s exceeds the .*max_length of 2 s"):
        predict(model, tmp_path / "in", tmp_path / "out", segment_s=3.0)


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


@pytest.mark.parametrize(("make", "text"), [(True, "holds no audio"), (False, "no such file")])
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
    tiled = np.resize(waveforms.io.read(tmp_path / "in" / "a.wav")[0], 23 * 160 + 512)
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
    samples = waveforms.io.load(
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
        ("path\n../a.wav\n", "is not inside of"),
        ("path\n/etc/a.wav\n", "is not inside of"),
        ("path,note\na.wav\n", r"rows\.csv:2: 1 cells for 2 columns"),
        ("path\n", "holds no audio"),
    ],
)
def test_a_wrong_table_is_named(model, tmp_path, text, message):
    write_sound(tmp_path / "in" / "a.wav", 0.5)
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        predict(model, tmp_path / "in", tmp_path / "out", manifest=tmp_path / "rows.csv")
    assert "\n" not in str(caught.value)


# -- thresholds, several labels ------------------------------------------------------------------


def test_below_the_threshold_a_clip_is_unknown(model, folder, tmp_path):
    best = sorted(row["score"] for row in predict(model, folder, tmp_path / "all"))
    threshold = best[len(best) // 2]
    found = predict(model, folder, tmp_path / "out", unknown_class_threshold=threshold - 1e-6)
    assert 0 < sum(row["unknown"] for row in found) < len(found)
    assert all(row["unknown"] == (row["score"] < threshold) for row in found)
    assert all(row["score"] == max(row[label] for label in CLASSES) for row in found)
    assert all(row[row["predicted"]] == row["score"] for row in found)
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert summary["unknown"] == sum(row["unknown"] for row in found)
    assert not any(row["unknown"] for row in rows(tmp_path / "all", "clips"))


@pytest.mark.parametrize("format_", ["csv", "parquet", "jsonl"])
def test_several_labels_at_one_half(folder, tmp_path, format_):
    model = write_model(tmp_path / "model", multi_label=True)
    found = predict(model, folder, tmp_path / "out", format=format_)
    lengths = set()
    for row in found:
        expected = [label for label in CLASSES if row[label] >= 0.5]
        assert row["predicted"] == (";".join(expected) if format_ == "csv" else expected)
        lengths.add(len(expected))
    assert len(lengths) > 1


def test_the_class_other_and_columns_of_the_same_name(folder, tmp_path):
    classes = ("Path", "class_path", "other", "score", "unknown")
    model = write_model(tmp_path / "model", classes=classes)
    found = predict(model, folder, tmp_path / "out")
    columns = json.loads((tmp_path / "out" / "predictions.json").read_text())["columns"]
    assert columns == {
        "Path": "class_Path",
        "class_path": "class_class_path",
        "other": "other",
        "score": "class_score",
        "unknown": "class_unknown",
    }
    assert set(columns.values()) < found[0].keys()
    assert len(found[0]) == 6 + len(classes)
    np.testing.assert_allclose(scores(found, columns.values()).sum(1), 1, atol=1e-5)
    assert {row["predicted"] for row in found} <= set(classes)


# -- interruptions -------------------------------------------------------------------------------


def test_a_killed_writer_leaves_no_table(model, folder, tmp_path, monkeypatch):
    def never(*_arguments, **_values):
        raise KeyboardInterrupt

    monkeypatch.setattr("soundgate.audio.prediction.tables.Tables._patch_block", never)
    with pytest.raises(KeyboardInterrupt):
        predict(model, folder, tmp_path / "out", format="parquet")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_stopped_attempt_is_continued_with_the_same_rows(model, folder, tmp_path, monkeypatch):
    expected = predict(model, folder, tmp_path / "whole")
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.TorchRuntime.GROUP_S", 3.0)
    kept = tmp_path / "checkpoints"
    attempts = 0
    while True:
        asked = iter([False, True])
        try:
            prediction.predict(
                model,
                folder,
                tmp_path / "out",
                checkpoints_folder=kept,
                stop=lambda asked=asked: next(asked, True),
            )
            break
        except Stopped:
            attempts += 1
            assert list((tmp_path / "out").iterdir()) == []
            assert len(list(kept.glob("*.npz"))) == attempts
    assert attempts > 3
    found = rows(tmp_path / "out", "clips")
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    np.testing.assert_allclose(scores(found, CLASSES), scores(expected, CLASSES), **EXACT)
    assert len(rows(tmp_path / "out", "patches")) == len(rows(tmp_path / "whole", "patches"))


def stopped(model, folder, kept, out, **settings):
    with pytest.raises(Stopped):
        prediction.predict(
            model, folder, out, prediction.Settings(**settings), checkpoints_folder=kept,
            stop=lambda: True,
        )  # fmt: skip


def test_a_checkpoint_is_used(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.TorchRuntime.GROUP_S", 1000.0)
    stopped(model, folder, tmp_path / "kept", tmp_path / "out")
    monkeypatch.setattr(
        "soundgate.audio.prediction.runtimes.TorchRuntime.score", lambda *_: pytest.fail("again")
    )
    prediction.predict(model, folder, tmp_path / "out", checkpoints_folder=tmp_path / "kept")
    assert len(rows(tmp_path / "out", "clips")) == 20


@pytest.mark.parametrize("change", ["settings", "model", "damage", "file", "failure"])
def test_a_checkpoint_of_something_else_is_not_used(model, folder, tmp_path, monkeypatch, change):
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.TorchRuntime.GROUP_S", 4.0)
    audio, kept, out = tmp_path / "in", tmp_path / "kept", tmp_path / "out"
    shutil.copytree(folder, audio)
    if change == "failure":
        (audio / "0.wav").touch()
    stopped(model, audio, kept, out)
    settings = {}
    if change == "settings":
        settings = {"segment_s": 1.0}
    if change == "model":
        model = write_model(tmp_path / "model", seed=5)
    if change == "damage":
        (path,) = kept.glob("*.npz")
        path.write_bytes(path.read_bytes()[:-40])
    if change == "file":
        write_sound(audio / "0" / "001.wav", 0.5)
    chosen = prediction.Settings(**settings)
    prediction.predict(model, audio, out, chosen, checkpoints_folder=kept)
    found = rows(out, "clips")
    expected = predict(model, audio, tmp_path / "new", **settings)
    assert [(row["path"], row["start_s"]) for row in found] == [
        (row["path"], row["start_s"]) for row in expected
    ]
    np.testing.assert_allclose(scores(found, CLASSES), scores(expected, CLASSES), **EXACT)
    assert rows(out, "failures") == rows(tmp_path / "new", "failures")
