"""Training patches: cut at random places of the clips, gathered by index, a batch at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from soundgate.audio.signal.standardisation import Standardisation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from soundgate.audio.formats.features import Row

    Array = npt.NDArray[Any]

RESIDENT_BYTES = 1_000_000_000
"""Frames of less than this are kept in memory, or in that of the accelerator."""

_BLOCK_FRAMES = 65536


class Clips(NamedTuple):
    """Where the training clips lie in the frames: int64 arrays of length clip."""

    first_frame: Array
    frames: Array

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Clips:
        """From rows of ``clips.jsonl``."""
        first = np.array([row.first_frame for row in rows], np.int64)
        return cls(first, np.array([row.frames for row in rows], np.int64))


def standardisation(frames: Array, clips: Clips) -> Standardisation:
    """Measure every band over the frames of ``clips``, in one pass, block by block.

    Sums are taken in float64 about the first frame, so that a large mean costs no digits. A band
    that never changes gets a standard deviation of 1.
    """
    origin = np.asarray(frames[clips.first_frame[0]], np.float64)
    total, squares, count = np.zeros_like(origin), np.zeros_like(origin), 0
    for first, length in zip(clips.first_frame, clips.frames, strict=True):
        for start in range(first, first + length, _BLOCK_FRAMES):
            stop = min(start + _BLOCK_FRAMES, first + length)
            block = np.asarray(frames[start:stop], np.float64) - origin
            total += block.sum(0)
            squares += np.square(block).sum(0)
            count += len(block)
    variance = np.maximum(squares / count - np.square(total / count), 0.0)
    std = np.sqrt(variance)
    std[std < 1e-6] = 1.0
    return Standardisation((origin + total / count).astype(np.float32), std.astype(np.float32))


class FrameBank:
    """Frames float16 ``(frame, mel)``, gathered by index; small sets live where they are used."""

    def __init__(self, frames: Array, device: torch.device) -> None:
        """Read ``frames`` whole where they are small, else leave them memory-mapped."""
        self._device = device
        self._mapped = frames
        self._resident: torch.Tensor | None = None
        if frames.nbytes < RESIDENT_BYTES:
            self._resident = torch.from_numpy(np.array(frames)).to(device)

    @property
    def resident(self) -> bool:
        """Whether the frames are in memory."""
        return self._resident is not None

    def gather(self, index: Array) -> torch.Tensor:
        """Float32 ``(batch, mel, frame)`` at ``index``, int64 ``(batch, frame)``."""
        if self._resident is not None:
            chosen = self._resident[torch.as_tensor(index, device=self._device)]
        else:
            chosen = torch.from_numpy(self._mapped[index]).to(self._device)
        return chosen.float().transpose(1, 2)


@dataclass(frozen=True)
class Sampler:
    """The patches of an epoch: ``crops`` of each clip, shuffled, cut anywhere, going round."""

    clips: Clips
    patch_frames: int
    batch_size: int
    crops: int
    seed: int
    rank: int = 0
    world: int = 1

    @property
    def batches(self) -> int:
        """Batches an epoch; patches that do not fill one are left out, unless there is but one."""
        return max(1, len(self.clips.frames) * self.crops // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Array, Array]]:
        """Yield clip numbers ``(batch,)`` and frame indices ``(batch, frame)``, both int64.

        What an epoch holds depends on the seed and its number alone. Where several processes share
        the training, each draws the whole batch and keeps its own rows.
        """
        rng = np.random.default_rng([self.seed, number])
        n_clips = len(self.clips.frames)
        order = np.concatenate([rng.permutation(n_clips) for _ in range(self.crops)])
        starts = rng.random(len(order))
        offsets = np.arange(self.patch_frames)
        # As many rows for every process, or they would wait for one another without end.
        size = min(self.batch_size, len(order) // self.world * self.world)
        for batch in range(self.batches):
            rows = slice(batch * size + self.rank, (batch + 1) * size, self.world)
            chosen = order[rows]
            length = self.clips.frames[chosen, None]
            start = (starts[rows, None] * length).astype(np.int64)
            yield chosen, self.clips.first_frame[chosen, None] + (start + offsets) % length


def gathered(
    bank: FrameBank, batches: Iterator[tuple[Array, Array]]
) -> Iterator[tuple[Array, torch.Tensor]]:
    """Yield clip numbers and patches of every batch.

    Frames on disk are read one batch ahead, while the one before is used; those in memory take a
    hundredth of a training step, which a thread would only lengthen.
    """
    if bank.resident:
        for chosen, index in batches:
            yield chosen, bank.gather(index)
        return
    with ThreadPoolExecutor(1) as reader:
        waiting = None
        for chosen, index in batches:
            coming = (chosen, reader.submit(bank.gather, index))
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = coming
        if waiting is not None:
            yield waiting[0], waiting[1].result()
