"""The length of a FLAC file that was written to a pipe, whose header gives none (RFC 9639)."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

from soundgate.audio.files.spliced import Range

if TYPE_CHECKING:
    import os

_TOTAL_AT: Final = 21
"""Of STREAMINFO: four bits of this byte and the four bytes behind it count the samples."""
_LONGEST_HEADER_BYTES: Final = 16
_LONGEST_FRAME_BYTES: Final = 1 << 20
_BLOCKS: Final = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}}
_BLOCKS.update({code: 256 << (code - 8) for code in range(8, 16)})


def with_length(path: str | os.PathLike[str]) -> list[bytes | Range] | None:
    """Return the pieces of a file with its length in the header; None where that is known already.

    The length is read off the last frame, which tells where it stands. A file whose last frame is
    damaged is as long as what stands before it, as for every decoder.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
        if data[:4] != b"fLaC" or len(data) < _TOTAL_AT + 5:
            return None
        if data[_TOTAL_AT] & 0x0F or any(data[_TOTAL_AT + 1 : _TOTAL_AT + 5]):
            return None
        total = _end_of_last_frame(data)
        if not total:
            return None
        high = bytes([data[_TOTAL_AT] & 0xF0 | total >> 32 & 0x0F])
        low = (total & 0xFFFFFFFF).to_bytes(4, "big")
        return [Range(0, _TOTAL_AT), high + low, Range(_TOTAL_AT + 5, len(data))]


def _end_of_last_frame(data: mmap.mmap) -> int:
    """Return the number of samples up to the end of the last frame; 0 where none is found."""
    fixed_block = int.from_bytes(data[8:10], "big")
    position = len(data)
    while (position := data.rfind(b"\xff", len(data) - _LONGEST_FRAME_BYTES, position)) > 0:
        header = data[position : position + _LONGEST_HEADER_BYTES]
        if len(header) > 5 and header[1] & 0xFE == 0xF8 and (end := _end(header, fixed_block)):
            return end
    return 0


def _end(header: bytes, fixed_block: int) -> int:
    """Return the number of the sample behind a frame; 0 where this is no frame's header."""
    number, at = _coded_number(header, 4)
    code = header[2] >> 4
    block = _BLOCKS.get(code, 0)
    if code in (6, 7):
        width = code - 5
        block = int.from_bytes(header[at : at + width], "big") + 1
        at += width
    at += {12: 1, 13: 2, 14: 2}.get(header[2] & 0x0F, 0)
    if not block or at >= len(header) or _crc8(header[:at]) != header[at]:
        return 0
    is_variable = header[1] & 1
    return (number if is_variable else number * fixed_block) + block


def _coded_number(header: bytes, at: int) -> tuple[int, int]:
    """Read a number that is written as UTF-8 writes characters; return it and what follows."""
    first = header[at]
    if first < 0x80:
        return first, at + 1
    width = 8 - (first ^ 0xFF).bit_length()
    number = first & (0x7F >> width)
    for byte in header[at + 1 : at + width]:
        number = number << 6 | byte & 0x3F
    return number, at + max(width, 1)


def _crc8(data: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc
