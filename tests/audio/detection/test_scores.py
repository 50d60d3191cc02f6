"""Scores of windows: stored whole, read lazily, continued after an interruption."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from soundgate.audio.formats.detections.scores import (
    ScoredBy,
    ScoredRecording,
    ScoresFile,
    Windows,
    Writer,
    arrays_name,
    read_scores,
)
from soundgate.errors import DataError

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "schemas"
ABOUT = ScoresFile(
    model=ScoredBy(digest="0" * 64), window_s=0.4, hop_s=0.05, class_names=("hum", "cry")
)


def recording(path, windows=3, start_s=0.0):
    row = ScoredRecording(
        path=path,
        file=arrays_name(path, start_s),
        duration_s=9.0,
        sample_rate_hz=48000,
        region_start_s=start_s,
        region_end_s=9.0,
        windows=windows,
    )
    logits = np.arange(2 * windows, dtype=np.float32).reshape(windows, 2) - len(path)
    starts = start_s + 0.05 * np.arange(windows)
    return row, Windows(starts, (1 / (1 + np.exp(-logits))).astype(np.float32), logits)


def test_scores_come_back_as_they_were_written(tmp_path):
    writer = Writer(tmp_path, ABOUT)
    rows = [recording("a/x.wav"), recording("b/x.wav", start_s=2.5), recording("b/x.wav")]
    for row, windows in rows:
        writer.add(row, windows)
    writer.finish(tuple(row for row, _ in rows))
    scores = read_scores(tmp_path)
    found = list(scores)
    assert [row for row, _ in found] == [row for row, _ in rows]
    for (_, read), (_, written) in zip(found, rows, strict=True):
        assert np.array_equal(read.starts_s, written.starts_s)
        assert np.array_equal(read.scores, written.scores)
        assert np.array_equal(read.logits, written.logits)
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.npz")} == {
        "arrays/a/x.wav.npz",
        "arrays/b/x.wav@2.5.npz",
        "arrays/b/x.wav.npz",
    }
    schema = json.loads((SCHEMAS / "scores.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads((tmp_path / "scores.json").read_text("utf-8")), schema)


def test_continues_where_it_was_interrupted_and_forgets_other_settings(tmp_path):
    row, windows = recording("a.wav")
    Writer(tmp_path / "work", ABOUT).add(row, windows)
    again = Writer(tmp_path / "work", ABOUT)
    assert again.finished("a.wav") == row
    assert again.finished("b.wav") is None
    again.finish((row,), into=tmp_path / "scores")
    assert np.array_equal(read_scores(tmp_path / "scores").windows(row).logits, windows.logits)

    Writer(tmp_path / "work", ABOUT).add(row, windows)
    other = Writer(tmp_path / "work", ABOUT.model_copy(update={"hop_s": 0.1}))
    assert other.finished("a.wav") is None


def test_a_truncated_file_of_arrays_is_neither_finished_nor_read(tmp_path):
    row, windows = recording("a.wav")
    writer = Writer(tmp_path, ABOUT)
    writer.add(row, windows)
    writer.finish((row,))
    file = tmp_path / row.file
    file.write_bytes(file.read_bytes()[:300])
    assert Writer(tmp_path, ABOUT).finished("a.wav") is None
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no arrays")
    with pytest.raises(DataError, match=r"a\.wav\.npz: cannot be read; predict again"):
        read_scores(tmp_path).windows(row)


def test_arrays_of_another_length_than_announced_are_refused(tmp_path):
    row, windows = recording("a.wav")
    writer = Writer(tmp_path, ABOUT)
    writer.add(row, windows)
    writer.finish((row.model_copy(update={"windows": 4}),))
    scores = read_scores(tmp_path)
    with pytest.raises(DataError, match="expected 4 windows of 2 classes"):
        list(scores)
