"""Speed without pitch, and pitch without speed, of another amount for every clip of a batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

N_FFT = 1024
HOP_LENGTH = N_FFT // 4
_TAPS = 16


def time_stretch(waveforms: Tensor, rates: Tensor) -> Tensor:
    """Play each clip ``rates`` times as fast at the same pitch.

    The length stays: what no longer fits is cut, what is missing is silence. A slowed tone loses
    up to 0.9 dB, as it does in torchaudio.

    Args:
        waveforms: float32 ``(clip, sample)``.
        rates: ``(clip,)``; 2 is twice as fast, half as long.
    """
    samples = waveforms.shape[1]
    found = _stretched(waveforms, rates, samples)
    ends = (samples / rates).round()
    return found * (torch.arange(samples, device=found.device) < ends[:, None])


def pitch_shift(waveforms: Tensor, semitones: Tensor) -> Tensor:
    """Move each clip by ``semitones`` at the same speed: stretched, then read faster or slower.

    Args:
        waveforms: float32 ``(clip, sample)``.
        semitones: float32 ``(clip,)``.
    """
    # Float32 would place samples at the end of a long clip no better than 0.01 samples.
    ratios = torch.exp2(semitones.double() / 12.0)
    samples = waveforms.shape[1]
    longest = math.ceil(samples * float(ratios.max())) + _TAPS
    return _read_at(_stretched(waveforms, 1.0 / ratios, longest, ratios), ratios, samples)


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
    found = _phase_vocoder(spectra, rates, math.ceil(samples / HOP_LENGTH) + 1)
    if band_limits is not None:
        bins = torch.arange(N_FFT // 2 + 1, device=waveforms.device)
        found = found * (bins <= N_FFT / 2 / band_limits[:, None])[:, :, None]
    return torch.istft(found, N_FFT, HOP_LENGTH, window=window, length=samples)


def _phase_vocoder(spectra: Tensor, rates: Tensor, frames: int) -> Tensor:
    """Complex ``(clip, bin, frame)`` to ``(clip, bin, frames)``; silence after the clip's end."""
    bins, known = spectra.shape[1:]
    spectra = torch.nn.functional.pad(spectra, (0, 2))
    times = torch.arange(frames, device=rates.device) * rates.double()[:, None]
    whole = times.floor().long().clamp(max=known)
    index = whole[:, None].expand(-1, bins, -1)
    here, after = spectra.gather(2, index), spectra.gather(2, index + 1)
    share = (times - whole).clamp(0, 1).float()[:, None]
    advance = (math.pi * 2 * HOP_LENGTH / N_FFT) * torch.arange(bins, device=rates.device)[:, None]
    # Wrapped, so that the sum over frames stays small enough for float32.
    turn = _wrapped(after.angle() - here.angle() - advance) + _wrapped(advance)
    phase = here[:, :, :1].angle() + turn.cumsum(2) - turn
    return torch.polar(here.abs() * (1 - share) + after.abs() * share, phase)


def _wrapped(angles: Tensor) -> Tensor:
    return angles - 2 * math.pi * torch.round(angles / (2 * math.pi))


def _read_at(waveforms: Tensor, steps: Tensor, samples: int) -> Tensor:
    """Read each clip at every ``steps``-th place, between samples by a Hann-windowed sinc."""
    places = torch.arange(samples, device=waveforms.device) * steps.double()[:, None]
    first = places.floor()
    share = (places - first).float()
    padded = torch.nn.functional.pad(waveforms, (_TAPS, _TAPS))
    found = torch.zeros_like(share)
    for tap in range(1 - _TAPS // 2, _TAPS // 2 + 1):
        away = share - tap
        weight = torch.sinc(away) * torch.cos(math.pi * away / _TAPS) ** 2
        index = (first.long() + tap + _TAPS).clamp(max=padded.shape[1] - 1)
        found += weight * padded.gather(1, index)
    return found
