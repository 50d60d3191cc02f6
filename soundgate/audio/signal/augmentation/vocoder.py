"""Speed without pitch, pitch without speed, and both, of another amount for every clip."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

N_FFT = 1024
HOP_LENGTH = N_FFT // 4
_TAPS = 16
# Places between two samples that have weights of their own; the error is 80 dB below the sound.
_PHASES = 8192
# Transforms are made as long as a multiple of this, since prime lengths are slow.
_BLOCK = 1024


def time_stretch(waveforms: Tensor, rates: Tensor) -> Tensor:
    """Play each clip ``rates`` times as fast at the same pitch.

    The length stays: what no longer fits is cut, what is missing is silence. A slowed tone loses
    up to 0.9 dB, as it does in torchaudio.

    Args:
        waveforms: float32 ``(clip, sample)``.
        rates: ``(clip,)``; 2 is twice as fast, half as long.
    """
    samples = waveforms.shape[1]
    return _ended(_stretched(waveforms, rates, samples), rates)


def pitch_shift(waveforms: Tensor, semitones: Tensor, rates: Tensor | None = None) -> Tensor:
    """Move each clip by ``semitones``: stretched, then read faster or slower.

    Args:
        waveforms: float32 ``(clip, sample)``.
        semitones: float32 ``(clip,)``.
        rates: ``(clip,)``, of ``time_stretch``, which the same pass then does too; None: the speed
            stays.
    """
    # Float32 would place samples at the end of a long clip no better than 0.01 samples.
    ratios = torch.exp2(semitones.double() / 12.0)
    samples = waveforms.shape[1]
    longest = math.ceil(samples * float(ratios.max())) + _TAPS
    passed = 1.0 / ratios if rates is None else rates / ratios
    found = _read_at(_stretched(waveforms, passed, longest, ratios), ratios, samples)
    return found if rates is None else _ended(found, rates)


def _ended(waveforms: Tensor, rates: Tensor) -> Tensor:
    """Silence where clips that were played ``rates`` times as fast have ended."""
    samples = waveforms.shape[1]
    ends = (samples / rates).round()
    return waveforms * (torch.arange(samples, device=waveforms.device) < ends[:, None])


def speed(waveforms: Tensor, semitones: Tensor) -> Tensor:
    """Play each clip faster and higher, or slower and lower, as a tape does (Ko et al. 2015).

    A clip that ends too early begins again; of one that is slowed the end is lost.

    Args:
        waveforms: float32 ``(clip, sample)``.
        semitones: float32 ``(clip,)``.
    """
    ratios = torch.exp2(semitones.double() / 12.0)
    samples = waveforms.shape[1]
    longest = math.ceil(samples * max(1.0, float(ratios.max()))) + _TAPS
    again = waveforms.repeat(1, math.ceil(longest / samples))[:, :longest]
    return _read_at(_low_pass(again, 0.5 / ratios.float()), ratios, samples)


def _low_pass(waveforms: Tensor, cycles: Tensor) -> Tensor:
    """Leave out what lies above ``cycles`` a sample, ``(clip,)``."""
    size = -(-waveforms.shape[1] // _BLOCK) * _BLOCK
    spectra = torch.fft.rfft(waveforms, n=size)
    beyond = torch.fft.rfftfreq(size, device=waveforms.device) > cycles[:, None]
    found: Tensor = torch.fft.irfft(spectra.masked_fill(beyond, 0), n=size)
    return found[:, : waveforms.shape[1]]


def _stretched(
    waveforms: Tensor, rates: Tensor, samples: int, band_limits: Tensor | None = None
) -> Tensor:
    """Phase vocoder (Flanagan and Golden 1966); ``(clip, samples)``.

    The steps are those of ``torchaudio.functional.phase_vocoder``, which has one rate a batch.

    Args:
        waveforms: float32 ``(clip, sample)``.
        rates: ``(clip,)``.
        samples: length of what is returned.
        band_limits: ``(clip,)``: what reading so many times as fast would alias is left out.
    """
    window = torch.hann_window(N_FFT, device=waveforms.device)
    padded = torch.nn.functional.pad(waveforms, (0, max(0, N_FFT - waveforms.shape[1])))
    spectra = torch.stft(
        padded, N_FFT, HOP_LENGTH, window=window, pad_mode="constant", return_complex=True
    )
    if band_limits is not None:
        bins = torch.arange(N_FFT // 2 + 1, device=waveforms.device)
        beyond = bins > N_FFT / 2 / band_limits[:, None]
        spectra = spectra.masked_fill(beyond[:, :, None], 0)
    found = _phase_vocoder(spectra, rates, math.ceil(samples / HOP_LENGTH) + 1)
    return torch.istft(found, N_FFT, HOP_LENGTH, window=window, length=samples)


def _phase_vocoder(spectra: Tensor, rates: Tensor, frames: int) -> Tensor:
    """Complex ``(clip, bin, frame)`` to ``(clip, bin, frames)``; silence after the clip's end."""
    bins, known = spectra.shape[1:]
    # Frame by frame, as they lie in memory; real numbers, since functions of complex ones are slow.
    rows = torch.nn.functional.pad(torch.view_as_real(spectra.transpose(1, 2)), (0, 0, 0, 0, 0, 2))
    real, imaginary = rows[..., 0].contiguous(), rows[..., 1].contiguous()
    sizes, angles = torch.hypot(real, imaginary), torch.atan2(imaginary, real)
    advance = (math.pi * 2 * HOP_LENGTH / N_FFT) * torch.arange(bins, device=rates.device)
    # Wrapped, so that the sum over frames stays small enough for float32.
    turns = _wrapped(angles[:, 1:] - angles[:, :-1] - advance) + _wrapped(advance)
    times = torch.arange(frames, device=rates.device) * rates.double()[:, None]
    whole = times.floor().long().clamp(max=known)
    share = (times - whole).clamp(0, 1).float()[:, :, None]
    clip = torch.arange(len(rows), device=rates.device)[:, None]
    turn = turns[clip, whole]
    phase = angles[:, :1] + turn.cumsum(1) - turn
    size = torch.lerp(sizes[clip, whole], sizes[clip, whole + 1], share)
    return torch.complex(size * phase.cos(), size * phase.sin()).transpose(1, 2)


def _wrapped(angles: Tensor) -> Tensor:
    return angles - 2 * math.pi * torch.round(angles / (2 * math.pi))


def _read_at(waveforms: Tensor, steps: Tensor, samples: int) -> Tensor:
    """Read each clip at every ``steps``-th place, between samples by a Hann-windowed sinc."""
    weights = _sinc(waveforms.device)
    places = torch.arange(samples, device=waveforms.device) * steps.double()[:, None]
    first = places.floor()
    phases = ((places - first) * _PHASES).round().long()
    around = torch.nn.functional.pad(waveforms, (_TAPS // 2 - 1, _TAPS)).unfold(1, _TAPS, 1)
    starts = first.long().clamp(max=around.shape[1] - 1)
    found = torch.empty_like(phases, dtype=waveforms.dtype)
    for row, start, phase, out in zip(around, starts, phases, found, strict=True):
        # A clip at a time: what its samples are made of is sixteen times as much.
        out.copy_(torch.linalg.vecdot(weights[phase], row.index_select(0, start)))
    return found


@functools.cache
def _sinc(device: torch.device) -> Tensor:
    """Weights float32 ``(phase, tap)`` of the samples around a place between two of them."""
    taps = torch.arange(1 - _TAPS // 2, _TAPS // 2 + 1, device=device)
    away = torch.arange(_PHASES + 1, device=device)[:, None] / _PHASES - taps
    return torch.sinc(away) * torch.cos(math.pi * away / _TAPS) ** 2
