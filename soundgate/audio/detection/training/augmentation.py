"""What is done to training windows, on their power spectra: ANIMAL-SPOT's four changes.

Pitch and stretch read a spectrum at other bins and other frames, which costs next to nothing beside
a phase vocoder; noise is added as power, since its phase has nothing to do with the call's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    import numpy.typing as npt

    from soundgate.audio.config.spot import DetectorAugmentation
    from soundgate.audio.detection.training.windows import Pieces
    from soundgate.audio.signal.front_ends.detector import DetectorFrontEnd

    Array = npt.NDArray[Any]

NOISY_SHARE = 0.5
"""Of the windows to which noise is added."""

_SILENCE = 1e-12


class Augmenter:
    """From pieces of sound to the levels of windows, changed at random."""

    def __init__(
        self, spec: DetectorAugmentation, front_end: DetectorFrontEnd, window: int
    ) -> None:
        """Take what is wanted.

        Args:
            spec: which changes; ``enabled`` false: none.
            front_end: that of the detector.
            window: samples.
        """
        self._spec, self._front_end, self._window = spec, front_end, window
        settings = front_end.settings
        self._frames = settings.frames(window)
        scale = settings.n_fft / settings.sample_rate_hz
        self._band = slice(round(settings.fmin_hz * scale), round(settings.fmax_hz * scale) + 1)

    def __call__(self, pieces: Pieces, device: torch.device) -> Tensor:
        """Images float32 (window, 1, frame, bin) of a batch."""
        front, spec, shares = self._front_end, self._spec, pieces.drawn.shares
        power = front.power(front.framed(pieces.waveforms.to(device, non_blocking=True)))
        if not spec.enabled:
            return front.normalised(front.levels(power))
        stretch = _between(spec.stretch, shares["stretch"], device, ratio=True)
        pitch = _between(spec.pitch, shares["pitch"], device)
        if stretch is not None or pitch is not None:
            power = self._warped(power, stretch, pitch, pieces.waveforms.shape[1])
        gain_db = _between(spec.amplitude_db, shares["amplitude"], device)
        if gain_db is not None:
            power = power * _factor(gain_db)
        snr_db = _between(spec.snr_db, shares["snr"], device)
        if pieces.noise is not None and snr_db is not None:
            chosen = torch.as_tensor(shares["noise"] < NOISY_SHARE, device=device)
            noise = front.power(front.framed(pieces.noise.to(device, non_blocking=True)))
            power = self._noisy(power, noise, snr_db, chosen)
        return front.normalised(front.levels(power))

    def _warped(
        self, power: Tensor, stretch: Tensor | None, pitch: Tensor | None, samples: int
    ) -> Tensor:
        """Read spectra (window, frame, bin) of ``samples`` at other frames and bins."""
        settings = self._front_end.settings
        count, frames, bins = power.shape
        ones = torch.ones(count, device=power.device)
        stretch = ones if stretch is None else stretch
        pitch = ones if pitch is None else pitch
        half = settings.n_fft / 2
        times = torch.arange(self._frames, device=power.device) * settings.hop_length + half
        source = samples / 2 + (times - self._window / 2) / stretch[:, None]
        rows = (source - half) / settings.hop_length
        columns = torch.arange(bins, device=power.device) / pitch[:, None]
        grid = torch.stack(
            [
                _place(columns, bins)[:, None, :].expand(-1, self._frames, -1),
                _place(rows, frames)[:, :, None].expand(-1, -1, bins),
            ],
            -1,
        )
        read = functional.grid_sample(
            power.unsqueeze(1), grid, padding_mode="border", align_corners=True
        )
        # What a lower pitch would need from above half the rate was never recorded.
        return read[:, 0] * (columns <= bins - 1)[:, None, :]

    def _noisy(self, power: Tensor, noise: Tensor, snr_db: Tensor, chosen: Tensor) -> Tensor:
        """Add noise so that the band of interest is ``snr_db`` above it, where ``chosen``."""
        own = power[..., self._band].mean((1, 2))
        added = noise[..., self._band].mean((1, 2)).clamp(min=_SILENCE)
        gain = own / added / torch.pow(10.0, snr_db / 10)
        return power + noise * torch.where(chosen, gain, 0.0)[:, None, None]


def _between(
    limits: tuple[float, float] | None,
    shares: Array,
    device: torch.device,
    *,
    ratio: bool = False,
) -> Tensor | None:
    """Numbers float32 (window,) between two limits; with ``ratio`` evenly in their logarithm."""
    if limits is None:
        return None
    low, high = limits
    drawn = torch.as_tensor(shares, dtype=torch.float32, device=device)
    if ratio:
        return low * (high / low) ** drawn
    return low + (high - low) * drawn


def _factor(level_db: Tensor) -> Tensor:
    """Factors of power (window, 1, 1)."""
    return torch.pow(10.0, level_db / 10)[:, None, None]


def _place(at: Tensor, count: int) -> Tensor:
    """Places from 0 to ``count`` - 1 as ``grid_sample`` counts them, -1 to 1."""
    return at / max(count - 1, 1) * 2 - 1
