"""What is done to training patches, a whole batch at once.

Patches are float32 ``(batch, mel, frame)``; ``volume`` and ``noise`` work on log-mel values,
everything else on standardised ones, whose mean is 0 in every band. Random numbers come from the
generator that is passed, so that an epoch can be repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.signal.augmentation.images import span

if TYPE_CHECKING:
    from soundgate.audio.config import DataAugmentation


def volume(patches: Tensor, rng: np.random.Generator, *, low: float, high: float) -> Tensor:
    """Multiply each patch by one uniform factor from ``low`` to ``high`` (STM32 model zoo)."""
    return patches * _column(rng.uniform(low, high, len(patches)), patches)


def noise(patches: Tensor, rng: np.random.Generator, *, scale: float) -> Tensor:
    """Add normal noise of standard deviation ``scale`` to every value."""
    generator = torch.Generator(patches.device).manual_seed(int(rng.integers(2**63)))
    drawn = torch.randn(patches.shape, generator=generator, device=patches.device)
    return patches + scale * drawn


def gain(patches: Tensor, rng: np.random.Generator, *, scale: float) -> Tensor:
    """Add one normal number of standard deviation ``scale`` to each patch: another loudness."""
    return patches + _column(scale * rng.standard_normal(len(patches)), patches)


def mixup(
    patches: Tensor, targets: Tensor, rng: np.random.Generator, *, alpha: float
) -> tuple[Tensor, Tensor]:
    """Blend each patch and its target with another one of the batch (Zhang et al. 2018).

    A patch keeps the larger share: of lambda drawn from Beta(alpha, alpha) and 1 - lambda.

    Args:
        patches: float32 ``(batch, mel, frame)``.
        targets: float32 ``(batch, class)``.
        rng: source of the shares and of the partners.
        alpha: both parameters of the Beta distribution.
    """
    drawn = rng.beta(alpha, alpha, len(patches))
    share = np.maximum(drawn, 1.0 - drawn)
    partner = torch.as_tensor(rng.permutation(len(patches)), device=patches.device)
    own = _column(share, patches)
    blended = patches * own + patches[partner] * (1.0 - own)
    return blended, targets * own[:, :, 0] + targets[partner] * (1.0 - own[:, :, 0])


def mask_bands(
    patches: Tensor, rng: np.random.Generator, *, widest: int, fill: float = 0.0
) -> Tensor:
    """Fill 0 to ``widest`` neighbouring mel bands of each patch (SpecAugment, Park et al. 2019)."""
    return patches.masked_fill(_stripes(patches, 1, rng, widest)[:, :, None], fill)


def mask_frames(
    patches: Tensor, rng: np.random.Generator, *, widest: int, fill: float = 0.0
) -> Tensor:
    """Fill 0 to ``widest`` neighbouring frames of each patch (SpecAugment, Park et al. 2019)."""
    return patches.masked_fill(_stripes(patches, 2, rng, widest)[:, None, :], fill)


def on_features(patches: Tensor, config: DataAugmentation, rng: np.random.Generator) -> Tensor:
    """Those steps that are in the unit of the log-mel values."""
    if (step := config.volume_augment).enable:
        patches = volume(patches, rng, low=step.min_scale, high=step.max_scale)
    if config.gaussian_noise.enable:
        patches = noise(patches, rng, scale=config.gaussian_noise.scale)
    return patches


def on_standardised(
    patches: Tensor, targets: Tensor, config: DataAugmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Those steps that follow the standardisation; mixup blends ``targets`` as well."""
    if config.gain.enable:
        patches = gain(patches, rng, scale=config.gain.scale)
    if config.mixup.enable:
        patches, targets = mixup(patches, targets, rng, alpha=config.mixup.alpha)
    if (masks := config.spec_aug).enable:
        for _ in range(masks.n_freq_mask):
            patches = mask_bands(patches, rng, widest=masks.freq_mask_param, fill=masks.mask_value)
        for _ in range(masks.n_time_mask):
            patches = mask_frames(patches, rng, widest=masks.time_mask_param, fill=masks.mask_value)
    return patches, targets


def _stripes(patches: Tensor, axis: int, rng: np.random.Generator, widest: int) -> Tensor:
    """Bool ``(batch, size of axis)``: one run of True a row, at most ``widest`` long."""
    size = patches.shape[axis]
    widths = rng.integers(0, min(widest, size) + 1, len(patches))
    starts = rng.integers(0, size - widths + 1)
    drawn = torch.as_tensor(np.stack([starts, widths]), device=patches.device)
    mask: Tensor = span(drawn[0], drawn[1], size)
    return mask


def _column(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], like: Tensor) -> Tensor:
    """One number a patch, shaped to broadcast over its bands and frames."""
    return torch.as_tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
