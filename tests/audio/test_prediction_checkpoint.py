"""Predictions that are interrupted, and continued."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
from reading_tables import predict, rows, scores
from toy_model import CLASSES, sound, write_model, write_sound

from soundgate.audio.prediction import prediction
from soundgate.errors import Stopped

EXACT = {"rtol": 0, "atol": 2e-6}  # six decimals are kept


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Clips of many lengths, one of them of several segments, in folders of folders."""
    root = tmp_path_factory.mktemp("folder")
    for number in range(12):
        write_sound(root / f"{number % 3}" / f"{number:02d}.wav", 0.3 + 0.21 * number, number)
    write_sound(root / "1.wav", 9.3, 40)
    return root


def test_a_killed_writer_leaves_no_table(model, folder, tmp_path, monkeypatch):
    def never(*_arguments, **_values):
        raise KeyboardInterrupt

    monkeypatch.setattr("soundgate.audio.prediction.tables.Tables._patch_block", never)
    with pytest.raises(KeyboardInterrupt):
        predict(model, folder, tmp_path / "out", format="parquet")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_stopped_attempt_is_continued_with_the_same_rows(model, folder, tmp_path, monkeypatch):
    expected = predict(model, folder, tmp_path / "whole")
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.GROUP_S", 3.0)
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
    # Kernels differ with the size of a batch; the toy model makes much of it.
    np.testing.assert_allclose(scores(found, CLASSES), scores(expected, CLASSES), atol=2e-5)
    assert len(rows(tmp_path / "out", "patches")) == len(rows(tmp_path / "whole", "patches"))


def stopped(model, folder, kept, out, **settings):
    with pytest.raises(Stopped):
        prediction.predict(
            model, folder, out, prediction.Settings(**settings), checkpoints_folder=kept,
            stop=lambda: True,
        )  # fmt: skip


def test_a_checkpoint_is_used(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.GROUP_S", 1000.0)
    stopped(model, folder, tmp_path / "kept", tmp_path / "out")
    monkeypatch.setattr(
        "soundgate.audio.prediction.runtimes.FeatureRuntime.score", lambda *_: pytest.fail("again")
    )
    prediction.predict(model, folder, tmp_path / "out", checkpoints_folder=tmp_path / "kept")
    assert len(rows(tmp_path / "out", "clips")) == 20


def test_a_checkpoint_keeps_remarks_on_sound(model, tmp_path, monkeypatch):
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.GROUP_S", 1.0)
    audio, kept = tmp_path / "in", tmp_path / "kept"
    write_sound(audio / "a.wav", 1.0)
    loud = 40_000 * np.sign(sound(1.0))[:, None] * [1, -1]
    soundfile.write(audio / "b.wav", loud, 16_000, subtype="FLOAT")
    write_sound(audio / "c.wav", 1.0)
    asked = iter([False, True])
    with pytest.raises(Stopped):
        prediction.predict(
            *(model, audio, tmp_path / "out"), checkpoints_folder=kept, stop=lambda: next(asked)
        )
    monkeypatch.setattr(
        "soundgate.audio.prediction.reading.signals.remarks", lambda *_: ("asked: again",)
    )
    prediction.predict(model, audio, tmp_path / "out", checkpoints_folder=kept)
    opposed = "silent: its channels cancel each other out"
    assert [row["remark"] for row in rows(tmp_path / "out", "clips")] == [
        "",
        f"mis-scaled: its samples reach 40,000, where 1 is full scale; {opposed}",
        "asked: again",
    ]


@pytest.mark.parametrize("change", ["settings", "model", "damage", "file", "failure"])
def test_a_checkpoint_of_something_else_is_not_used(model, folder, tmp_path, monkeypatch, change):
    monkeypatch.setattr("soundgate.audio.prediction.runtimes.GROUP_S", 4.0)
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
