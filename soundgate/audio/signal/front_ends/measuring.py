"""The normalisation of a front end, measured on the sounds that a network will learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from soundgate.audio.signal.front_ends.base import FrontEnd
    from soundgate.audio.signal.front_ends.settings import FrontEndSettings

# What is written down and read again by another machine is the same number there.
_DIGITS = 5


def measured(front: FrontEnd, waveforms: Iterable[Tensor]) -> FrontEndSettings:
    """The settings of ``front``, with the normalisation that fits ``waveforms``.

    Of images of one channel every band gets mean 0 and standard deviation 1 over all frames of
    all waveforms, of several channels every channel. What is always the same is only shifted to 0.

    Args:
        front: the front end; its own normalisation does not matter.
        waveforms: float32 ``(sample,)`` each, at least one.

    Returns:
        The settings; those of AST and WAV2VEC unchanged, since their normalisation is part of
        their definition.
    """
    if not front.measurable:
        return front.settings
    sums: Tensor | float = 0.0
    squares: Tensor | float = 0.0
    count = 0
    for waveform in waveforms:
        # (channel, band, frame) to a row of values for each mean that is kept
        values = front.images(waveform[None])[0].double()
        rows = values.flatten(1) if front.channels > 1 else values[0]
        sums, squares = sums + rows.sum(1), squares + rows.square().sum(1)
        count += rows.shape[1]
    mean = torch.as_tensor(sums) / count
    spread = (torch.as_tensor(squares) / count - mean.square()).clamp(min=0.0).sqrt()
    spread[spread <= 1e-6 * mean.abs()] = 1.0
    return replace(front.settings, mean=_rounded(mean), standard_deviation=_rounded(spread))


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values.tolist())
