"""From raw waveforms to the patches that a network takes, as modules that can be exported.

The chain is that of ``waveforms.prepare``, ``log_mel`` and ``patch_starts``, with
one difference in form: no shape depends on what the samples are, only on how many there are. What
is silence is not cut out; an index says which sample stands at which place, and how many places
count. Frames and patches beyond those are computed as well, and marked as not real.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.signal.log_mel import constants_of, raised
from soundgate.audio.signal.patches import patch_samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
    from soundgate.audio.signal.standardisation import Standardisation

T = TypeVar("T", int, Tensor)

# Floor of the power that is compared, as in waveforms.remove_silence.
_POWER_FLOOR = 1e-10
# librosa.power_to_db's floor and range, as in log_mel.
_DB_FLOOR = 1e-10
_DB_RANGE = 80.0


def least_samples(preprocessing: Preprocessing, options: FeatureExtraction) -> int:
    """How many samples every clip has once it is prepared: ``min_length``, or those of one patch.

    Preprocessing refuses a clip from which no patch can be cut; a program cannot refuse, so it
    repeats the clip until it fills one.
    """
    one_patch = patch_samples(options)
    if preprocessing.lengthen == "before":
        return one_patch
    return max(one_patch, round(preprocessing.min_length * preprocessing.target_rate))


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
        self.arrangement = _Arrangement(preprocessing, options)
        self.log_mel = _LogMel(options, preprocessing.target_rate)
        self.register_buffer("mean", torch.from_numpy(standardisation.mean.copy()))
        self.register_buffer(
            "deviation", torch.from_numpy(standardisation.standard_deviation.copy())
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Cut patches.

        Args:
            waveform: float32 (batch, sample).

        Returns:
            Patches float32 (batch, patch, mel, frame), and how many of each clip's are real, int64
            (batch,).
        """
        framed, length = self.arrangement(waveform)
        frames = self.arrangement.frames(length)
        mel = (self.log_mel(framed, frames) - self.mean) / self.deviation
        more = self.step - 1 if self.include_last else 0
        count = 1 + (frames + (more - self.length)) // self.step
        patches = 1 + (mel.shape[1] - self.length + more) // self.step
        return self._cut(mel.transpose(1, 2), frames, patches), count.squeeze(1)

    def _cut(self, mel: Tensor, frames: Tensor, patches: int) -> Tensor:
        """Patches (batch, patch, mel, frame) of ``mel`` (batch, mel, frame)."""
        at = torch.arange(patches * self.length, device=mel.device)
        first, within = (at // self.length) * self.step, at % self.length
        if self.include_last:
            index = (torch.minimum(first, frames - self.length) + within).unsqueeze(1)
        else:
            index = (first + within).reshape(1, 1, -1)
        index = index.expand(mel.shape[0], mel.shape[1], -1)
        cut = mel.gather(2, index).reshape(mel.shape[0], mel.shape[1], patches, self.length)
        # A copy, not contiguous(): that would ask for the batch size while the graph is traced.
        return cut.transpose(1, 2).clone(memory_format=torch.contiguous_format)


class _Arrangement(nn.Module):
    """Which samples of a clip are kept, in which order, how often; cut into frames."""

    def __init__(self, preprocessing: Preprocessing, options: FeatureExtraction) -> None:
        super().__init__()
        self.settings, self.options = preprocessing, options
        self.rate = preprocessing.target_rate
        self.most = most_samples(preprocessing)
        self.least = least_samples(preprocessing, options)
        self.least_before = 0
        if preprocessing.lengthen == "before":
            self.least_before = round(preprocessing.min_length * self.rate)
        # Samples of padding on each side.
        self.margin = options.n_fft // 2 if options.center else 0
        # The place of the first sample under a window: negative where frames are centred.
        self.first = (options.n_fft - options.window_length) // 2 - self.margin

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Samples under the windows (batch, frame, window); samples that count, (batch, 1)."""
        clip = self._first_samples(waveform)
        compact, length = self._compact(clip)
        if self.settings.trim_last_second:
            length = torch.where(length >= self.rate, length - length % self.rate, length)
        total = length.clamp(min=self.least)
        frames = self.frames(_larger(clip.shape[1], self.least))
        # A clip that is repeated has as few frames as any: what lies beyond them is never repeated.
        begin, end = self._end(self.frames(self.least)), self._end(frames)
        device = waveform.device
        head = torch.arange(self.first, begin, device=device).expand(clip.shape[0], -1)
        tail = torch.arange(begin, end, device=device)
        places = [self._head(compact, head, length, total), self._tail(compact, tail, total)]
        window = self.options.window_length
        return _framed(torch.cat(places, 1), window, self.options.hop_length, frames), total

    def frames(self, samples: T) -> T:
        """How many frames a clip of so many samples has."""
        return 1 + (samples + (2 * self.margin - self.options.n_fft)) // self.options.hop_length

    def _end(self, frames: int) -> int:
        """The place after the last one under a window."""
        return self.first + (frames - 1) * self.options.hop_length + self.options.window_length

    def _first_samples(self, waveform: Tensor) -> Tensor:
        """No more than ``max_length``, repeated up to ``min_length`` where that comes first."""
        samples = _smaller(waveform.shape[1], self.most)
        # A slice up to the smaller of two numbers would be of unknown length to the tracing.
        at = torch.arange(_larger(samples, self.least_before), device=waveform.device)
        if self.least_before:
            # A number of samples has to be a tensor before a graph may divide by it.
            at = at % torch.full_like(at, samples)
        return waveform.index_select(1, at)

    def _compact(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept of each clip moved to its front; how many samples that is, (batch, 1)."""
        samples, hop = clip.shape[1], self.settings.hop_length
        if self.settings.top_db is None:
            return clip, torch.full_like(clip[:, :1], samples, dtype=torch.int64)
        power = self._power(clip).clamp(min=_POWER_FLOOR)
        loudest = power.amax(1, keepdim=True)
        blocks = power.shape[1]
        number = torch.arange(blocks, device=clip.device)
        sizes = (samples - number * hop).clamp(min=0, max=hop)
        loud = power > loudest * 10 ** (-self.settings.top_db / 10)
        keep = (loud & (sizes > 0)).long()
        # Only the empty frame that begins at the clip's end was loud: nothing is left to drop.
        keep = torch.maximum(keep, 1 - keep.amax(1, keepdim=True))
        # Kept blocks go to the front; the others go to one place beyond, which is cut off.
        target = torch.where(keep > 0, keep.cumsum(1) - 1, blocks)
        order = functional.pad(torch.zeros_like(keep), (0, 1))
        order = order.scatter(1, target, number.expand_as(keep)).index_select(1, number)
        order = order + torch.arange(clip.shape[0], device=clip.device).unsqueeze(1) * blocks
        at = torch.arange(blocks * hop, device=clip.device)
        rows = functional.pad(clip, (0, hop)).index_select(1, at).reshape(-1, hop)
        compact = rows.index_select(0, order.reshape(-1)).reshape(clip.shape[0], blocks * hop)
        return compact, (keep * sizes).sum(1, keepdim=True)

    def _power(self, clip: Tensor) -> Tensor:
        """Mean square of centred frames (batch, frame), as ``waveforms.remove_silence`` has it."""
        size, hop = self.settings.frame_length, self.settings.hop_length
        before = size // 2
        frames = 1 + (clip.shape[1] + 2 * before - size) // hop
        at = torch.arange((frames - 1) * hop + size, device=clip.device)
        padded = functional.pad(clip, (before, before)).index_select(1, at)
        return _framed(padded, size, hop, frames).square().mean(2)

    def _head(self, compact: Tensor, places: Tensor, length: Tensor, total: Tensor) -> Tensor:
        """The samples at ``places``, repeated where a clip is too short."""
        if not self.margin:
            return compact.gather(1, places % length)
        inside = self._inside(places, total)
        samples = compact.gather(1, inside % length)
        return samples * (inside == places) if self.options.pad_mode == "constant" else samples

    def _tail(self, compact: Tensor, places: Tensor, total: Tensor) -> Tensor:
        """The samples at ``places`` (place,), beyond those that may be repeated."""
        if not self.margin:
            return compact.index_select(1, places)
        if self.options.pad_mode != "constant":
            return compact.gather(1, self._inside(places.unsqueeze(0), total))
        padded = functional.pad(compact, (0, self.margin))
        return padded.index_select(1, places) * (places < total)

    def _inside(self, places: Tensor, total: Tensor) -> Tensor:
        """Which of the clip's places stands at each of ``places``, some of which are outside."""
        last = total - 1
        if self.options.pad_mode == "reflect":
            mirrored = places.abs()
            return torch.minimum(mirrored, 2 * last - mirrored).clamp(min=0)
        return torch.minimum(places.clamp(min=0), last)


def _framed(samples: Tensor, size: int, hop: int, frames: int) -> Tensor:
    """Frames (batch, frame, size), ``hop`` apart, of ``samples`` that end with the last of them.

    Runtimes copy rows of the numbers' largest common divisor many times faster than single samples.
    """
    unit = math.gcd(size, hop)
    first = torch.arange(frames, device=samples.device).unsqueeze(1) * (hop // unit)
    within = torch.arange(size // unit, device=samples.device)
    units = (frames - 1) * (hop // unit) + size // unit
    rows = samples.reshape(samples.shape[0], units, unit)
    return rows.index_select(1, (first + within).reshape(-1)).reshape(-1, frames, size)


class _LogMel(nn.Module):
    """``log_mel``, its Fourier transform a product with the waves of the bins that count.

    The window is folded into the waves. ONNX's own transform is younger than the operator sets that
    embedded runtimes know.
    """

    waves: Tensor
    bank: Tensor

    def __init__(self, options: FeatureExtraction, sample_rate_hz: int) -> None:
        super().__init__()
        self.options = options
        window, bank, first, last = constants_of(options, sample_rate_hz)
        before = (options.n_fft - options.window_length) // 2
        n = torch.arange(options.window_length, dtype=torch.float64)
        angle = n[:, None] * torch.arange(first, last, dtype=torch.float64)
        angle *= 2 * math.pi / options.n_fft
        shape = torch.from_numpy(window)[before : before + options.window_length].double()
        waves = torch.cat([angle.cos(), angle.sin()], dim=1) * shape[:, None]
        self.register_buffer("waves", waves.float())
        self.register_buffer("bank", torch.from_numpy(bank.copy()))

    def forward(self, framed: Tensor, frames: Tensor) -> Tensor:
        """Log-mel frames (batch, frame, mel).

        Args:
            framed: the samples under the windows, (batch, frame, window).
            frames: how many frames of each clip count, (batch, 1).
        """
        options = self.options
        parts = framed.flatten(0, 1) @ self.waves
        parts = parts.reshape(*framed.shape[:2], -1)
        bins = self.bank.shape[0]
        real, imaginary = parts[:, :, :bins], parts[:, :, bins:]
        power = real * real + imaginary * imaginary
        mel = raised(power, options.power) @ self.bank
        if not options.to_db:
            return torch.log(mel + options.log_offset)
        level_db = 10.0 * torch.log10(mel.clamp(min=_DB_FLOOR))
        counts = (torch.arange(mel.shape[1], device=mel.device) < frames).unsqueeze(2)
        heard = torch.where(counts, level_db, 10.0 * math.log10(_DB_FLOOR))
        level_db = level_db - heard.amax((1, 2), keepdim=True)
        return level_db.clamp(min=-_DB_RANGE)


# Python's min and max would ask which is the case; a traced graph must answer that each time.
_smaller: Callable[[int, int], int] = torch.sym_min
_larger: Callable[[int, int], int] = torch.sym_max
