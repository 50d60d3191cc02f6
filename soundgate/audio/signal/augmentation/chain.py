"""Augmentations by name: on waveforms before the front end, on images behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from soundgate.audio.files import reading
from soundgate.audio.signal.augmentation import images as on_images
from soundgate.audio.signal.augmentation import mixing, vocoder
from soundgate.audio.signal.augmentation import waveforms as on_waveforms
from soundgate.audio.signal.augmentation.settings import MIXING
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from soundgate.audio.signal.augmentation.draws import Draws
    from soundgate.audio.signal.augmentation.mixing import Clips, Partners
    from soundgate.audio.signal.augmentation.settings import Augmentation

SEMITONES = 2.0
SHIFT = 0.5
EQ_DB = 12.0
COLOURS = (-2.0, 2.0)
COLOUR_SNR_DB = (3.0, 25.0)
BACKGROUND_SNR_DB = (3.0, 30.0)
CLIP_LEVELS = (0.3, 1.0)
ERASED_AREA = (0.02, 0.2)
ERASED_RATIO = (1.0, 2.0)


class WaveformAugmenter:
    """What ``spec`` does to waveforms of one rate."""

    def __init__(
        self, spec: Augmentation, sample_rate_hz: int, partners: Partners | None = None
    ) -> None:
        """Read the background noise, where it is used.

        Args:
            spec: which augmentations.
            sample_rate_hz: of the waveforms.
            partners: the training clips; for the names with SAMPLES.

        Raises:
            ConfigError: the folder of background noise has no audio, or there are no partners.
            DataError: a file in it cannot be decoded.
        """
        if spec.uses(*MIXING) and not partners:
            raise ConfigError("augmentations: mixing needs the training clips as partners")
        self.spec, self.sample_rate_hz, self.partners = spec, sample_rate_hz, partners
        self._background: Tensor | None = None
        if spec.path_background_noise is not None and spec.uses("BACKGROUND_NOISE"):
            self._background = background(spec.path_background_noise, sample_rate_hz)
        self._steps: dict[str, Callable[[Tensor, Draws], Tensor]] = {
            "TIME_STRETCH": self._time_stretch,
            "PITCH": self._pitch,
            "SPEED": self._speed,
            "TIME_SHIFT": self._time_shift,
            "TIMEINV": self._time_inversion,
            "SEVEN_BAND_EQ": self._equaliser,
            "BACKGROUND_NOISE": self._background_noise,
            "COLOR_NOISE": self._colour_noise,
            "CLIPPING": self._clipping,
            "TIME_MASK": self._time_mask,
        }

    def __call__(self, clips: Clips, draws: Draws) -> Clips:
        """The clips of a batch, augmented; their order in the batch changes nothing."""
        clips = self._mixed(clips, draws)
        waveforms = clips.waveforms
        for name, step in self._steps.items():
            if self.spec.uses(name):
                waveforms = step(waveforms, draws)
        if self.spec.uses("NORM_AFTER_TIME_AUGS"):
            rms = on_waveforms.root_mean_square(clips.waveforms)
            waveforms = on_waveforms.level(waveforms, rms)
        if self.spec.uses("GAIN"):
            gains = draws.uniform("GAIN", -self.spec.gain_db, self.spec.gain_db)
            waveforms = waveforms * on_waveforms.decibels(gains)[:, None]
        return clips._replace(waveforms=waveforms)

    def _mixed(self, clips: Clips, draws: Draws) -> Clips:
        spec, partners = self.spec, self.partners
        if not partners:
            return clips
        if spec.uses("CONCAT_N_SAMPLES"):
            clips = mixing.joined(clips, draws, partners, most=spec.concat_n_samples)
        for name, most in (("SUM_N_SAMPLES", spec.sum_n_samples), ("SUM_TWO_SAMPLES", 2)):
            if spec.uses(name):
                clips = mixing.summed(
                    clips, draws, partners, most=most, name=name, level_db=spec.sum_level_db
                )
        return clips

    def _time_stretch(self, waveforms: Tensor, draws: Draws) -> Tensor:
        if self.spec.uses("PITCH"):
            return waveforms  # both in one pass, which is half the work
        return vocoder.time_stretch(waveforms, self._rates(draws))

    def _pitch(self, waveforms: Tensor, draws: Draws) -> Tensor:
        rates = self._rates(draws) if self.spec.uses("TIME_STRETCH") else None
        semitones = draws.uniform("PITCH", -SEMITONES, SEMITONES)
        return vocoder.pitch_shift(waveforms, semitones, rates)

    def _rates(self, draws: Draws) -> Tensor:
        slowest, fastest = np.log(self.spec.stretch_factors)
        return draws.uniform("TIME_STRETCH", float(slowest), float(fastest)).double().exp()

    def _speed(self, waveforms: Tensor, draws: Draws) -> Tensor:
        most = self.spec.speed_semitones
        return vocoder.speed(waveforms, draws.uniform("SPEED", -most, most))

    def _time_shift(self, waveforms: Tensor, draws: Draws) -> Tensor:
        return on_waveforms.time_shift(waveforms, draws.uniform("TIME_SHIFT", -SHIFT, SHIFT))

    def _time_inversion(self, waveforms: Tensor, draws: Draws) -> Tensor:
        chosen = draws.uniform("TIMEINV") < self.spec.time_inversion_p
        return on_waveforms.time_inversion(waveforms, chosen)

    def _equaliser(self, waveforms: Tensor, draws: Draws) -> Tensor:
        gains = draws.uniform("SEVEN_BAND_EQ", -EQ_DB, EQ_DB, count=7)
        return on_waveforms.seven_band_eq(waveforms, gains, self.sample_rate_hz)

    def _background_noise(self, waveforms: Tensor, draws: Draws) -> Tensor:
        assert self._background is not None
        self._background = self._background.to(waveforms.device)
        samples = len(self._background)
        places = torch.arange(waveforms.shape[1], device=waveforms.device)
        starts = draws.integers("BACKGROUND_NOISE place", samples)
        noise = self._background[(starts[:, None] + places) % samples]
        snr = draws.uniform("BACKGROUND_NOISE", *BACKGROUND_SNR_DB)
        return on_waveforms.add_noise(waveforms, noise, snr)

    def _colour_noise(self, waveforms: Tensor, draws: Draws) -> Tensor:
        white = draws.normal("COLOR_NOISE samples", waveforms.shape[1])
        noise = on_waveforms.coloured(white, draws.uniform("COLOR_NOISE colour", *COLOURS))
        snr = draws.uniform("COLOR_NOISE", *COLOUR_SNR_DB)
        return on_waveforms.add_noise(waveforms, noise, snr)

    def _clipping(self, waveforms: Tensor, draws: Draws) -> Tensor:
        return on_waveforms.clipping(waveforms, draws.uniform("CLIPPING", *CLIP_LEVELS))

    def _time_mask(self, waveforms: Tensor, draws: Draws) -> Tensor:
        samples = waveforms.shape[1]
        shares = draws.uniform("TIME_MASK", 0.0, self.spec.time_mask_max_percentage)
        widths = (shares * samples).round().long()
        starts = draws.integers("TIME_MASK place", samples - widths + 1)
        return on_waveforms.time_mask(waveforms, starts, widths)


def augment_images(images: Tensor, spec: Augmentation, draws: Draws) -> Tensor:
    """What ``spec`` does to images, float32 ``(clip, channel, band, frame)``."""
    bands, frames = images.shape[2:]
    if spec.uses("RANDOM_PIXELS"):
        hidden = draws.uniform("RANDOM_PIXELS", count=bands * frames) < spec.hide_random_pixels_p
        images = _hide(images, hidden.reshape(-1, bands, frames), "RANDOM_PIXELS", spec, draws)
    if spec.uses("FREQ_MASK"):
        widths = draws.integers("FREQ_MASK", min(spec.freq_mask_param, bands) + 1)
        starts = draws.integers("FREQ_MASK place", bands - widths + 1)
        images = on_images.frequency_mask(images, starts, widths)
    if spec.uses("RANDOM_ERASE"):
        images = _hide(images, _erased(images, draws), "RANDOM_ERASE", spec, draws)
    return images


def background(folder: Path, sample_rate_hz: int) -> Tensor:
    """All audio of a folder one after another, float32 ``(sample,)``, in the order of names.

    Raises:
        ConfigError: there is no audio in the folder.
        DataError: a file cannot be decoded.
    """
    files = sorted(reading.find(folder)) if folder.is_dir() else []
    if not files:
        raise ConfigError(
            f"aug_kwargs: path_background_noise: no audio in {folder}; name a folder of audio files"
        )
    parts = [reading.load(file, sample_rate_hz=sample_rate_hz) for file in files]
    return torch.from_numpy(np.concatenate(parts))


def _erased(images: Tensor, draws: Draws) -> Tensor:
    """A rectangle a clip, bool ``(clip, band, frame)``, of 2 to 20 % of the image."""
    bands, frames = images.shape[2:]
    area = draws.uniform("RANDOM_ERASE area", *ERASED_AREA) * (bands * frames)
    # Height over width, evenly on a logarithmic scale.
    low, high = np.log(ERASED_RATIO)
    ratio = draws.uniform("RANDOM_ERASE ratio", float(low), float(high)).exp()
    heights = (area * ratio).sqrt().round().long().clamp(1, bands)
    widths = (area / heights).round().long().clamp(1, frames)
    tops = draws.integers("RANDOM_ERASE top", bands - heights + 1)
    lefts = draws.integers("RANDOM_ERASE left", frames - widths + 1)
    return on_images.rectangle(tops, heights, lefts, widths, images)


def _hide(images: Tensor, hidden: Tensor, name: str, spec: Augmentation, draws: Draws) -> Tensor:
    normal = draws.normal(f"{name} filling", images.shape[2] * images.shape[3])
    return on_images.random_pixels(
        images, hidden, on_images.filling(images, normal, spec.std_noise)
    )
