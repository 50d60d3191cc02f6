"""Triangular mel bands as weights of the bins of a Fourier transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.config.sections.sound import FeatureExtraction

# Slaney's scale: 3 mels are 200 Hz up to 1 kHz, from there 27 steps are a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27


def mel_matrix(options: FeatureExtraction, sample_rate_hz: int) -> NDArray[np.float32]:
    """Weights of the triangular mel bands, float32 (bin, mel), as ``librosa.filters.mel``.

    Mel scales: HTK (Young et al., The HTK Book), and Slaney's Auditory Toolbox (1998), linear below
    1 kHz and logarithmic above.

    Raises:
        ParameterError: ``fmax`` exceeds half the rate.
    """
    fmax_hz = sample_rate_hz / 2 if options.fmax is None else options.fmax
    if fmax_hz > sample_rate_hz / 2:
        raise ParameterError(
            f"feature_extraction.fmax {fmax_hz:g} Hz exceeds half of {sample_rate_hz} Hz; lower it"
        )
    ends = _mel(np.array([options.fmin, fmax_hz]), htk=options.htk)
    edges_hz = _hertz(np.linspace(ends[0], ends[1], options.n_mels + 2), htk=options.htk)
    bins_hz = np.fft.rfftfreq(options.n_fft, 1 / sample_rate_hz)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if options.norm == "slaney":
        weights *= 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return weights.astype(np.float32)


def _mel(hertz: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    above = np.log(np.maximum(hertz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(hertz < _SLANEY_BREAK_HZ, hertz / _SLANEY_HZ_PER_MEL, _SLANEY_BREAK_MEL + above)


def _hertz(mels: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    if htk:
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))
    above = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * (mels - _SLANEY_BREAK_MEL))
    return np.where(mels < _SLANEY_BREAK_MEL, mels * _SLANEY_HZ_PER_MEL, above)
