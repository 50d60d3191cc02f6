"""The normalisation that is measured on training clips, and mixes that are drawn from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tagging_world import CONFIG, write_clips, write_waveforms

from soundgate.audio.classification.tagging.batches import WholeSet
from soundgate.audio.classification.tagging.fit import fit
from soundgate.audio.classification.tagging.network import fresh, read_network
from soundgate.audio.clips.manifest import Clip
from soundgate.audio.config.tagging import parse_tagging
from soundgate.audio.files import reading
from soundgate.audio.formats.waveforms import Writer, read_waveforms
from soundgate.audio.signal.augmentation import mixing
from soundgate.audio.signal.augmentation.draws import Draws
from soundgate.audio.signal.front_ends import FrontEndSettings, front_end
from soundgate.audio.signal.front_ends.measuring import measured

NOTES = Path(__file__).resolve().parents[4] / "shared/datasets/tagging/real/notes_A"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def sounds():
    """Ten waveforms of other lengths and levels."""
    generator = torch.Generator().manual_seed(4)
    lengths = range(4000, 14_000, 1000)
    return [0.01 * (k + 1) * torch.randn(n, generator=generator) for k, n in enumerate(lengths)]


@pytest.mark.parametrize("name", ["MEL_SPECTROGRAM", "MFCC", "WAVELET"])
def test_every_band_has_mean_0_and_standard_deviation_1_over_the_sounds(name, sounds):
    front = front_end(FrontEndSettings(name=name, n_mels=40, n_fft=512))
    ready = front_end(measured(front, sounds))
    frames = torch.cat([ready(sound[None])[0, 0] for sound in sounds], dim=1)
    assert len(ready.settings.mean) == front.bands
    torch.testing.assert_close(frames.mean(1), torch.zeros(front.bands), atol=2e-3, rtol=0)
    deviation = frames.std(1, correction=0)
    torch.testing.assert_close(deviation, torch.ones(front.bands), atol=2e-3, rtol=0)


def test_of_several_channels_each_has_mean_0_and_standard_deviation_1(sounds):
    front = front_end(FrontEndSettings(name="MULTI_SPECTROGRAM", n_mels=36, n_fft=512))
    ready = front_end(measured(front, sounds))
    pixels = torch.cat([ready(sound[None])[0].flatten(1) for sound in sounds], dim=1)
    torch.testing.assert_close(pixels.mean(1), torch.zeros(3), atol=2e-3, rtol=0)
    torch.testing.assert_close(pixels.std(1, correction=0), torch.ones(3), atol=2e-3, rtol=0)


def test_a_band_that_never_changes_becomes_0():
    front = front_end(FrontEndSettings(n_mels=8, n_fft=256))
    ready = front_end(measured(front, [torch.zeros(4000)]))
    assert ready(torch.zeros(1, 4000)).abs().max() == 0


@pytest.mark.parametrize("name", ["AST", "WAV2VEC"])
def test_what_pretrained_encoders_expect_is_not_measured(name, sounds):
    front = front_end(FrontEndSettings(name=name))
    assert measured(front, sounds) == front.settings


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("normalisation")
    return root, write_waveforms(write_clips(root / "clips", count=20), root / "waveforms")


def test_a_training_measures_its_training_clips_alone(world):
    _, folder = world
    clips = read_waveforms(folder)
    found = fresh(parse_tagging(CONFIG, "x"), clips).front_end.settings
    front = front_end(FrontEndSettings(**{**vars(found), "mean": (), "standard_deviation": ()}))
    rows = clips.of("training")
    levels = [front.images(torch.tensor(clips.waveform(row)[None]))[0, 0] for row in rows]
    frames = torch.cat(levels, dim=1).double()
    assert found.mean == pytest.approx(frames.mean(1).tolist(), rel=1e-4)
    assert found.standard_deviation == pytest.approx(frames.std(1, correction=0).tolist(), rel=1e-4)
    fixed = CONFIG.replace("fmin_hz: 50", "fmin_hz: 50, normalisation: fixed")
    assert fresh(parse_tagging(fixed, "x"), clips).front_end.settings.mean == ()


def test_a_model_keeps_its_normalisation_and_one_that_starts_from_it_too(world, tmp_path):
    root, folder = world
    config = parse_tagging(CONFIG.replace("epochs: 4", "epochs: 2"), "x")
    fit(folder, root / "model", root / "metrics", config)
    kept = read_network(root / "model")[1].front_end.settings
    assert kept == fresh(config, read_waveforms(folder)).front_end.settings
    louder = tmp_path / "louder"
    with Writer(louder, sample_rate_hz=8000, labels=("low", "middle", "high")) as writer:
        for row in read_waveforms(folder).rows:
            clip = Clip(row.path, row.labels, split=row.split, source=row.path)
            writer.add(4 * read_waveforms(folder).waveform(row), clip)
    clips = read_waveforms(louder)
    assert fresh(config, clips).front_end.settings.mean != kept.mean
    assert fresh(config.starting_from(root / "model"), clips).front_end.settings == kept


# ----- mixes


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    """Four notes of eleven instruments each, as a training would read them."""
    if not NOTES.is_dir():
        pytest.skip(f"no real notes at {NOTES}")
    files = [file for folder in sorted(NOTES.iterdir()) for file in sorted(folder.iterdir())[:4]]
    labels = sorted({file.parent.name for file in files})
    folder = tmp_path_factory.mktemp("notes")
    with Writer(folder, sample_rate_hz=RATE_HZ, labels=labels) as writer:
        for file in files:
            clip = Clip(file.name, (file.parent.name,), split="training", source=file.name)
            writer.add(reading.load(file, sample_rate_hz=RATE_HZ), clip)
    clips = read_waveforms(folder)
    rows = clips.of("training")
    plan = SimpleNamespace(clips=clips, rows=rows)
    targets, mask = torch.from_numpy(clips.targets(rows)), torch.from_numpy(clips.mask(rows))
    return plan, WholeSet(plan, targets, mask)


def test_a_mix_of_real_notes_has_their_labels_and_the_sum_of_their_samples(notes):
    plan, partners = notes
    length = partners.length = 8000
    everyone = torch.arange(len(plan.rows))
    batch = partners(everyone, torch.zeros(len(everyone)))
    draws = Draws.of(everyone.tolist(), seed=1, epoch=2)
    name, level_db = "SUM_N_SAMPLES", 6.0
    found = mixing.summed(batch, draws, partners, most=3, name=name, level_db=level_db)
    counts = 1 + draws.integers(f"{name} count", 3)
    levels = []
    for k, count in enumerate(counts.tolist()):
        total = plan.clips.waveform(plan.rows[k])[:length].astype(np.float64)
        heard = {*plan.rows[k].labels}
        for number in range(1, count):
            row = plan.rows[int(draws.integers(f"{name} partner {number}", len(plan.rows))[k])]
            place = float(draws.uniform(f"{name} excerpt {number}")[k])
            level = float(draws.uniform(f"{name} level {number}", -level_db, level_db)[k])
            start = int(place * (row.samples - length + 1))
            total += 10 ** (level / 20) * plan.clips.waveform(row)[start : start + length]
            heard |= {*row.labels}
            levels.append(level)
        assert {plan.clips.labels[n] for n in torch.nonzero(found.targets[k])[:, 0]} == heard
        np.testing.assert_allclose(found.waveforms[k].numpy(), total / count, atol=1e-6)
    assert min(levels) < -3
    assert max(levels) > 3


def test_no_mix_comes_back_in_another_epoch(notes):
    plan, partners = notes
    partners.length = 8000
    everyone = torch.arange(len(plan.rows))
    batch = partners(everyone, torch.zeros(len(everyone)))
    mixes = [
        mixing.summed(batch, draws, partners, most=3, name="SUM_N_SAMPLES").waveforms
        for draws in (Draws.of(everyone.tolist(), seed=1, epoch=n) for n in (0, 1))
    ]
    same = (mixes[0] == mixes[1]).all(1)
    assert float(same.float().mean()) < 0.25, "one in nine stays alone in both"


def test_a_short_partner_is_repeated_up_to_the_length_of_the_batch(notes):
    plan, partners = notes
    partners.length = 40_000
    [clip] = partners(torch.tensor([0]), torch.tensor([0.9])).waveforms
    own = plan.clips.waveform(plan.rows[0])
    np.testing.assert_array_equal(clip.numpy(), np.resize(own, 40_000))
