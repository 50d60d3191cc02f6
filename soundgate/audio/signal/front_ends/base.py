"""What all front ends have in common: frames, the mask of what is real, and normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from soundgate.audio.signal.front_ends.settings import FrontEndSettings


class FrontEnd(nn.Module):
    """Waveforms to what a network takes."""

    channels = 1
    """Of an image; 0 where what comes out is a waveform."""
    bands: int
    """Rows of an image, before they are scaled to ``height``."""
    measurable = True
    """Whether its normalisation may be measured on sounds; otherwise it is fixed."""
    least_samples: int
    """Shortest waveform that can be taken."""
    mean: Tensor
    standard_deviation: Tensor

    def __init__(self, settings: FrontEndSettings) -> None:
        """Keep what was asked for."""
        super().__init__()
        self.settings = settings

    def forward(self, waveforms: Tensor, samples: Tensor | None = None) -> Tensor:
        """Compute the input of a network.

        Args:
            waveforms: float32 (clip, sample), mono at the settings' rate, nominally in -1..1.
            samples: int64 (clip,), how many samples of each are real; what follows them does not
                count. None: all are real.

        Returns:
            float32 (clip, channel, band, frame), or (clip, sample) of WAV2VEC. 0 where a frame is
            not real.

        Raises:
            ParameterError: the waveforms are shorter than ``least_samples``.
        """
        if not torch.compiler.is_exporting() and waveforms.shape[-1] < self.least_samples:
            raise ParameterError(
                f"{self.settings.name}: {waveforms.shape[-1]} samples are too few; give "
                f"{self.least_samples} or more"
            )
        if samples is None:
            return self._normalised(self._images(waveforms, None))
        waveforms = waveforms * mask(samples, waveforms.shape[-1])
        frames = self.frames(samples)
        images = self._normalised(self._images(waveforms, samples))
        return images * mask(frames, images.shape[-1])[:, None, None]

    def frames(self, samples: Tensor) -> Tensor:
        """How many frames waveforms of so many samples have; int64 (clip,) both."""
        return 1 + samples.div(self.settings.hop_length, rounding_mode="floor")

    @torch.no_grad()
    def images(self, waveforms: Tensor) -> Tensor:
        """Images before they are normalised, as ``forward`` takes and returns them."""
        return self._images(waveforms, None)

    def _images(self, waveforms: Tensor, samples: Tensor | None) -> Tensor:
        """Images before they are normalised (clip, channel, band, frame)."""
        raise NotImplementedError

    def _constants(self, mean: Iterable[float], standard_deviation: Iterable[float]) -> None:
        """Take the settings' normalisation, or else the given one."""
        for name, own in (("mean", mean), ("standard_deviation", standard_deviation)):
            values = tuple(getattr(self.settings, name)) or tuple(own)
            self.register_buffer(name, self._column(name, values), persistent=False)
        if bool((self.standard_deviation <= 0).any()):
            raise ConfigError("front_end.standard_deviation: give numbers above 0")

    def _column(self, field: str, values: tuple[float, ...]) -> Tensor:
        column = torch.tensor(values, dtype=torch.float32)
        if len(values) in (1, self.channels):
            return column.reshape(-1, 1, 1)
        if self.channels == 1 and len(values) == self.bands:
            return column.reshape(1, -1, 1)
        raise ConfigError(
            f"front_end.{field}: {len(values)} numbers do not fit; give 1, or one each of "
            f"{self.channels} channels, or of one channel one each of {self.bands} bands"
        )

    def _normalised(self, images: Tensor) -> Tensor:
        images = (images - self.mean) / self.standard_deviation
        height = self.settings.height
        if height is None or height == self.bands:
            return images
        size = (height, images.shape[-1])
        return functional.interpolate(images, size=size, mode="bilinear", align_corners=False)


def mask(lengths: Tensor, size: int) -> Tensor:
    """Where a place of ``size`` is real: bool (clip, place), of lengths int64 (clip,)."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def paired_power(parts: Tensor) -> Tensor:
    """Squares (clip, band, frame) of complex numbers: real parts, then imaginary, on axis 1."""
    real, imaginary = parts.chunk(2, dim=1)
    return real.square() + imaginary.square()


def decibels(power: Tensor) -> Tensor:
    """10 log10 of a power, from -100 dB upwards."""
    return 10.0 * torch.log10(power.clamp(min=1e-10))
