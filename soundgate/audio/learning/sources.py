"""Batches of several data sets, each with its own share of the rows and part of the loss."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from torch import Tensor

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Source:
    """One data set of a mix."""

    name: str
    size: int
    """Records."""
    share: int
    """Rows of a batch."""


@dataclass(frozen=True)
class Mix:
    """Which records every batch of an epoch holds: the rows of each source, in the order given.

    Each epoch shuffles every source; it ends when the first of them cannot fill its share again.
    What is drawn depends on the seed, the epoch and the source's name alone: another source that
    joins changes nothing in the draws of the others, and a killed training draws the same again.
    """

    sources: tuple[Source, ...]
    seed: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            ConfigError: a source is smaller than its share, or processes cannot divide the share.
        """
        for source in self.sources:
            if not 1 <= source.share <= source.size:
                raise ConfigError(
                    f"training.batch.{source.name}: {source.size} records cannot fill "
                    f"{source.share} rows of a batch; give 1 to {source.size}"
                )
            if source.share % self.world:
                raise ConfigError(
                    f"training.batch.{source.name}: {source.share} rows cannot be shared among "
                    f"{self.world} processes; make it a multiple"
                )

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        return min(source.size // source.share for source in self.sources)

    @property
    def rows(self) -> int:
        """Rows of this process's share of a batch."""
        return sum(source.share // self.world for source in self.sources)

    def rows_of(self, name: str) -> slice:
        """Where the rows of a source are in this process's share of a batch.

        Raises:
            ConfigError: there is no such source.
        """
        first = 0
        for source in self.sources:
            count = source.share // self.world
            if source.name == name:
                return slice(first, first + count)
            first += count
        known = [source.name for source in self.sources]
        raise ConfigError(f"training.batch: no source {name!r}{nearest(name, known)}")

    def mask(self, *names: str, device: torch.device | None = None) -> Tensor:
        """Which rows belong to the sources ``names``: bool ``(row,)``."""
        mask = torch.zeros(self.rows, dtype=torch.bool, device=device)
        for name in names:
            mask[self.rows_of(name)] = True
        return mask

    def epoch(self, number: int) -> Iterator[dict[str, Array]]:
        """Yield the records of every batch by source, int64 ``(share / processes,)``.

        Every process draws the whole batch and keeps its own rows.
        """
        orders = {
            source.name: np.random.default_rng(
                [self.seed, number, zlib.crc32(source.name.encode())]
            ).permutation(source.size)
            for source in self.sources
        }
        for batch in range(self.batches):
            yield {
                source.name: orders[source.name][
                    batch * source.share + self.rank : (batch + 1) * source.share : self.world
                ]
                for source in self.sources
            }


def masked_mean(losses: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``losses`` where ``mask`` is true; 0, with gradient 0, where it is nowhere.

    Args:
        losses: ``(row, ...)``, finite in every row: a gradient through NaN is NaN although it is
            masked, so rows without a target are given one of 0.
        mask: bool, ``(row,)`` or of a shape that broadcasts to that of ``losses``.
    """
    if mask.ndim < losses.ndim:
        mask = mask.reshape(mask.shape + (1,) * (losses.ndim - mask.ndim))
    mask = mask.expand_as(losses)
    return (losses * mask).sum() / mask.sum().clamp(min=1)
