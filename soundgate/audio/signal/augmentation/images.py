"""Augmentations of images, float32 ``(clip, channel, band, frame)``; channels are treated alike."""

from __future__ import annotations

import torch
from torch import Tensor


def span(starts: Tensor, widths: Tensor, size: int) -> Tensor:
    """Bool ``(clip, size)``: ``widths`` neighbouring places of each clip from ``starts`` on."""
    places = torch.arange(size, device=starts.device)
    return (places >= starts[:, None]) & (places < (starts + widths)[:, None])


def frequency_mask(images: Tensor, starts: Tensor, widths: Tensor) -> Tensor:
    """Fill ``widths`` bands from ``starts`` on with the image's mean (Park et al. 2019)."""
    hidden = span(starts, widths, images.shape[2])[:, None, :, None]
    return torch.where(hidden, _mean(images), images)


def random_pixels(images: Tensor, hidden: Tensor, filling: Tensor) -> Tensor:
    """Replace the pixels ``hidden``, bool ``(clip, band, frame)``, by ``filling`` of that shape."""
    return torch.where(hidden[:, None], filling[:, None], images)


def rectangle(tops: Tensor, heights: Tensor, lefts: Tensor, widths: Tensor, like: Tensor) -> Tensor:
    """Bool ``(clip, band, frame)`` of one rectangle a clip (random erasing, Zhong et al. 2020)."""
    rows, columns = span(tops, heights, like.shape[2]), span(lefts, widths, like.shape[3])
    return rows[:, :, None] & columns[:, None, :]


def filling(images: Tensor, normal: Tensor, std_noise: float) -> Tensor:
    """What gaps are filled with: the image's mean and noise around it, ``(clip, band, frame)``.

    Args:
        images: float32 ``(clip, channel, band, frame)``.
        normal: standard normal ``(clip, band * frame)``.
        std_noise: standard deviation, as a share of the image's.
    """
    spread = images.std((1, 2, 3), correction=0)[:, None, None]
    noise = normal.reshape(len(images), *images.shape[2:])
    return _mean(images)[:, 0] + std_noise * spread * noise


def _mean(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3), keepdim=True)
