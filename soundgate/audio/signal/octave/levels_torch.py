"""Levels of bands of a batch of clips on any device, by products of spectra in float64.

The same filters as in ``levels``, as frequency responses. Clips are padded with silence until the
slowest filter has rung out, so that the end does not wrap onto the beginning.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.signal.octave.filters import response, ring_down_s, sections
from soundgate.audio.signal.octave.levels import (
    BLOCK_S,
    LEAST_RMS,
    block_samples,
    checked_reference,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.signal.octave.bands import Band

MOST_VALUES: Final = 1 << 26
"""Of the filtered signals that exist at once: 512 MB of float64."""


def levels(
    waves: Tensor,
    bands: Sequence[Band],
    sample_rate_hz: int,
    *,
    block_s: float = BLOCK_S,
    reference: float = 1.0,
) -> Tensor:
    """Levels of the whole blocks of each clip.

    Args:
        waves: float32 or float64 (clip, sample), on any device.
        bands: below half the sample rate.
        sample_rate_hz: of the waveforms.
        block_s: seconds of a block; a whole number of samples.
        reference: root mean square of 0 dB, in the unit of the samples.

    Returns:
        dB, float64 (clip, block, band), on the device of ``waves``.

    Raises:
        ConfigError: a block is no whole number of samples, or the reference is not above 0.
        DataError: ``waves`` have another shape.
    """
    if waves.ndim != 2:
        raise DataError(f"octave bands take (clip, sample), got {tuple(waves.shape)}")
    block = block_samples(block_s, sample_rate_hz)
    checked_reference(reference)
    clips, samples = waves.shape
    blocks = samples // block
    padded = _fast_length(samples + int(ring_down_s(bands) * sample_rate_hz))
    spectra = torch.fft.rfft(waves.double(), padded)
    filters = _responses(tuple(bands), sample_rate_hz, padded)
    at_once = max(1, MOST_VALUES // (2 * padded * max(1, clips)))
    found = []
    for first in range(0, len(bands), at_once):
        some = torch.from_numpy(filters[first : first + at_once]).to(waves.device)
        filtered = torch.fft.irfft(spectra[:, None] * some, padded)[..., : blocks * block]
        found.append(filtered.square_().unflatten(-1, (blocks, block)).mean(-1))
    rms = torch.cat(found, dim=1).sqrt_().clamp_(min=LEAST_RMS)
    return (20 * torch.log10(rms / reference)).transpose(1, 2)


@lru_cache(maxsize=4)
def _responses(
    bands: tuple[Band, ...], sample_rate_hz: int, padded: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    angles = np.linspace(0, np.pi, padded // 2 + 1)
    return response(sections(bands, sample_rate_hz), angles)


def _fast_length(least: int) -> int:
    """The next even length with no prime factor above 5."""
    found = 1 << (least - 1).bit_length()
    for fives in (1, 5, 25, 125):
        for threes in (1, 3, 9, 27):
            odd = fives * threes
            length = odd << max(1, (-(-least // odd) - 1).bit_length())
            found = min(found, length) if length >= least else found
    return found
