"""A tagger that two processes train together: as one trains it, and written once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tagging_world

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ("-m", "steps.tagging.train")


def train(program, waveforms, config, out):
    words = {"waveforms": waveforms, "config": config, "model": out / "model"}
    words |= {"metrics": out / "metrics"}
    done = subprocess.run(
        [
            *(sys.executable, *program),
            *(word for name, value in words.items() for word in (f"--{name}", str(value))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows = (out / "metrics/history.jsonl").read_text("utf-8").splitlines()
    return done.stdout, [json.loads(row) for row in rows]


@pytest.mark.slow
def test_two_processes_train_a_tagger_like_one(tmp_path):
    """Batches of 8 as 2 x 4: batch normalisation sees halves, all else is the same."""
    clips = tagging_world.write_clips(tmp_path / "clips")
    waveforms = tagging_world.write_waveforms(clips, tmp_path / "waveforms")
    config = tmp_path / "tagging.yaml"
    config.write_text(tagging_world.CONFIG, "utf-8")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    told, two = train((*torchrun, *TRAIN), waveforms, config, tmp_path / "two")
    _, one = train(TRAIN, waveforms, config, tmp_path / "one")
    assert told.count("epoch 4 of 4") == 1
    assert len(list((tmp_path / "two/metrics/tensorboard").iterdir())) == 1
    assert len(one) == len(two) == 4
    for single, shared in zip(one, two, strict=True):
        assert shared["learning_rate"] == single["learning_rate"]
        assert shared["loss"] == pytest.approx(single["loss"], rel=0.6)
    # The head learns alone first: normalisation then stands still, and only sums are rounded.
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], rel=1e-4)
    assert two[-1]["loss"] < two[0]["loss"]
    assert two[-1]["validation_mean_average_precision"] >= 0.9
    described = json.loads((tmp_path / "two/model/model.json").read_text("utf-8"))
    assert described["stages"] == {"head": 1, "whole": 3}
