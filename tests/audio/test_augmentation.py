from __future__ import annotations

import numpy as np
import pytest
import torch

from soundgate.audio.classification import augmentation
from soundgate.audio.config import DataAugmentation, Gain, Mixup, SpecAug, UserConfig


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def patches():
    return torch.randn(256, 12, 20, generator=torch.Generator().manual_seed(1))


def test_gain_adds_one_number_a_patch(patches, rng):
    difference = augmentation.gain(patches, rng, scale=0.2) - patches
    torch.testing.assert_close(difference, difference[:, :1, :1].expand_as(difference))
    assert difference[:, 0, 0].std().item() == pytest.approx(0.2, rel=0.15)
    assert difference[:, 0, 0].mean().abs().item() < 0.04


def test_volume_multiplies_by_one_number_a_patch(patches, rng):
    factor = augmentation.volume(patches, rng, low=0.8, high=1.2) / patches
    torch.testing.assert_close(factor, factor[:, :1, :1].expand_as(factor))
    assert 0.8 <= factor.min().item() < 0.82
    assert 1.18 < factor.max().item() <= 1.2001


def test_noise_is_independent_everywhere(patches, rng):
    added = augmentation.noise(patches, rng, scale=0.1) - patches
    assert added.std().item() == pytest.approx(0.1, rel=0.02)
    rows = added.flatten(1)
    assert torch.corrcoef(rows[:2])[0, 1].abs().item() < 0.25
    assert added[:, 0, 0].std().item() == pytest.approx(0.1, rel=0.15)


def test_mixup_blends_patches_and_targets_alike(rng):
    # Patch i is the constant i and its target is one-hot i, so each shows the other's share.
    n = 64
    patches = torch.arange(n, dtype=torch.float32)[:, None, None].expand(n, 3, 5)
    blended, targets = augmentation.mixup(patches, torch.eye(n), rng, alpha=0.3)
    assert blended.shape == patches.shape
    torch.testing.assert_close(targets.sum(1), torch.ones(n))
    own = targets[torch.arange(n), torch.arange(n)]
    assert (own >= 0.5).all()
    assert 0.02 < (own < 0.95).float().mean() < 0.7  # Beta(0.3, 0.3) is mostly at its ends
    expected = targets @ torch.arange(n, dtype=torch.float32)
    torch.testing.assert_close(blended[:, 0, 0], expected, rtol=1e-4, atol=1e-3)
    # Every patch lends to exactly one other (or to itself).
    lent = (targets - torch.diag(own)).sum(0) + own
    assert (lent >= own - 1e-6).all()


@pytest.mark.parametrize(("mask", "axis"), [("mask_bands", 1), ("mask_frames", 2)])
def test_masks_fill_one_run_of_whole_rows(mask, axis, rng):
    patches = torch.ones(2000, 12, 20)
    masked = getattr(augmentation, mask)(patches, rng, widest=5, fill=-3.0)
    assert set(masked.unique().tolist()) == {-3.0, 1.0}
    hit = (masked == -3.0).all(3 - axis)
    assert torch.equal(hit, (masked == -3.0).any(3 - axis))
    widths = hit.sum(1)
    assert sorted(widths.unique().tolist()) == [0, 1, 2, 3, 4, 5]
    assert widths.float().mean().item() == pytest.approx(2.5, abs=0.15)
    runs = (hit[:, 1:] & ~hit[:, :-1]).sum(1) + hit[:, 0]
    assert runs.max().item() == 1
    # Masks reach both ends.
    assert hit[:, 0].any()
    assert hit[:, -1].any()


def test_a_mask_wider_than_the_patch_is_allowed(rng):
    masked = augmentation.mask_bands(torch.ones(50, 4, 6), rng, widest=100, fill=0.0)
    assert masked.sum() > 0


def test_nothing_is_done_unless_it_is_listed(patches, rng):
    config = DataAugmentation()
    targets = torch.eye(256)
    assert torch.equal(augmentation.on_features(patches, config, rng), patches)
    same, same_targets = augmentation.on_standardised(patches, targets, config, rng)
    assert torch.equal(same, patches)
    assert torch.equal(same_targets, targets)


@pytest.mark.parametrize(
    "section",
    [
        {"gain": Gain()},
        {"mixup": Mixup()},
        {"SpecAug": SpecAug(n_freq_mask=0)},
        {"SpecAug": SpecAug(n_time_mask=0)},
    ],
)
def test_each_section_has_an_effect(section, patches, rng):
    config = DataAugmentation.model_validate(section)
    changed, _ = augmentation.on_standardised(patches, torch.eye(256), config, rng)
    assert not torch.equal(changed, patches)


@pytest.mark.parametrize("name", ["GaussianNoise", "VolumeAugment"])
def test_the_zoo_s_steps_work_on_the_features(name, patches, rng):
    config = DataAugmentation.model_validate({name: {}})
    assert not torch.equal(augmentation.on_features(patches, config, rng), patches)


def test_equal_generators_give_equal_batches(patches):
    config = UserConfig.model_validate(
        {"data_augmentation": {"gain": {}, "mixup": {}, "SpecAug": {}, "GaussianNoise": {}}}
    ).data_augmentation

    def once(seed):
        rng = np.random.default_rng(seed)
        noisy = augmentation.on_features(patches, config, rng)
        return augmentation.on_standardised(noisy, torch.eye(256), config, rng)[0]

    assert torch.equal(once(3), once(3))
    assert not torch.equal(once(3), once(4))
