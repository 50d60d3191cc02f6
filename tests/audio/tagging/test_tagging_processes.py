"""A tagger that two processes train together: as one trains it, and written once."""

from __future__ import annotations

import json

import pytest
import tagging_world
from two_processes import run_two

from soundgate.audio.classification.tagging.fit import fit
from soundgate.audio.config.tagging import load_tagging


def train(waveforms, config, out):
    fit(waveforms, out / "model", out / "metrics", load_tagging(config))


def history(out):
    rows = (out / "metrics/history.jsonl").read_text("utf-8").splitlines()
    return [json.loads(row) for row in rows]


@pytest.mark.slow
def test_two_processes_train_a_tagger_like_one(tmp_path):
    """Batches of 8 as 2 x 4: batch normalisation sees halves, all else is the same."""
    clips = tagging_world.write_clips(tmp_path / "clips")
    waveforms = tagging_world.write_waveforms(clips, tmp_path / "waveforms")
    config = tmp_path / "tagging.yaml"
    config.write_text(tagging_world.CONFIG, "utf-8")
    told = run_two(train, tmp_path / "told", waveforms, config, tmp_path / "two")
    train(waveforms, config, tmp_path / "one")
    two, one = history(tmp_path / "two"), history(tmp_path / "one")
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
