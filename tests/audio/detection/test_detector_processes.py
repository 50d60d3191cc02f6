"""A detector that two processes train together: as one trains it, and written once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toy_calls import CONFIG, toy_config, write_dataset

from soundgate.audio.detection.training.fit import fit

ROOT = Path(__file__).resolve().parents[3]
FROZEN = CONFIG.replace("max_pool: 0}", "max_pool: 0, frozen: [encoder]}").replace(
    "epochs: 6", "epochs: 2"
)


def history(folder):
    lines = (folder / "history.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_two_processes_train_a_detector_like_one(tmp_path):
    """The encoder is frozen: normalisation, which sees halves of batches, then stands still."""
    torch.set_num_threads(1)
    dataset = write_dataset(tmp_path / "dataset", each=(13, 5))
    config = tmp_path / "spot.yaml"
    config.write_text(FROZEN, "utf-8")
    words = {"dataset": dataset, "config": config, "model": tmp_path / "two"}
    words |= {"metrics": tmp_path / "two-metrics"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
            *("-m", "steps.spot.train"),
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
    assert done.stdout.count("epoch 2 of 2") == 1
    one = toy_config().with_values({"model.frozen": ("encoder",), "training.epochs": 2})
    fit(dataset, tmp_path / "one", tmp_path / "one-metrics", one)
    pairs = zip(history(tmp_path / "one-metrics"), history(tmp_path / "two-metrics"), strict=True)
    for single, shared in pairs:
        assert shared == pytest.approx(single, rel=1e-4)
