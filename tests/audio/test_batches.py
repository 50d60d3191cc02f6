from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from soundgate.audio.classification import batches
from soundgate.audio.classification.batches import (
    Clips,
    FrameBank,
    Sampler,
    gathered,
    standardisation,
)

# Frames of the first, third and fourth clip are training clips; 30..49 belong to another.
CLIPS = Clips(np.array([0, 50, 57]), np.array([30, 7, 43]))


def _sampler(**options):
    return Sampler(CLIPS, **{"patch_frames": 8, "batch_size": 5, "crops": 20, "seed": 1} | options)


def test_crops_stay_inside_their_clip_and_go_round():
    seen: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    wrapped = False
    for chosen, index in _sampler(crops=500).epoch(0):
        for clip, frames in zip(chosen, index, strict=True):
            first, length = CLIPS.first_frame[clip], CLIPS.frames[clip]
            offsets = frames - first
            assert ((offsets >= 0) & (offsets < length)).all()
            steps = np.diff(offsets) % length
            assert (steps == 1 % length).all()
            wrapped |= bool((np.diff(offsets) < 0).any())
            seen[int(clip)].add(int(offsets[0]))
    assert wrapped
    assert {clip: len(starts) for clip, starts in seen.items()} == {0: 30, 1: 7, 2: 43}


def test_every_clip_gives_as_many_crops():
    drawn = np.concatenate([chosen for chosen, _ in _sampler().epoch(3)])
    assert np.bincount(drawn).tolist() == [20, 20, 20]
    assert _sampler().batches == 12


def test_fewer_patches_than_a_batch_still_make_one():
    sampler = _sampler(batch_size=32, crops=2)
    drawn = [len(chosen) for chosen, _ in sampler.epoch(0)]
    assert drawn == [6]
    assert sampler.batches == 1


def test_an_epoch_depends_on_seed_and_number_alone():
    def epoch(number, **options):
        return np.concatenate([index.ravel() for _, index in _sampler(**options).epoch(number)])

    np.testing.assert_array_equal(epoch(2), epoch(2))
    assert not np.array_equal(epoch(2), epoch(3))
    assert not np.array_equal(epoch(2), epoch(2, seed=2))


def test_processes_divide_the_batches_of_one():
    whole = list(_sampler(batch_size=6).epoch(1))
    shares = [list(_sampler(batch_size=6, rank=rank, world=3).epoch(1)) for rank in range(3)]
    for number, (chosen, index) in enumerate(whole):
        parts = [share[number] for share in shares]
        assert [len(part[0]) for part in parts] == [2, 2, 2]
        for rank, part in enumerate(parts):
            np.testing.assert_array_equal(part[0], chosen[rank::3])
            np.testing.assert_array_equal(part[1], index[rank::3])


def test_standardisation_sees_the_training_clips_only(monkeypatch):
    monkeypatch.setattr(batches, "_BLOCK_FRAMES", 16)
    rng = np.random.default_rng(0)
    frames = rng.normal(-40.0, [1.0, 5.0, 0.1], (100, 3)).astype(np.float16)
    frames[30:50] = 1000.0
    norm = standardisation(frames, CLIPS)
    training = np.delete(frames, np.s_[30:50], axis=0).astype(np.float64)
    np.testing.assert_allclose(norm.mean, training.mean(0), rtol=1e-6)
    np.testing.assert_allclose(norm.standard_deviation, training.std(0), rtol=1e-5)
    patches = torch.from_numpy(training.astype(np.float32)).T[None]
    done = norm.apply(patches)
    torch.testing.assert_close(done.mean(2), torch.zeros(1, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(done.std(2, correction=0), torch.ones(1, 3), atol=1e-4, rtol=0)


def test_a_band_that_never_changes_is_not_divided_by_zero():
    norm = standardisation(np.full((10, 2), -9.0, np.float16), Clips(np.array([0]), np.array([10])))
    assert norm.standard_deviation.tolist() == [1.0, 1.0]
    assert norm.mean.tolist() == [-9.0, -9.0]


@pytest.mark.parametrize("resident_bytes", [0, 10**9])
def test_gathering_from_disk_and_from_memory_is_the_same(tmp_path, monkeypatch, resident_bytes):
    monkeypatch.setattr(batches, "RESIDENT_BYTES", resident_bytes)
    frames = np.arange(100 * 3, dtype=np.float16).reshape(100, 3)
    np.save(tmp_path / "frames.npy", frames)
    bank = FrameBank(np.load(tmp_path / "frames.npy", mmap_mode="r"), torch.device("cpu"))
    assert bank.resident == (resident_bytes > 0)
    index = np.array([[5, 6, 7, 8], [98, 99, 0, 1]])
    patches = bank.gather(index)
    assert patches.shape == (2, 3, 4)
    assert patches.dtype == torch.float32
    assert patches[1, 2].tolist() == [frames[k, 2] for k in (98, 99, 0, 1)]


@pytest.mark.parametrize("resident_bytes", [0, 10**9])
def test_reading_ahead_keeps_the_order_and_may_be_left_early(monkeypatch, resident_bytes):
    monkeypatch.setattr(batches, "RESIDENT_BYTES", resident_bytes)
    frames = np.arange(100, dtype=np.float16)[:, None]
    bank = FrameBank(frames, torch.device("cpu"))
    assert bank.resident == (resident_bytes > 0)
    pairs = list(gathered(bank, _sampler(crops=5).epoch(0)))
    assert len(pairs) == 3
    for (chosen, patches), (wanted, index) in zip(pairs, _sampler(crops=5).epoch(0), strict=True):
        np.testing.assert_array_equal(chosen, wanted)
        np.testing.assert_array_equal(patches[:, 0].numpy(), index)
    first = list(itertools.islice(gathered(bank, _sampler(crops=5).epoch(0)), 1))
    np.testing.assert_array_equal(first[0][0], pairs[0][0])


def test_an_error_while_reading_ahead_arrives(monkeypatch):
    monkeypatch.setattr(batches, "RESIDENT_BYTES", 0)
    bank = FrameBank(np.zeros((10, 1), np.float16), torch.device("cpu"))
    with pytest.raises(IndexError):
        list(gathered(bank, _sampler().epoch(0)))
