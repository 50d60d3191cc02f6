"""A detector that two processes train together: as one trains it, and written once."""

from __future__ import annotations

import json

import pytest
import torch
from toy_calls import toy_config, write_dataset
from two_processes import run_two

from soundgate.audio.detection.training.fit import fit

FROZEN = {"model.frozen": ("encoder",), "training.epochs": 2}


def train(dataset, out):
    fit(dataset, out / "model", out / "metrics", toy_config().with_values(FROZEN))


def history(out):
    lines = (out / "metrics/history.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_two_processes_train_a_detector_like_one(tmp_path):
    """The encoder is frozen: normalisation, which sees halves of batches, then stands still."""
    torch.set_num_threads(1)
    dataset = write_dataset(tmp_path / "dataset", each=(13, 5))
    told = run_two(train, tmp_path / "told", dataset, tmp_path / "two")
    assert told.count("epoch 2 of 2") == 1
    train(dataset, tmp_path / "one")
    for single, shared in zip(history(tmp_path / "one"), history(tmp_path / "two"), strict=True):
        assert shared == pytest.approx(single, rel=1e-4)
