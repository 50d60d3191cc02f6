"""Mixtures of real notes that were not learnt from are tagged better than by statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import tagging_notes, tagging_real
from soundgate.audio.classification.tagging.evaluation import evaluate
from soundgate.audio.classification.tagging.fit import fit
from soundgate.audio.clips.manifest import Clip
from soundgate.audio.config.tagging import load_tagging
from soundgate.audio.formats.waveforms import Writer, read_waveforms
from soundgate.audio.metrics import multilabel

ROOT = Path(__file__).resolve().parents[3]
NOTES = ROOT.parent / "shared/datasets/tagging/real/notes_A"
INSTRUMENTS = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")

pytestmark = pytest.mark.skipif(not NOTES.is_dir(), reason=f"no real notes at {NOTES}")


@pytest.fixture(scope="module")
def sides():
    known = tagging_notes.read_notes(NOTES)
    return tagging_notes.divided({name: known[name] for name in INSTRUMENTS}, (0.6, 0.15))


def test_no_note_is_on_two_sides(sides):
    for name in INSTRUMENTS:
        notes = [note.tobytes() for side in sides for note in side[name]]
        assert len(set(notes)) == len(notes)
        assert all(len(side[name]) >= 2 for side in sides)
    assert [len(side["cel"]) for side in sides] == [12, 3, 5]


def test_a_mixture_is_the_sum_of_its_instruments_at_levels_of_their_own(sides):
    [mixture] = tagging_notes.mixtures(sides[2], 1, seed=9)
    rng = np.random.default_rng([9, 0])
    count = rng.choice((1, 2, 2, 3, 3))
    labels = tuple(sorted(rng.choice(list(INSTRUMENTS), count, replace=False)))
    assert mixture.labels == labels
    total = np.zeros(80_000)
    for label in labels:
        line = tagging_notes.melody(sides[2][label], rng)
        total += tagging_notes.at_level(line, rng.uniform(-5, 5))
    expected = total * 0.1 / np.sqrt((total**2).mean())
    np.testing.assert_allclose(mixture.samples, expected, atol=1e-5)


@pytest.mark.slow
def test_mixtures_of_held_out_notes_are_tagged_better_than_by_regression(sides, tmp_path):
    torch.set_num_threads(1)
    training, validation, test = sides
    clips = {
        "training": tagging_notes.recordings(training, 24, 5),
        "validation": tagging_notes.mixtures(validation, 30, 2),
        "test": tagging_notes.mixtures(test, 80, 3),
    }
    folder = tmp_path / "waveforms"
    with Writer(folder, sample_rate_hz=tagging_notes.RATE_HZ, labels=INSTRUMENTS) as writer:
        for side, some in clips.items():
            for k, clip in enumerate(some):
                name = f"{side}/{k}"
                writer.add(clip.samples, Clip(name, clip.labels, split=side, source=name))
    config = load_tagging(ROOT / "user_configs/tagging_notes.yaml")
    shorter = {
        "training": config.training.model_copy(update={"epochs": 18, "chunk_s": 2.0}),
        "audio_transform": config.audio_transform.model_copy(update={"hop_length": 640}),
    }
    fit(folder, tmp_path / "model", tmp_path / "metrics", config.model_copy(update=shorter))
    report = evaluate(folder, tmp_path / "model", tmp_path / "report", batch_size=64)
    known = tagging_notes.mixtures(training, 150, 1)
    peer = multilabel.figures(tagging_real.regression(read_waveforms(folder), known))
    found = report.metrics["mean_average_precision"].value
    # 0.656 was seen, beside 0.532; the whole training of docs/tagging.md reaches 0.84.
    assert found >= 0.6
    assert found >= float(peer.mean_average_precision) + 0.05
