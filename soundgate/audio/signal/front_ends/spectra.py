"""Spectra of centred frames, the mel bands on them, and what is made of mel bands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.signal.front_ends.base import FrontEnd, decibels, mask, paired_power
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.signal.front_ends.settings import FrontEndSettings

_TOP_DB = 80.0


class PowerSpectrum(nn.Module):
    """|X|^2 of frames under a Hann window, frame t centred at t * hop.

    Beyond its ends a waveform goes on with zeros, or mirrored where ``pad`` is ``reflect``.
    """

    window: Tensor
    waves: Tensor

    def __init__(self, n_fft: int, hop_length: int, pad: str = "constant") -> None:
        """Make the window, and the waves by which exported graphs transform."""
        super().__init__()
        self.n_fft, self.hop_length, self.pad = n_fft, hop_length, pad
        window = torch.hann_window(n_fft, dtype=torch.float64)
        turns = torch.outer(torch.arange(n_fft // 2 + 1), torch.arange(n_fft)) % n_fft
        angle = turns.double() * (2 * math.pi / n_fft)
        waves = torch.cat([angle.cos(), angle.sin()]) * window
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("waves", waves.float().unsqueeze(1), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Power float32 (clip, bin, frame) of waveforms float32 (clip, sample)."""
        padded = functional.pad(waveforms, (self.n_fft // 2, self.n_fft // 2), mode=self.pad)
        if torch.compiler.is_exporting():
            # ONNX's own transform is younger than the operator sets that embedded runtimes know.
            parts = functional.conv1d(padded.unsqueeze(1), self.waves, stride=self.hop_length)
            return paired_power(parts)
        framed = padded.unfold(-1, self.n_fft, self.hop_length)
        spectrum = torch.fft.rfft(framed * self.window)
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power.transpose(1, 2)


class MelSpectrogram(FrontEnd):
    """Levels of mel bands, dB: ``torchaudio.transforms.MelSpectrogram``, 10 log10.

    Slaney's scale and norm (librosa's defaults), padded with zeros. Levels below -100 dB are
    -100 dB. Unless the settings bring a measured normalisation, it is that of no particular
    sounds: -25 dB and 22 dB bring music at a root mean square of about 0.1 near 0 and 1.
    """

    bank: Tensor

    def __init__(self, settings: FrontEndSettings) -> None:
        """Make the transform and the bands."""
        super().__init__(settings)
        self.bands = settings.n_mels
        self.least_samples = 1
        self.spectrum = PowerSpectrum(settings.n_fft, settings.hop_length)
        self.register_buffer("bank", mel_bank(settings), persistent=False)
        self._own_constants()

    def _own_constants(self) -> None:
        self._constants((-25.0,), (22.0,))

    def mel(self, power: Tensor) -> Tensor:
        """Mel spectrogram (clip, band, frame) of power spectra (clip, bin, frame)."""
        return self.bank @ power

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        del samples
        return decibels(self.mel(self.spectrum(waveforms))).unsqueeze(1)


class Mfcc(MelSpectrogram):
    """Mel cepstral coefficients as ``torchaudio.transforms.MFCC``: orthonormal DCT-II of dB.

    The levels of each clip are cut 80 dB below its highest. Normalised band by band, since the
    first coefficient is the loudness and a hundred times the last.
    """

    cosines: Tensor

    def __init__(self, settings: FrontEndSettings) -> None:
        """Make the transform, the bands and the cosines.

        Raises:
            ConfigError: more coefficients than bands.
        """
        if not 1 <= settings.n_mfcc <= settings.n_mels:
            raise ConfigError(
                f"front_end.n_mfcc: give 1 to n_mels ({settings.n_mels}), not {settings.n_mfcc}"
            )
        super().__init__(settings)
        import torchaudio

        cosines = torchaudio.functional.create_dct(settings.n_mfcc, settings.n_mels, "ortho")
        self.register_buffer("cosines", cosines.T.contiguous(), persistent=False)

    def _own_constants(self) -> None:
        self.bands = self.settings.n_mfcc
        order = np.arange(self.bands)
        spread = 180.0 / (1.0 + order) ** 0.75
        level = np.where(order == 0, -25.0 * math.sqrt(self.settings.n_mels), 0.0)
        self._constants(level.tolist(), spread.tolist())

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        level = decibels(self.mel(self.spectrum(waveforms)))
        heard = level
        if samples is not None:
            # A frame behind the clip's last one still reaches back into it.
            real = mask(self.frames(samples), level.shape[-1]).unsqueeze(1)
            heard = torch.where(real, level, level.amin())
        floor = heard.amax((1, 2), keepdim=True) - _TOP_DB
        return (self.cosines @ torch.maximum(level, floor)).unsqueeze(1)


def mel_bank(settings: FrontEndSettings) -> Tensor:
    """Weights of mel bands float32 (band, bin), of Slaney's scale and norm.

    Raises:
        ConfigError: the band limits are not in order, or exceed half the rate.
    """
    import warnings

    import torchaudio

    highest = settings.sample_rate_hz / 2
    fmax_hz = highest if settings.fmax_hz is None else settings.fmax_hz
    if not 0 <= settings.fmin_hz < fmax_hz <= highest:
        raise ConfigError(
            f"front_end.fmax_hz: {settings.fmin_hz:g} to {fmax_hz:g} Hz is no range up to half the "
            f"rate, {highest:g} Hz; set fmin_hz and fmax_hz within it"
        )
    with warnings.catch_warnings():
        # Where bands are narrower than bins some stay empty: -100 dB, as torchaudio has it.
        warnings.filterwarnings("ignore", "At least one mel filterbank", UserWarning)
        bank = torchaudio.functional.melscale_fbanks(
            settings.n_fft // 2 + 1,
            settings.fmin_hz,
            fmax_hz,
            settings.n_mels,
            settings.sample_rate_hz,
            "slaney",
            "slaney",
        )
    weights: Tensor = bank.T.contiguous()
    return weights
