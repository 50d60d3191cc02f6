"""The tables of predictions: the same in every format, and whole or not there."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet
import pytest
from reading_tables import rows
from toy_model import write_model, write_sound

from soundgate.audio.formats.predictions import Failure
from soundgate.audio.prediction import prediction
from soundgate.audio.prediction.predictors.classifier import ClassDecisions
from soundgate.audio.prediction.results import Scored
from soundgate.audio.prediction.tables import Tables

pytestmark = pytest.mark.slow

CLASSES = ("dog", "rain, heavy", 'say "hi"', "größe")
RESULTS = [
    Scored(
        'a "b", c\n☂\r.wav',
        1.25,
        3.25,
        np.array([[0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]], np.float32),
        np.array([[1.25, 2.0], [1.5, 3.2500001]]),
        ("silent: no sound", "clipped: much"),
    ),
    Failure("broken.wav", None, None, "is empty"),
    Scored(
        "d.wav", 0.0, 0.3, np.array([[1e-7, 0.9999999, 0, 0]], np.float32), np.array([[0.0, 0.3]])
    ),
]


def write(folder, format_, results=RESULTS):
    decisions = ClassDecisions(CLASSES, multi_label=False)
    with Tables(folder, format_, decisions, unknown_class_threshold=0.5) as tables:
        for result in results:
            tables.add(result)
    return tables


@pytest.mark.parametrize("format_", ["csv", "parquet", "jsonl"])
def test_what_is_written_is_read_back(tmp_path, format_):
    tables = write(tmp_path, format_)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"clips.{format_}",
        "failures.jsonl",
        f"patches.{format_}",
    ]
    first, second = rows(tmp_path, "clips")
    fixed = ["path", "start_s", "end_s", "predicted", "score", "unknown", "remark"]
    assert list(first) == [*fixed, *CLASSES]
    assert first["remark"] == "silent: no sound; clipped: much"
    assert second["remark"] == ""
    assert tables.remarks == {"silent": 1, "clipped": 1}
    assert first["path"] == 'a "b", c\n☂\r.wav'
    assert (first["start_s"], first["end_s"]) == (1.25, 3.25)
    assert (first["predicted"], first["score"], first["unknown"]) == ("größe", 0.325, True)
    assert [first[name] for name in CLASSES] == [0.175, 0.225, 0.275, 0.325]
    assert (second["predicted"], second["score"], second["unknown"]) == ("rain, heavy", 1.0, False)
    patches = rows(tmp_path, "patches")
    assert [row["path"] for row in patches] == [first["path"], first["path"], "d.wav"]
    assert list(patches[0]) == ["path", "start_s", "end_s", *CLASSES]
    assert [(row["start_s"], row["end_s"]) for row in patches] == [
        (1.25, 2.0),
        (1.5, 3.25),
        (0.0, 0.3),
    ]
    assert patches[0]["dog"] == pytest.approx(0.1, abs=1e-8)
    assert rows(tmp_path, "failures") == [
        {"path": "broken.wav", "start_s": None, "end_s": None, "reason": "is empty"}
    ]
    assert (tables.clips, tables.patches, tables.failures, tables.unknown) == (2, 3, 1, 1)
    assert tables.audio_s == pytest.approx(2.3)


def test_parquet_keeps_the_scores_of_patches_as_they_are(tmp_path):
    write(tmp_path, "parquet")
    found = pyarrow.parquet.read_table(tmp_path / "patches.parquet")["dog"]
    assert str(found.type) == "float"
    np.testing.assert_array_equal(found.to_numpy(), np.array([0.1, 0.25, 1e-7], np.float32))


def test_blocks_follow_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr("soundgate.audio.prediction.tables._BLOCK_PATCHES", 2)
    results = [
        Scored(f"{k:03d}.wav", 0.0, 1.0, np.full((1, 4), k / 100, np.float32), np.zeros((1, 2)))
        for k in range(7)
    ]
    for format_ in ("csv", "parquet", "jsonl"):
        write(tmp_path / format_, format_, results)
        found = rows(tmp_path / format_, "clips")
        assert [row["path"] for row in found] == [result.path for result in results]
    file = pyarrow.parquet.ParquetFile(tmp_path / "parquet" / "clips.parquet")
    assert file.num_row_groups == 4
    with (tmp_path / "csv" / "clips.csv").open() as lines:
        assert len(list(csv.reader(lines))) == 8


@pytest.mark.parametrize("format_", ["csv", "parquet", "jsonl"])
def test_an_exception_leaves_what_was_there(tmp_path, format_):
    write(tmp_path, format_)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail():
        yield RESULTS[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(tmp_path, format_, fail())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_killed_program_leaves_no_output_and_its_next_attempt_goes_on(tmp_path):
    """The step itself: SIGTERM is answered with a checkpoint, and the rows come out the same."""
    model = write_model(tmp_path / "model")
    for number in range(120):
        write_sound(tmp_path / "in" / f"{number:03d}.flac", 1.9, number, rate_hz=48_000)
    task = tmp_path / "task"
    command = [sys.executable, "-m", "steps.predict", "--version", str(model)]
    command += ["--audio", str(tmp_path / "in"), "--predictions", str(task / "predictions")]
    command += ["--checkpoints", str(task / "checkpoints")]
    environment = os.environ | {"SOUNDGATE_CPUS": "1", "SLOWLY": "1"}
    slow = [sys.executable, "-c", _SLOWLY, *command[3:]]
    process = subprocess.Popen(slow, env=environment, stderr=subprocess.PIPE, text=True)
    while not list(task.glob(".predictions.*.partial/.clips.csv.partial")):
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 75
    assert "are kept in the checkpoint" in process.stderr.read()
    process.stderr.close()
    assert sorted(path.name for path in task.iterdir()) == ["checkpoints"]
    assert list((task / "checkpoints").glob("*.npz"))
    subprocess.run(command, env=environment, check=True, capture_output=True)
    found = rows(task / "predictions", "clips")
    assert [row["path"] for row in found] == [f"{number:03d}.flac" for number in range(120)]
    assert not (task / "checkpoints").exists()
    assert json.loads((task / "predictions" / "predictions.json").read_text())["clips"] == 120


# The step, with groups of four seconds that take a quarter of a second each.
_SLOWLY = """
import time
from soundgate.audio.prediction.results import ClipScorer
from soundgate.audio.prediction import runtimes
from soundgate.step import main
from steps.predict import predict
runtimes.GROUP_S = 4.0
score = ClipScorer.score
ClipScorer.score = lambda self, group: time.sleep(0.25) or score(self, group)
main(predict)
"""


def test_a_table_for_every_class_of_a_large_vocabulary(tmp_path):
    classes = tuple(f"class {k}" for k in range(200))
    model = write_model(tmp_path / "model", classes=classes)
    write_sound(tmp_path / "in" / "a.wav", 1.0)
    for format_ in ("csv", "parquet", "jsonl"):
        chosen = prediction.Settings(format=format_)
        prediction.predict(model, tmp_path / "in", tmp_path / format_, chosen)
        (row,) = rows(tmp_path / format_, "clips")
        assert sum(row[name] for name in classes) == pytest.approx(1, abs=1e-3)
        assert row["predicted"] == max(classes, key=row.get)
