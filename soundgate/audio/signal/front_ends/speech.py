"""The inputs of AST and wav2vec 2.0, as the feature extractors of ``transformers`` compute them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from soundgate.audio.signal.front_ends.base import FrontEnd, mask, paired_power
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.signal.front_ends.settings import FrontEndSettings

RATE_HZ = 16_000
_WINDOW, _HOP, _TRANSFORM = 400, 160, 512
_PREEMPHASIS = 0.97
_LOWEST_HZ = 20.0
# Of AudioSet's filter banks; ASTFeatureExtractor's defaults.
_MEAN, _DEVIATION = -4.2677393, 4.5689974


class AstFilterBank(FrontEnd):
    """Kaldi's log mel filter bank (25 ms Hann windows every 10 ms) as ASTFeatureExtractor has it.

    Natural logarithm; mean -4.2677393, and twice the standard deviation 4.5689974 of AudioSet. Each
    image is cut or filled with zeros (before normalisation) to ``frames``.
    """

    measurable = False
    bank: Tensor
    window: Tensor
    waves: Tensor

    def __init__(self, settings: FrontEndSettings) -> None:
        """Make the transform and the bands.

        Raises:
            ConfigError: another rate than 16 kHz.
        """
        super().__init__(settings)
        _check_rate(settings)
        import torchaudio

        self.bands = settings.n_mels
        self.least_samples = _WINDOW
        bank, _ = torchaudio.compliance.kaldi.get_mel_banks(
            settings.n_mels, _TRANSFORM, RATE_HZ, _LOWEST_HZ, 0.0, 100.0, -500.0, 1.0
        )
        self.register_buffer("bank", functional.pad(bank, (0, 1)), persistent=False)
        window = torch.hann_window(_WINDOW, periodic=False, dtype=torch.float64)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("waves", _waves(window).unsqueeze(1), persistent=False)
        self._constants((_MEAN,), (2 * _DEVIATION,))

    def frames(self, samples: Tensor) -> Tensor:
        """How many frames waveforms of so many samples have; int64 (clip,) both."""
        if self.settings.frames is not None:
            return torch.full_like(samples, self.settings.frames)
        return self._real(samples)

    def _real(self, samples: Tensor) -> Tensor:
        return 1 + (samples - _WINDOW).div(_HOP, rounding_mode="floor")

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        mel = self.bank @ self._power(waveforms)
        level = mel.clamp(min=torch.finfo(torch.float32).eps).log()
        if samples is not None:
            level = level * mask(self._real(samples), level.shape[-1]).unsqueeze(1)
        frames = self.settings.frames
        if frames is not None:
            # Filled first, so that the cut is of one size whatever the clip's is.
            level = functional.pad(level, (0, frames))[..., :frames]
        return level.unsqueeze(1)

    def _power(self, waveforms: Tensor) -> Tensor:
        """Power spectra (clip, bin, frame) of frames that lie within the waveform."""
        if torch.compiler.is_exporting():
            parts = functional.conv1d(waveforms.unsqueeze(1), self.waves, stride=_HOP)
            return paired_power(parts)
        framed = waveforms.unfold(-1, _WINDOW, _HOP)
        framed = framed - framed.mean(-1, keepdim=True)
        before = functional.pad(framed.flatten(0, 1).unsqueeze(1), (1, 0), mode="replicate")
        framed = framed - _PREEMPHASIS * before.reshape(*framed.shape[:2], -1)[..., :-1]
        spectrum = torch.fft.rfft(framed * self.window, _TRANSFORM)
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power.transpose(1, 2)


class Wav2Vec(FrontEnd):
    """Waveforms of mean 0 and variance 1, clip by clip, as Wav2Vec2FeatureExtractor makes them."""

    channels = 0
    measurable = False

    def __init__(self, settings: FrontEndSettings) -> None:
        """Check the settings.

        Raises:
            ConfigError: another rate than 16 kHz.
        """
        super().__init__(settings)
        _check_rate(settings)
        self.bands = 0
        # Fewer give wav2vec's convolutions nothing to compute.
        self.least_samples = _WINDOW

    def forward(self, waveforms: Tensor, samples: Tensor | None = None) -> Tensor:
        """Normalised waveforms float32 (clip, sample); 0 where they are not real."""
        if samples is None:
            variance, mean = torch.var_mean(waveforms, dim=1, correction=0, keepdim=True)
            return (waveforms - mean) / torch.sqrt(variance + 1e-7)
        real = mask(samples, waveforms.shape[-1])
        count = samples.unsqueeze(1)
        centred = waveforms - (waveforms * real).sum(1, keepdim=True) / count
        centred = centred * real
        variance = centred.square().sum(1, keepdim=True) / count
        return centred / torch.sqrt(variance + 1e-7)

    def frames(self, samples: Tensor) -> Tensor:
        """Samples stay samples."""
        return samples


def _waves(window: Tensor) -> Tensor:
    """Everything that is done to a frame up to its spectrum, as one product, float32 (2 bin, 400).

    Taking off the mean, pre-emphasis, the window and the Fourier transform are all linear.
    """
    centred = torch.eye(_WINDOW, dtype=torch.float64) - 1 / _WINDOW
    before = torch.cat([centred[:1], centred[:-1]])
    prepared = (centred - _PREEMPHASIS * before) * window[:, None]
    turns = torch.outer(torch.arange(_TRANSFORM // 2 + 1), torch.arange(_WINDOW)) % _TRANSFORM
    angle = turns.double() * (2 * math.pi / _TRANSFORM)
    return (torch.cat([angle.cos(), angle.sin()]) @ prepared).float()


def _check_rate(settings: FrontEndSettings) -> None:
    if settings.sample_rate_hz != RATE_HZ:
        raise ConfigError(
            f"front_end.sample_rate_hz: {settings.name} needs {RATE_HZ} Hz, not "
            f"{settings.sample_rate_hz}; resample the clips"
        )
