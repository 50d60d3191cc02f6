"""Training pieces: cut at random places of the clips, a batch at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundgate.audio.classification.tagging.chunks import random_start, stacked
from soundgate.audio.files.threads import one_ahead
from soundgate.audio.signal.augmentation.mixing import Clips

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import torch

    from soundgate.audio.classification.tagging.plan import Plan

    Array = npt.NDArray[Any]

# Clips of like length are looked for among so many batches, so that the order stays random.
_POOL_BATCHES = 16


class Pieces(NamedTuple):
    """A batch to learn from."""

    chosen: Array
    """Int64 (piece,): numbers of the training clips."""
    waveforms: torch.Tensor
    """Float32 (piece, sample)."""
    samples: torch.Tensor | None
    """Int64 (piece,), how many samples of each are real; None: all."""


@dataclass(frozen=True)
class Sampler:
    """The pieces of an epoch: one of every clip, shuffled, or clips drawn by their weight."""

    lengths: Array
    """Int64 (clip,), samples."""
    chunk: int | None
    """Samples of a piece; None: whole clips."""
    batch_size: int
    seed: int
    weights: Array | None = None
    """Float64 (clip,): how likely each is drawn; None: every clip once an epoch."""
    rank: int = 0
    world: int = 1

    @property
    def batches(self) -> int:
        """Batches an epoch; the last one is filled up with clips of the beginning."""
        return -(-len(self.lengths) // self.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[Array, Array]]:
        """Yield numbers of clips and first samples, both int64 (piece,), of this process's share.

        What an epoch holds depends on the seed and its number alone.
        """
        rng = np.random.default_rng([self.seed, number])
        count = len(self.lengths)
        if self.weights is None:
            order = rng.permutation(count)
        else:
            order = rng.choice(count, count, p=self.weights / self.weights.sum())
        order = np.resize(order, self.batches * self.batch_size)
        if self.chunk is None:
            order = self._alike(order, rng)
        draws = rng.random(len(order))
        for batch in range(self.batches):
            rows = slice(
                batch * self.batch_size + self.rank, (batch + 1) * self.batch_size, self.world
            )
            yield order[rows], self._starts(order[rows], draws[rows])

    def _starts(self, chosen: Array, draws: Array) -> Array:
        if self.chunk is None:
            return np.zeros(len(chosen), np.int64)
        pairs = zip(chosen, draws, strict=True)
        starts = [random_start(int(self.lengths[k]), self.chunk, float(d)) for k, d in pairs]
        return np.array(starts, np.int64)

    def _alike(self, order: Array, rng: np.random.Generator) -> Array:
        """Clips of like length in one batch; the batches in a random order."""
        pool = _POOL_BATCHES * self.batch_size
        parts = [order[first : first + pool] for first in range(0, len(order), pool)]
        ordered = [part[np.argsort(self.lengths[part], kind="stable")] for part in parts]
        batches = np.concatenate(ordered).reshape(self.batches, self.batch_size)
        return np.asarray(rng.permutation(batches, axis=0).ravel())


def gathered(
    plan: Plan, sampler: Sampler, number: int, *, masked: bool, least: int
) -> Iterator[Pieces]:
    """The batches of an epoch; each is read while the one before is used.

    Args:
        plan: whose clips they are.
        sampler: which pieces.
        number: of the epoch, from 0.
        masked: whether the network leaves out what fills a piece up, see ``stacked``.
        least: samples that the network needs.
    """

    def read(drawn: tuple[Array, Array]) -> Pieces:
        chosen, starts = drawn
        clips = (plan.clips.waveform(plan.rows[k]) for k in chosen)
        pieces = [clip[start:][: sampler.chunk] for clip, start in zip(clips, starts, strict=True)]
        return Pieces(chosen, *stacked(pieces, masked=masked, least=least))

    return one_ahead(read, sampler.epoch(number))


class WholeSet:
    """The training clips as partners of a mix, cut or repeated to the length of the batch."""

    length = 1
    """Samples of the batch that is mixed."""

    def __init__(self, plan: Plan, targets: torch.Tensor, mask: torch.Tensor) -> None:
        """Take the clips.

        Args:
            plan: whose clips they are.
            targets: float32 (clip, label), where the batches are.
            mask: bool (clip, label), likewise.
        """
        self._plan, self._targets, self._mask = plan, targets, mask

    def __len__(self) -> int:
        """How many there are."""
        return len(self._plan.rows)

    def __call__(self, numbers: torch.Tensor, places: torch.Tensor) -> Clips:
        """The clips of ``numbers``, int64 (clip,), from ``places``, float32 (clip,), 0 to 1, on."""
        plan = self._plan
        pieces = []
        for number, place in zip(numbers.tolist(), places.tolist(), strict=True):
            clip = plan.clips.waveform(plan.rows[number])
            start = random_start(clip.size, self.length, place)
            pieces.append(np.resize(clip[start : start + self.length], self.length))
        batch = stacked(pieces, masked=False)
        device = self._targets.device
        return Clips(batch.waveforms.to(device), self._targets[numbers], self._mask[numbers])


def balancing_weights(targets: Array) -> Array:
    """Float64 (clip,): clips of rare labels are drawn more often.

    A clip weighs as much as its rarest label: one over the number of clips with it. A clip without
    labels weighs as one of the commonest.

    Args:
        targets: bool or 0 and 1 (clip, label).
    """
    there = targets >= 0.5
    counts = np.maximum(there.sum(0), 1)
    rarest = np.where(there, 1.0 / counts, 0.0).max(1)
    return np.asarray(np.where(rarest > 0, rarest, 1.0 / counts.max()))
