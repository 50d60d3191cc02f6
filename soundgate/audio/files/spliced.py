"""Bytes in memory and ranges of a file, read as if they were one file."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from typing_extensions import Buffer


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes ``start`` to ``end`` of a file."""

    start: int
    end: int


class Spliced(io.RawIOBase):
    """A read-only file made of pieces; nothing is copied, so its length does not matter.

    A decoder that believes a wrong header is handed the same file with another header this way.
    """

    def __init__(self, path: str | os.PathLike[str], pieces: Sequence[bytes | Range]) -> None:
        """Open ``path``, which the ranges refer to."""
        super().__init__()
        self._file = open(path, "rb", buffering=1 << 16)  # noqa: PTH123, SIM115 - closed with this
        self._pieces = list(pieces)
        lengths = [len(p) if isinstance(p, bytes) else p.end - p.start for p in self._pieces]
        self._starts = [sum(lengths[:index]) for index in range(len(lengths))]
        self._size = sum(lengths)
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, bytes from the beginning of the first piece."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move as ``io.RawIOBase.seek`` does."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        """Fill ``buffer`` as far as there are bytes; return how many were written."""
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target) and self._position < self._size:
            got = self._piece(len(target) - filled)
            if not got:  # the file became shorter
                break
            target[filled : filled + len(got)] = got
            filled += len(got)
            self._position += len(got)
        return filled

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()

    def __enter__(self) -> Self:
        """Return the file itself."""
        return self

    def _piece(self, most: int) -> bytes:
        index = max(i for i, start in enumerate(self._starts) if start <= self._position)
        piece, inside = self._pieces[index], self._position - self._starts[index]
        if isinstance(piece, bytes):
            return piece[inside : inside + most]
        self._file.seek(piece.start + inside)
        return self._file.read(min(most, piece.end - piece.start - inside))
