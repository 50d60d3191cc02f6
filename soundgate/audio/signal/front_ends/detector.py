"""What a detector of animal calls hears through: levels of frequency bins, frame after frame.

Equal to the front end of ANIMAL-SPOT (Bergler et al. 2022) by its own outputs: pre-emphasis, power
of frames that are not centred, 128 bins by choice of FFT bins, mel bands or cepstral coefficients,
decibels, and values brought to 0..1. Frames depend on their own samples alone until the last step,
so windows that overlap can share them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.signal.front_ends.base import paired_power
from soundgate.audio.signal.front_ends.detector_settings import MFCC, DetectorFrontEndSettings
from soundgate.errors import ConfigError, ParameterError


class DetectorFrontEnd(nn.Module):
    """Windows float32 (window, sample) to images float32 (window, 1, frame, bin), 0 to 1."""

    window: Tensor
    chosen: Tensor
    bank: Tensor
    cosines: Tensor
    waves: Tensor
    """The transform as a convolution: after ``make_exportable`` alone, since it is large."""
    heard: Tensor
    """The rows of ``bank`` that are not 0, likewise."""

    def __init__(self, settings: DetectorFrontEndSettings) -> None:
        """Make the window, the bins and the cosines."""
        super().__init__()
        self.settings = settings
        window = torch.hann_window(settings.n_fft)
        # So that the power does not depend on the length of the transform.
        scaled = window / window.square().sum().sqrt()
        self._keep("window", scaled)
        if settings.freq_compression == "linear":
            self._keep("chosen", chosen_bins(settings))
        else:
            self._keep("bank", mel_bank(settings))
        if settings.freq_compression == "mfcc":
            self._keep("cosines", _cosines(settings.n_freq_bins))

    def _keep(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def make_exportable(self) -> None:
        """Prepare to be exported: ONNX's own transform is younger than its operator sets."""
        if self.settings.freq_compression == "linear":
            bins = self.chosen
        else:
            bins = self.bank.any(1).nonzero()[:, 0]
            self._keep("heard", self.bank[bins])
        self._keep("waves", _waves(self.window, self.settings.pre_emphasis, bins))

    def forward(self, waveforms: Tensor) -> Tensor:
        """The input of a network.

        Args:
            waveforms: float32 (window, sample), mono at the settings' rate, nominally in -1..1.

        Raises:
            ParameterError: the windows are shorter than a frame.
        """
        spec = self.settings
        if torch.compiler.is_exporting():
            parts = functional.conv1d(waveforms.unsqueeze(1), self.waves, stride=spec.hop_length)
            return self.normalised(self._exported(paired_power(parts).transpose(1, 2)))
        if waveforms.shape[-1] < spec.n_fft:
            raise ParameterError(
                f"a window of {waveforms.shape[-1]} samples is shorter than n_fft {spec.n_fft}; "
                "make the window longer or n_fft smaller"
            )
        return self.normalised(self.levels(self.power(self.framed(waveforms))))

    def framed(self, waveforms: Tensor) -> Tensor:
        """Frames (window, frame, n_fft) of windows (window, sample); a view of their samples."""
        return waveforms.unfold(-1, self.settings.n_fft, self.settings.hop_length)

    def power(self, framed: Tensor) -> Tensor:
        """Power spectra float32 (..., FFT bin) of frames of plain samples float32 (..., n_fft)."""
        # The window is 0 at its first sample, so what came before a frame does not matter.
        before = functional.pad(framed[..., :-1], (1, 0))
        spectrum: Tensor = torch.fft.rfft(
            (framed - self.settings.pre_emphasis * before) * self.window
        )
        power: Tensor = spectrum.real.square() + spectrum.imag.square()
        return power

    def levels(self, power: Tensor) -> Tensor:
        """Levels in dB (..., bin) of power spectra (..., FFT bin)."""
        spec = self.settings
        if spec.freq_compression == "linear":
            return self._decibels(power.index_select(-1, self.chosen))
        return self._of_bands(power @ self.bank)

    def _exported(self, power: Tensor) -> Tensor:
        """As ``levels``, of power spectra without the bins that nothing is made of."""
        if self.settings.freq_compression == "linear":
            return self._decibels(power)
        return self._of_bands(power @ self.heard)

    def _of_bands(self, bands: Tensor) -> Tensor:
        if self.settings.freq_compression == "mel":
            return self._decibels(bands)
        # Empty bands count as 0 dB, and coefficients as powers: so have its models been trained.
        level = torch.where(bands > 0, 10.0 * torch.log10(bands.clamp(min=1e-38)), 0.0)
        return self._decibels(level @ self.cosines)

    def _decibels(self, power: Tensor) -> Tensor:
        floor = 10.0 ** (self.settings.min_level_db / 10.0)
        return 10.0 * torch.log10(power.clamp(min=floor))

    def normalised(self, levels: Tensor) -> Tensor:
        """Images float32 (window, 1, frame, bin), 0 to 1, of levels (window, frame, bin)."""
        spec = self.settings
        if spec.normalisation == "reference":
            image = (levels - spec.ref_level_db - spec.min_level_db) / -spec.min_level_db
            return image.clamp(0.0, 1.0).unsqueeze(1)
        image = levels - levels.amin((1, 2), keepdim=True)
        highest = image.amax((1, 2), keepdim=True)
        # A window of one level, silence say, is 0.
        return (image / torch.where(highest > 0, highest, 1.0)).unsqueeze(1)


def chosen_bins(settings: DetectorFrontEndSettings) -> Tensor:
    """Which FFT bin each bin of ``linear`` is, int64 (bin,): the nearest one."""
    n_fft, rate = settings.n_fft, settings.sample_rate_hz
    first = math.floor(n_fft * settings.fmin_hz / rate)
    last = min(math.ceil(n_fft * settings.fmax_hz / rate), n_fft // 2 + 1)
    places = torch.arange(first, last, dtype=torch.float32)[None, None]
    return functional.interpolate(places, size=settings.n_freq_bins, mode="nearest")[0, 0].long()


def mel_bank(settings: DetectorFrontEndSettings) -> Tensor:
    """Weights float32 (FFT bin, band) of triangles whose corners are whole bins.

    O'Shaughnessy's scale; a corner is the bin below (n_fft + 1) f / rate. Bands narrower than a
    bin are empty.
    """
    low, high = (_mel(hz) for hz in (settings.fmin_hz, settings.fmax_hz))
    marks = torch.linspace(low, high, settings.n_freq_bins + 2)
    hz = 700.0 * (10.0 ** (marks / 2595.0) - 1.0)
    corners = torch.floor((settings.n_fft + 1) * hz / settings.sample_rate_hz)
    left, top, right = corners[:-2], corners[1:-1], corners[2:]
    bins = torch.arange(settings.n_fft // 2 + 1)[:, None].float()
    rising = (bins - left) / (top - left).clamp(min=1)
    falling = (right - bins) / (right - top).clamp(min=1)
    bank = torch.where((bins >= left) & (bins < top), rising, 0.0)
    return bank + torch.where((bins >= top) & (bins < right), falling, 0.0)


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def _cosines(bands: int) -> Tensor:
    """Float32 (band, coefficient): DCT-II without a norm, the first coefficient left out."""
    places = torch.arange(bands, dtype=torch.float64)[:, None] + 0.5
    orders = torch.arange(1, MFCC + 1, dtype=torch.float64)
    return (2.0 * torch.cos(math.pi / bands * places * orders)).float()


def _waves(window: Tensor, pre_emphasis: float, bins: Tensor) -> Tensor:
    """Float32 (2 x bin, 1, sample): the transform of pre-emphasised frames as a convolution."""
    n_fft = len(window)
    turns = torch.outer(bins, torch.arange(n_fft)) % n_fft
    angle = turns.double() * (2 * math.pi / n_fft)
    waves = torch.cat([angle.cos(), angle.sin()]) * window.double()
    later = functional.pad(waves[:, 1:], (0, 1))
    return (waves - pre_emphasis * later).float().unsqueeze(1)


def check_window(settings: DetectorFrontEndSettings, window_s: float, least: int) -> None:
    """Refuse windows that have fewer frames than a network needs.

    Raises:
        ConfigError: names what to change.
    """
    frames = settings.frames(round(window_s * settings.sample_rate_hz))
    if frames < least:
        raise ConfigError(
            f"sequence_len: a window of {1000 * window_s:g} ms has {max(frames, 0)} frames of "
            f"n_fft {settings.n_fft}, and the network needs {least}; make it longer, or n_fft or "
            "hop_length smaller"
        )
