"""Augmentations of known images: which pixels each hides, how many, and with what."""

from __future__ import annotations

import pytest
import torch

from soundgate.audio.signal.augmentation import picture, settings
from soundgate.audio.signal.augmentation.chain import augment_images
from soundgate.audio.signal.augmentation.draws import Draws


@pytest.fixture
def images():
    return torch.randn(300, 2, 40, 60, generator=torch.Generator().manual_seed(1)) + 5.0


def augmented(images, name, *words, epoch=0):
    spec = settings.parse([name], words)
    found = augment_images(images, spec, Draws.of(range(len(images)), seed=0, epoch=epoch))
    hidden = found != images
    assert torch.equal(hidden[:, 0], hidden[:, 1]), "channels are hidden together"
    return found, hidden[:, 0]


@pytest.mark.parametrize("share", [0.0, 0.05, 0.25, 1.0])
def test_random_pixels_honour_their_probability(images, share):
    found, hidden = augmented(images, "RANDOM_PIXELS", f"hide_random_pixels_p={share}")
    assert float(hidden.float().mean()) == pytest.approx(share, abs=0.002)
    rows, columns = hidden.float().mean((0, 2)), hidden.float().mean((0, 1))
    assert float((rows - share).abs().max()) < 0.02
    assert float((columns - share).abs().max()) < 0.02
    if share == 1.0:
        spread = images.std((1, 2, 3))
        torch.testing.assert_close(found.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=2e-3, rtol=0)
        torch.testing.assert_close(found[:, 0].std((1, 2)), 0.01 * spread, atol=0.0, rtol=0.1)


def test_frequency_masks_are_one_run_of_bands_up_to_the_widest(images):
    found, hidden = augmented(images, "FREQ_MASK", "freq_mask_param=9")
    bands = hidden.all(2)
    assert torch.equal(hidden.any(2), bands), "whole bands"
    widths = bands.sum(1)
    assert sorted(set(widths.tolist())) == list(range(10))
    assert (bands.int().diff(dim=1).abs().sum(1) <= 2).all()
    assert bands.any(0).all(), "every band is masked now and then"
    first = int(widths.argmax())
    torch.testing.assert_close(
        found[first][:, bands[first]], images[first].mean().expand(2, int(widths[first]), 60)
    )


def test_a_mask_wider_than_the_image_is_the_image(images):
    _, hidden = augmented(images[:50], "FREQ_MASK", "freq_mask_param=1000")
    assert int(hidden.all(2).sum(1).max()) == 40


def test_random_erase_hides_one_rectangle_of_2_to_20_percent(images):
    _, hidden = augmented(images, "RANDOM_ERASE")
    heights, widths = hidden.any(2).sum(1), hidden.any(1).sum(1)
    area = hidden.sum((1, 2))
    assert torch.equal(area, heights * widths), "a rectangle"
    shares = area / (40 * 60)
    assert 0.015 < float(shares.min()) < 0.03
    assert 0.18 < float(shares.max()) < 0.215
    ratios = heights / widths
    assert float(ratios.min()) > 0.85
    assert float(ratios.max()) < 2.3


def test_images_do_not_depend_on_the_batch_or_its_order(images):
    spec = settings.parse(settings.IMAGE)
    whole = augment_images(images, spec, Draws.of(range(300), seed=2, epoch=1))
    rows = [250, 3, 77]
    part = augment_images(images[rows], spec, Draws.of(rows, seed=2, epoch=1))
    torch.testing.assert_close(part, whole[rows])
    other = augment_images(images[rows], spec, Draws.of(rows, seed=2, epoch=2))
    assert not torch.equal(part, other)


def test_without_names_nothing_changes(images):
    assert (
        augment_images(images, settings.parse([]), Draws.of(range(300), seed=0, epoch=0)) is images
    )


def test_the_picture_has_a_tile_for_every_name():
    drawn = picture.tiles()
    assert list(drawn) == ["unchanged", *settings.AUGMENTATIONS]
    assert {tile.shape for tile in drawn.values()} == {(96, 200)}
    for name in settings.AUGMENTATIONS:
        assert not torch.allclose(drawn[name], drawn["unchanged"], atol=0.5), name
