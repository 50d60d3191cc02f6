"""The pages of an Ogg file: whether it ends, and where one stream follows another (RFC 3533).

Files that recorders and `cat` join are chains of streams. libsndfile decodes the first and says
nothing of the rest.
"""

from __future__ import annotations

import mmap
import os
from typing import Final

from soundgate.audio.files.spliced import Range

_PAGE_HEAD_BYTES: Final = 27
_LONGEST_PAGE_BYTES: Final = _PAGE_HEAD_BYTES + 255 + 255 * 255
_USUAL_PAGE_BYTES: Final = 4096
_BEGIN, _END = 0x02, 0x04
_FIRST_PAGE: Final = b"OggS\0\x02"
"""A page that begins a stream: capture pattern, version 0, the flag alone."""


def ends(path: str | os.PathLike[str]) -> bool:
    """Whether the last page is whole and carries the end-of-stream flag (section 6)."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        size_bytes = os.fstat(file.fileno()).st_size
        # The longest possible page is sixteen times as long as they are as a rule.
        for tail_bytes in (2 * _USUAL_PAGE_BYTES, _LONGEST_PAGE_BYTES):
            file.seek(max(0, size_bytes - tail_bytes))
            tail = file.read(tail_bytes)
            start = tail.rfind(b"OggS\0")
            if start >= 0:
                break
    if start < 0 or start + _PAGE_HEAD_BYTES > len(tail):
        return False
    lengths = tail[start + 27 : start + 27 + tail[start + 26]]
    whole = start + 27 + tail[start + 26] + sum(lengths) <= len(tail)
    return whole and bool(tail[start + 5] & _END)


def links(path: str | os.PathLike[str]) -> list[Range]:
    """Return the streams of a chain, in order; one range where the file holds one.

    Streams that run side by side, as of a film, begin together and are one link.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
        starts = [0]
        position = data.find(_FIRST_PAGE, 1)
        while position >= 0:
            if _is_page(data, position) and not _follows_a_first_page(data, position):
                starts.append(position)
            position = data.find(_FIRST_PAGE, position + 1)
        return [
            Range(start, end) for start, end in zip(starts, [*starts[1:], len(data)], strict=True)
        ]


def _is_page(data: mmap.mmap, position: int) -> bool:
    """Whether a first page stands there, and not the same six bytes in sound."""
    head = data[position : position + _PAGE_HEAD_BYTES]
    if len(head) < _PAGE_HEAD_BYTES or head[18:22] != bytes(4) or head[6:14] != bytes(8):
        return False
    return position + _page_bytes(data, position) <= len(data)


def _page_bytes(data: mmap.mmap, position: int) -> int:
    count = data[position + 26]
    lengths = data[position + _PAGE_HEAD_BYTES : position + _PAGE_HEAD_BYTES + count]
    return _PAGE_HEAD_BYTES + count + sum(lengths)


def _follows_a_first_page(data: mmap.mmap, position: int) -> bool:
    """Whether the page before it begins a stream, too: then both run side by side."""
    before = data.rfind(b"OggS\0", max(0, position - _LONGEST_PAGE_BYTES), position)
    return (
        before >= 0
        and bool(data[before + 5] & _BEGIN)
        and before + _page_bytes(data, before) == position
    )
