"""Random numbers that depend on a seed and the name of what they are drawn for, on nothing else."""

from __future__ import annotations

import hashlib
from typing import Final

_BITS: Final = 64


def draw(*identity: object) -> float:
    """Draw from 0 up to 1, evenly.

    Args:
        identity: a seed, and what the number is for.
    """
    return bits(*identity) / float(2**_BITS)


def bits(*identity: object) -> int:
    """64 random bits."""
    text = "/".join(map(str, identity)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=_BITS // 8).digest(), "big")
