"""Augmentations of waveforms, float32 ``(clip, sample)``, each with its own numbers a clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from soundgate.audio.signal.augmentation.images import span

if TYPE_CHECKING:
    from collections.abc import Sequence

EQ_CENTRES_HZ = (100.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0)


def time_shift(waveforms: Tensor, shares: Tensor) -> Tensor:
    """Move each clip later by a share of its length; what leaves at the end enters at the start."""
    samples = waveforms.shape[1]
    moved = (shares * samples).round().long()
    places = torch.arange(samples, device=waveforms.device)
    return waveforms.gather(1, (places - moved[:, None]) % samples)


def time_inversion(waveforms: Tensor, chosen: Tensor) -> Tensor:
    """Play the clips ``chosen``, bool ``(clip,)``, backwards."""
    return torch.where(chosen[:, None], waveforms.flip(1), waveforms)


def clipping(waveforms: Tensor, levels: Tensor) -> Tensor:
    """Cut each clip off at ``levels`` times its peak."""
    limits = waveforms.abs().amax(1, keepdim=True) * levels[:, None]
    return torch.minimum(torch.maximum(waveforms, -limits), limits)


def time_mask(waveforms: Tensor, starts: Tensor, widths: Tensor) -> Tensor:
    """Silence ``widths`` samples of each clip from ``starts`` on."""
    return waveforms.masked_fill(span(starts, widths, waveforms.shape[1]), 0.0)


def decibels(levels_db: Tensor) -> Tensor:
    """Factors of amplitudes."""
    return torch.pow(10.0, levels_db / 20.0)


def level(waveforms: Tensor, rms: Tensor) -> Tensor:
    """Bring each clip to the root mean square ``rms``; silence stays as it is."""
    own = root_mean_square(waveforms)
    gain = torch.where(own > 0, rms / own.clamp(min=1e-12), 1.0)
    return waveforms * gain[:, None]


def root_mean_square(waveforms: Tensor) -> Tensor:
    """Of each clip, ``(clip,)``."""
    return waveforms.square().mean(1).sqrt()


def add_noise(waveforms: Tensor, noise: Tensor, snr_db: Tensor) -> Tensor:
    """Add noise, ``(clip, sample)``, at ``snr_db``; to silence, and of silence, nothing."""
    wanted = root_mean_square(waveforms) * decibels(-snr_db)
    return waveforms + level(noise, wanted) * (wanted > 0)[:, None]


def coloured(white: Tensor, exponents: Tensor) -> Tensor:
    """Noise whose power density falls with the ``exponents``-th power of frequency.

    0 is white, 1 pink, 2 brown, -1 blue, -2 violet. The constant part is left out.

    Args:
        white: standard normal ``(clip, sample)``.
        exponents: ``(clip,)``.
    """
    spectra = torch.fft.rfft(white)
    frequencies = torch.arange(1, spectra.shape[1], device=white.device) / (spectra.shape[1] - 1)
    gains = torch.pow(frequencies, -exponents[:, None] / 2.0)
    gains = torch.nn.functional.pad(gains, (1, 0))
    found: Tensor = torch.fft.irfft(spectra * gains, n=white.shape[1])
    return found


def seven_band_eq(
    waveforms: Tensor,
    gains_db: Tensor,
    sample_rate_hz: int,
    centres_hz: Sequence[float] = EQ_CENTRES_HZ,
) -> Tensor:
    """An equaliser without phase shift: the gain in dB runs straight from centre to centre.

    Frequency is on a logarithmic scale; beyond the outer centres the gain is theirs.

    Args:
        waveforms: float32 ``(clip, sample)``.
        gains_db: ``(clip, 7)`` at ``EQ_CENTRES_HZ``.
        sample_rate_hz: of the waveforms.
        centres_hz: other centres.
    """
    # Twice as long, so that the end of the clip does not ring into its start.
    samples = waveforms.shape[1]
    spectra = torch.fft.rfft(waveforms, n=2 * samples)
    hz = torch.fft.rfftfreq(2 * samples, 1.0 / sample_rate_hz, device=waveforms.device)
    marks = torch.tensor(centres_hz, device=waveforms.device).log2()
    place = hz.clamp(min=centres_hz[0], max=centres_hz[-1]).log2()
    upper = torch.searchsorted(marks, place).clamp(1, len(centres_hz) - 1)
    share = (place - marks[upper - 1]) / (marks[upper] - marks[upper - 1])
    curve = gains_db[:, upper - 1] * (1 - share) + gains_db[:, upper] * share
    found: Tensor = torch.fft.irfft(spectra * decibels(curve), n=2 * samples)
    return found[:, :samples]
