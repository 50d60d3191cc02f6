"""Windows that are cut from clips: at random places to learn from, in the middle to validate.

A window of a call holds at least half of it, or is at least half full of it. Where a clip is
shorter than the window, noise of the same side stands around it: silence would give a call away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from soundgate.audio.files.threads import one_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from soundgate.audio.detection.training.clips import Clip, ClipSet

    Array = npt.NDArray[Any]

_HALF = 0.5


class Drawn(NamedTuple):
    """What an epoch drew for the windows of a batch, each an array (window,)."""

    clips: Array
    """Int64: numbers of the training clips."""
    shares: dict[str, Array]
    """Float64 from 0 to below 1, by purpose."""


class Pieces(NamedTuple):
    """A batch to learn from."""

    drawn: Drawn
    waveforms: torch.Tensor
    """Float32 (window, sample), the window in the middle of as much sound as stretching needs."""
    noise: torch.Tensor | None
    """Float32 (window, sample), one window long; None: none is added."""
    targets: torch.Tensor
    """Int64 (window,)."""


PURPOSES = (
    *("place", "stretch", "pitch", "amplitude", "snr"),
    *("noise", "noise_clip", "noise_place", "filling_clip", "filling_place"),
)
"""What is drawn for every window."""


@dataclass(frozen=True)
class Sampler:
    """Which clips an epoch learns from, and what is drawn for each."""

    numbers: Array
    """Int64 (clip,): classes."""
    batch_size: int
    seed: int
    balanced: bool
    """Whether every class is drawn equally often; otherwise every clip once."""
    rank: int = 0
    world: int = 1

    @property
    def batches(self) -> int:
        """Batches an epoch; the last one is filled up."""
        return -(-len(self.numbers) // self.batch_size)

    def epoch(self, number: int) -> Iterator[Drawn]:
        """Yield this process's share of each batch; depends on the seed and the number alone."""
        rng = np.random.default_rng([self.seed, number])
        count = self.batches * self.batch_size
        order = self._balanced(rng, count) if self.balanced else self._each(rng, count)
        shares = {name: rng.random(count) for name in PURPOSES}
        for batch in range(self.batches):
            first = batch * self.batch_size + self.rank
            rows = slice(first, (batch + 1) * self.batch_size, self.world)
            yield Drawn(order[rows], {name: values[rows] for name, values in shares.items()})

    def _each(self, rng: np.random.Generator, count: int) -> Array:
        return np.resize(rng.permutation(len(self.numbers)), count)

    def _balanced(self, rng: np.random.Generator, count: int) -> Array:
        """Clips class by class, each class in an order of its own, begun again where it ends."""
        members = [np.flatnonzero(self.numbers == k) for k in np.unique(self.numbers)]
        least = -(-count // len(members))
        rounds = -(-least // min(map(len, members)))
        drawn = [
            np.concatenate([rng.permutation(own) for _ in range(rounds)])[:least]
            if len(own) < least
            else rng.permutation(own)[:least]
            for own in members
        ]
        return np.asarray(np.stack(drawn, 1).ravel()[:count])


class Cutter:
    """Cuts windows of one length from the clips of one side."""

    def __init__(self, clips: ClipSet, rows: Sequence[Clip], window: int, *, fill: bool) -> None:
        """Take the clips.

        Args:
            clips: whose samples they are.
            rows: of one side.
            window: samples.
            fill: whether noise stands around short clips; otherwise silence.
        """
        self._clips, self.rows, self.window = clips, rows, window
        self._noise = [row for row in rows if row.call is None]
        self._fill = fill and bool(self._noise)

    def learnt(self, row: Clip, length: int, stretch: float, shares: dict[str, float]) -> Array:
        """Samples float32 (length,) around a window at a random place.

        Args:
            row: the clip.
            length: samples, at least a window.
            stretch: how much longer sound will become: the window is so much shorter here.
            shares: what was drawn.
        """
        wanted = self.window / stretch
        low, high = self._range(row, wanted)
        middle = low + shares["place"] * (high - low) + wanted / 2
        return self._around(row, middle, length, shares)

    def middle(self, row: Clip) -> Array:
        """Samples float32 (window,) around the middle of the call, or of the noise."""
        first, end = row.call or (0, row.samples)
        share = (row.first % 1009) / 1009  # the same in every epoch, another for each clip
        shares = {"filling_clip": share, "filling_place": 1 - share}
        low, high = self._range(row, self.window)
        middle = min(max((first + end) / 2, low + self.window / 2), high + self.window / 2)
        return self._around(row, middle, self.window, shares)

    def noise(self, length: int, shares: dict[str, float], name: str = "noise") -> Array:
        """Samples float32 (length,) of a noise clip, repeated where it is shorter; or silence."""
        if not self._noise:
            return np.zeros(length, np.float32)
        row = self._noise[int(shares[f"{name}_clip"] * len(self._noise))]
        sound = self._clips.waveform(row)
        first = int(shares[f"{name}_place"] * (max(sound.size - length, 0) + 1))
        return np.resize(sound[first : first + length], length)

    def _range(self, row: Clip, wanted: float) -> tuple[float, float]:
        """First and last sample at which a window of ``wanted`` samples may begin."""
        room = row.samples - wanted
        low, high = min(room, 0.0), max(room, 0.0)
        if row.call is None:
            return low, high
        first, end = row.call
        held = _HALF * min(end - first, wanted)
        inside = max(low, first + held - wanted), min(high, end - held)
        return inside if inside[0] <= inside[1] else (low, high)

    def _around(self, row: Clip, middle: float, length: int, shares: dict[str, float]) -> Array:
        start = round(middle - length / 2)
        sound = self._clips.waveform(row)
        if start >= 0 and start + length <= sound.size:
            return sound[start : start + length]
        if self._fill:
            found = self.noise(length, shares, "filling").copy()
        else:
            found = np.zeros(length, np.float32)
        first, end = max(start, 0), min(start + length, sound.size)
        found[first - start : end - start] = sound[first:end]
        return found


def gathered(
    cutter: Cutter, sampler: Sampler, number: int, *, ranges: Ranges, noisy: bool
) -> Iterator[Pieces]:
    """The batches of an epoch; each is cut while the one before is used.

    Args:
        cutter: of the training clips.
        sampler: which.
        number: of the epoch, from 0.
        ranges: of the stretching.
        noisy: whether noise is to be added.
    """
    length = round(cutter.window / ranges.least)

    def cut(drawn: Drawn) -> Pieces:
        waves, noise = [], []
        for place, chosen in enumerate(drawn.clips):
            shares = {name: float(values[place]) for name, values in drawn.shares.items()}
            stretch = ranges.at(shares["stretch"])
            waves.append(cutter.learnt(cutter.rows[chosen], length, stretch, shares))
            if noisy:
                noise.append(cutter.noise(cutter.window, shares))
        targets = torch.tensor([cutter.rows[k].number for k in drawn.clips])
        added = torch.from_numpy(np.stack(noise)) if noisy else None
        return Pieces(drawn, torch.from_numpy(np.stack(waves)), added, targets)

    return one_ahead(cut, sampler.epoch(number))


@dataclass(frozen=True)
class Ranges:
    """Least and highest factor of a stretching; both 1: none."""

    least: float = 1.0
    most: float = 1.0

    def at(self, share: float) -> float:
        """The factor that was drawn: ratios are equally likely up and down."""
        return float(self.least * (self.most / self.least) ** share)
