"""Random numbers that belong to a clip: a counter-based generator keyed by seed, epoch and record.

Every number is a hash of its key and its position (SplitMix64: Steele, Lea and Flood 2014), so
it is the same whatever else is drawn before it, in any batch, on any device. A clip's key is that
of its record; each purpose (the name of what is drawn) has a stream of its own.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


def _signed(value: int) -> int:
    """The int64 with the bits of an unsigned 64-bit number."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GAMMA = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


@dataclass(frozen=True)
class Draws:
    """The random numbers of the clips of a batch."""

    keys: Tensor
    """Int64 ``(clip,)``."""

    @classmethod
    def of(
        cls,
        records: Sequence[int | str],
        *,
        seed: int,
        epoch: int,
        device: torch.device | None = None,
    ) -> Draws:
        """Those of ``records``: numbers or names that stay with a clip in every epoch."""
        names = [f"{seed}\n{epoch}\n{record}".encode() for record in records]
        keys = [hashlib.blake2b(name, digest_size=8).digest() for name in names]
        numbers = [int.from_bytes(key, "little", signed=True) for key in keys]
        return cls(torch.tensor(numbers, dtype=torch.int64, device=device))

    def uniform(
        self, purpose: str, low: float = 0.0, high: float = 1.0, count: int | None = None
    ) -> Tensor:
        """Uniform numbers from ``low``, up to but not including ``high``.

        Returns:
            float32 ``(clip,)``, or ``(clip, count)``.
        """
        # 24 bits: float32 has each of them exactly, and 1 is never reached.
        share = (self._bits(purpose, count or 1) >> 40 & 0xFFFFFF).to(torch.float32) * 2.0**-24
        found = low + (high - low) * share
        return found if count else found[:, 0]

    def integers(self, purpose: str, below: Tensor | int, count: int | None = None) -> Tensor:
        """Whole numbers from 0 to ``below`` - 1, int64 ``(clip,)`` or ``(clip, count)``.

        Args:
            purpose: what is drawn.
            below: a number, at most 2**31, or one a clip ``(clip,)``.
            count: how many a clip; None: one.
        """
        bits = self._bits(purpose, count or 1) >> 32 & 0xFFFFFFFF
        limit = below[:, None] if isinstance(below, Tensor) else below
        found = bits * limit >> 32
        return found if count else found[:, 0]

    def normal(self, purpose: str, count: int) -> Tensor:
        """Standard normal numbers, float32 ``(clip, count)`` (Box and Muller 1958)."""
        pairs = math.ceil(count / 2)
        drawn = self.uniform(purpose, count=2 * pairs)
        radius = (-2.0 * torch.log1p(-drawn[:, :pairs])).sqrt()
        angle = 2.0 * math.pi * drawn[:, pairs:]
        return torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]

    def _bits(self, purpose: str, count: int) -> Tensor:
        """Int64 ``(clip, count)`` of random bits."""
        name = hashlib.blake2b(purpose.encode(), digest_size=8).digest()
        stream = _mixed(self.keys ^ int.from_bytes(name, "little", signed=True))
        counter = torch.arange(1, count + 1, dtype=torch.int64, device=self.keys.device)
        return _mixed(stream[:, None] + counter * _GAMMA)


def _mixed(values: Tensor) -> Tensor:
    """SplitMix64's output function; products of int64 wrap."""
    values = (values ^ _shifted(values, 30)) * _FIRST
    values = (values ^ _shifted(values, 27)) * _SECOND
    return values ^ _shifted(values, 31)


def _shifted(values: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros; torch fills with the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)
