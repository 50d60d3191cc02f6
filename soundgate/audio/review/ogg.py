"""Ogg streams whose bytes depend on the sound only.

libsndfile draws the serial number of a stream at random. It says which pages belong together where
a file has several streams; ours have one, so any number will do.
"""

from __future__ import annotations

_POLYNOMIAL = 0x04C11DB7
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)


def with_serial(stream: bytes, serial: int = 1) -> bytes:
    """The stream with another serial number in every page (RFC 3533, section 6).

    Raises:
        ValueError: it does not consist of whole pages.
    """
    pages = []
    start = 0
    while start < len(stream):
        if stream[start : start + 4] != b"OggS":
            raise ValueError(f"no Ogg page begins at byte {start}")
        segments = stream[start + 26]
        end = start + 27 + segments + sum(stream[start + 27 : start + 27 + segments])
        page = bytearray(stream[start:end])
        page[_SERIAL] = serial.to_bytes(4, "little")
        page[_CHECKSUM] = bytes(4)
        page[_CHECKSUM] = _checksum(page).to_bytes(4, "little")
        pages.append(page)
        start = end
    return b"".join(pages)


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x80000000 else 0)
        entries.append(value & 0xFFFFFFFF)
    return tuple(entries)


_TABLE = _table()


def _checksum(page: bytes | bytearray) -> int:
    """CRC-32 as Ogg takes it: the bits not mirrored, from 0, not inverted."""
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value
