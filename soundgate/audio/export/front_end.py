"""From raw waveforms to the patches that a network takes, as modules that can be exported.

The chain is that of ``waveforms.prepare``, ``features.log_mel`` and ``features.patch_starts``, with
one difference in form: no shape depends on what the samples are, only on how many there are. What
is silence is not cut out; an index says which sample stands at which place, and how many places
count. Frames and patches beyond those are computed as well, and marked as not real.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio import features

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.batches import Standardisation
    from soundgate.audio.config import FeatureExtraction, Preprocessing

# Floor of the power that is compared, as in waveforms.remove_silence.
_POWER_FLOOR = 1e-10
# librosa.power_to_db's floor and range, as in features.log_mel.
_DB_FLOOR = 1e-10
_DB_RANGE = 80.0


def least_samples(preprocessing: Preprocessing, options: FeatureExtraction) -> int:
    """How many samples every clip has once it is prepared: ``min_length``, or those of one patch.

    Preprocessing refuses a clip from which no patch can be cut; a program cannot refuse, so it
    repeats the clip until it fills one.
    """
    half = _half(options)
    one_patch = options.hop_length * (options.patch_length - 1) + options.n_fft - 2 * half
    if half and options.pad_mode == "reflect":
        one_patch = max(one_patch, half + 1)
    if preprocessing.lengthen == "before":
        return max(1, one_patch)
    return max(1, one_patch, round(preprocessing.min_length * preprocessing.target_rate))


def most_samples(preprocessing: Preprocessing) -> int:
    """How many samples of a clip are looked at: ``max_length``."""
    return max(1, round(preprocessing.max_length * preprocessing.target_rate))


class FrontEnd(nn.Module):
    """Waveforms to standardised patches."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        preprocessing: Preprocessing,
        options: FeatureExtraction,
        standardisation: Standardisation,
    ) -> None:
        """Fold the settings of training into constants of the module."""
        super().__init__()
        self.length = options.patch_length
        self.step = options.patch_length - int(options.patch_length * options.overlap)
        self.include_last = options.include_last_patch
        self.n_fft, self.hop = options.n_fft, options.hop_length
        self.arrangement = _Arrangement(preprocessing, options)
        self.log_mel = _LogMel(options, preprocessing.target_rate)
        self.register_buffer("mean", torch.from_numpy(standardisation.mean.copy()))
        self.register_buffer("deviation", torch.from_numpy(standardisation.deviation.copy()))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Cut patches.

        Args:
            waveform: float32 (batch, sample).

        Returns:
            Patches float32 (batch, patch, mel, frame), and how many of each clip's are real, int64
            (batch,).
        """
        samples, length = self.arrangement(waveform)
        frames = 1 + (length + (2 * self.arrangement.margin - self.n_fft)) // self.hop
        mel = (self.log_mel(samples, frames) - self.mean) / self.deviation
        more = self.step - 1 if self.include_last else 0
        count = 1 + (frames + (more - self.length)) // self.step
        patches = 1 + (mel.shape[1] - self.length + more) // self.step
        return self._cut(mel.transpose(1, 2), frames, patches), count.squeeze(1)

    def _cut(self, mel: Tensor, frames: Tensor, patches: int) -> Tensor:
        """Patches (batch, patch, mel, frame) of ``mel`` (batch, mel, frame)."""
        place = torch.arange(patches * self.length, device=mel.device)
        first, within = (place // self.length) * self.step, place % self.length
        if self.include_last:
            index = (torch.minimum(first, frames - self.length) + within).unsqueeze(1)
        else:
            index = (first + within).reshape(1, 1, -1)
        index = index.expand(mel.shape[0], mel.shape[1], -1)
        cut = mel.gather(2, index).reshape(mel.shape[0], mel.shape[1], patches, self.length)
        # A copy, not contiguous(): that would ask for the batch size while the graph is traced.
        return cut.transpose(1, 2).clone(memory_format=torch.contiguous_format)


class _Arrangement(nn.Module):
    """Which samples of a clip are kept, in which order, and how often they are repeated."""

    def __init__(self, preprocessing: Preprocessing, options: FeatureExtraction) -> None:
        super().__init__()
        self.settings = preprocessing
        self.rate = preprocessing.target_rate
        self.most = most_samples(preprocessing)
        self.least_before = 0
        if preprocessing.lengthen == "before":
            self.least_before = round(preprocessing.min_length * self.rate)
        self.least = least_samples(preprocessing, options)
        self.margin = _half(options)
        self.pad_mode = options.pad_mode

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Samples (batch, place), padded where frames are centred; how many count, (batch, 1)."""
        clip = self._beginning(waveform)
        order, length = self._kept(clip)
        if self.settings.trim_last_second:
            length = torch.where(length >= self.rate, length - length % self.rate, length)
        total = length.clamp(min=self.least)
        last = _larger(clip.shape[1], self.least) + self.margin
        places = torch.arange(-self.margin, last, device=waveform.device).unsqueeze(0)
        place, inside = self._inside(places, total)
        place = place % length
        if order is not None:
            hop = self.settings.hop_length
            place = order.gather(1, place // hop) * hop + place % hop
        laid_out = clip.gather(1, place)
        return (laid_out if inside is None else laid_out * inside), total

    def _beginning(self, waveform: Tensor) -> Tensor:
        """No more than ``max_length``, repeated up to ``min_length`` where that comes first."""
        samples = _smaller(waveform.shape[1], self.most)
        # A slice up to the smaller of two numbers would be of unknown length to the tracing.
        place = torch.arange(_larger(samples, self.least_before), device=waveform.device)
        if self.least_before:
            # A number of samples has to be a tensor before a graph may divide by it.
            place = place % torch.full_like(place, samples)
        return waveform.index_select(1, place)

    def _kept(self, clip: Tensor) -> tuple[Tensor | None, Tensor]:
        """Blocks kept, in order, int64 (batch, block); how many samples they are, (batch, 1)."""
        samples = clip.shape[1]
        if self.settings.top_db is None:
            return None, torch.full_like(clip[:, :1], samples, dtype=torch.int64)
        power = self._power(clip).clamp(min=_POWER_FLOOR)
        loudest = power.amax(1, keepdim=True)
        number = torch.arange(power.shape[1], device=clip.device)
        sizes = (samples - number * self.settings.hop_length).clamp(
            min=0, max=self.settings.hop_length
        )
        loud = power > loudest * 10 ** (-self.settings.top_db / 10)
        keep = (loud & (sizes > 0)).long()
        # Only the empty frame that begins at the clip's end was loud: nothing is left to drop.
        keep = torch.maximum(keep, 1 - keep.amax(1, keepdim=True))
        length = (keep * sizes).sum(1, keepdim=True)
        # Kept blocks go to the front; the others go to one place beyond, which is never looked at.
        target = torch.where(keep > 0, keep.cumsum(1) - 1, power.shape[1])
        order = functional.pad(torch.zeros_like(keep), (0, 1))
        return order.scatter(1, target, number.expand_as(keep)), length

    def _power(self, clip: Tensor) -> Tensor:
        """Mean square of centred frames (batch, frame), as ``waveforms.remove_silence`` has it."""
        before = self.settings.frame_length // 2
        padded = functional.pad(clip, (before, before))
        framed = padded.unfold(1, self.settings.frame_length, self.settings.hop_length)
        return framed.square().mean(2)

    def _inside(self, places: Tensor, total: Tensor) -> tuple[Tensor, Tensor | None]:
        """Which place of the clip each of ``places`` shows, and where 0 stands instead of it."""
        if not self.margin:
            return places, None
        last = total - 1
        if self.pad_mode == "reflect":
            mirrored = places.abs()
            return torch.minimum(mirrored, 2 * last - mirrored).clamp(min=0), None
        inside = torch.minimum(places.clamp(min=0), last)
        return inside, None if self.pad_mode == "edge" else (inside == places).to(torch.float32)


class _LogMel(nn.Module):
    """``features.log_mel``, its Fourier transform a product with the waves of the bins that count.

    The window is folded into the waves. ONNX's own transform is younger than the operator sets that
    embedded runtimes know.
    """

    waves: Tensor
    bank: Tensor

    def __init__(self, options: FeatureExtraction, sample_rate_hz: int) -> None:
        super().__init__()
        self.options = options
        window, bank, first, last = features._constants(options, sample_rate_hz)  # noqa: SLF001
        self.before = (options.n_fft - options.window_length) // 2
        self.after = options.n_fft - options.window_length - self.before
        n = torch.arange(options.window_length, dtype=torch.float64)
        angle = n[:, None] * torch.arange(first, last, dtype=torch.float64)
        angle *= 2 * math.pi / options.n_fft
        shape = torch.from_numpy(window)[self.before : options.n_fft - self.after].double()
        waves = torch.cat([angle.cos(), angle.sin()], dim=1) * shape[:, None]
        self.register_buffer("waves", waves.float())
        self.register_buffer("bank", torch.from_numpy(bank.copy()))

    def forward(self, samples: Tensor, frames: Tensor) -> Tensor:
        """Log-mel frames float32 (batch, frame, mel); of each clip ``frames`` (batch, 1) count."""
        options = self.options
        inner = samples[:, self.before : samples.shape[1] - self.after]
        framed = inner.unfold(1, options.window_length, options.hop_length)
        rows = framed.clone(memory_format=torch.contiguous_format).flatten(0, 1)
        parts = (rows @ self.waves).reshape(*framed.shape[:2], -1)
        bins = self.bank.shape[0]
        real, imaginary = parts[:, :, :bins], parts[:, :, bins:]
        power = real * real + imaginary * imaginary
        mel = features._raised(power, options.power) @ self.bank  # noqa: SLF001
        if not options.to_db:
            return torch.log(mel + options.log_offset)
        level_db = 10.0 * torch.log10(mel.clamp(min=_DB_FLOOR))
        counts = (torch.arange(mel.shape[1], device=mel.device) < frames).unsqueeze(2)
        heard = torch.where(counts, level_db, 10.0 * math.log10(_DB_FLOOR))
        level_db = level_db - heard.amax((1, 2), keepdim=True)
        return level_db.clamp(min=-_DB_RANGE)


def _half(options: FeatureExtraction) -> int:
    """Samples of padding on each side."""
    return options.n_fft // 2 if options.center else 0


# Python's min and max would ask which is the case; a traced graph must answer that each time.
_smaller: Callable[[int, int], int] = torch.sym_min
_larger: Callable[[int, int], int] = torch.sym_max
