"""How many samples an MPEG audio file (MP3) really holds.

Its length stands in a Xing, Info or VBRI header, which is missing where a program wrote to a pipe,
and wrong where two files were joined. Then decoders guess it from the first bit rate, and a file of
variable rate comes out too short: 24 s of 60. Here the frames are counted, from header to header,
without decoding (ISO/IEC 11172-3, section 2.4.1.3; 13818-3 for the half rates).
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.files.spliced import Range
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_BYTES: Final = 4
_ID3_BYTES: Final = 10
_ID3V1_BYTES: Final = 128
_FRAMES_FLAG, _BYTES_FLAG = 1, 2
_RATES_HZ: Final = {
    3: (44100, 48000, 32000),  # MPEG 1
    2: (22050, 24000, 16000),  # MPEG 2
    0: (11025, 12000, 8000),  # MPEG 2.5
}
_KBIT_S: Final = {
    (3, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_DECODER_DELAY: Final = 529
"""Samples that mpg123 drops at the start of a file with an Info header, as its filters lag."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's header says."""

    version: int  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    layer: int
    rate_hz: int
    mono: bool
    size_bytes: int
    samples: int

    def is_like(self, other: Frame) -> bool:
        """Whether both can belong to one stream; the bit rate may vary."""
        return (self.version, self.layer, self.rate_hz) == (
            other.version,
            other.layer,
            other.rate_hz,
        )


def frame_at(data: bytes | mmap.mmap, position: int) -> Frame | None:
    """Return the frame whose header stands at ``position``; None where none does."""
    head = data[position : position + _HEADER_BYTES]
    if len(head) < _HEADER_BYTES or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or rate == 3:
        return None
    rate_hz = _RATES_HZ[version][rate]
    bits_s = _KBIT_S[3 if version == 3 else 2, layer][index - 1] * 1000
    padding = head[2] >> 1 & 1
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    slot = 4 if layer == 1 else 1
    size = (samples // 8 // slot * bits_s // rate_hz + padding) * slot
    return Frame(version, layer, rate_hz, head[3] >> 6 == 3, size, samples)


def frames(data: bytes | mmap.mmap, start: int) -> Iterator[tuple[int, Frame]]:
    """Yield position and header of every whole frame; tags and garbage between them are skipped."""
    position, first = start, None
    size = len(data)
    while position + _HEADER_BYTES <= size:
        frame = frame_at(data, position)
        if frame is None or (first is not None and not frame.is_like(first)):
            position = _next_sync(data, position, first)
            continue
        if first is None and not _is_followed(data, position, frame):
            position += 1
            continue
        if position + frame.size_bytes > size:
            return  # cut off in its middle: no decoder gives its samples
        first = first or frame
        yield position, frame
        position += frame.size_bytes


def _is_followed(data: bytes | mmap.mmap, position: int, frame: Frame) -> bool:
    """Whether a frame like it follows: two bytes of anything can look like a header."""
    after = position + frame.size_bytes
    following = frame_at(data, after)
    return after >= len(data) or (following is not None and following.is_like(frame))


def _next_sync(data: bytes | mmap.mmap, position: int, first: Frame | None) -> int:
    """Return where the next header can stand, behind a tag or garbage at ``position``."""
    if (tag := id3_bytes(data, position)) > 0:
        return position + tag
    while (position := data.find(b"\xff", position + 1)) >= 0:
        frame = frame_at(data, position)
        if frame is None or not frame.is_like(first or frame):
            continue
        if first is None or _is_followed(data, position, frame):
            return position
    return len(data)


def id3_bytes(data: bytes | mmap.mmap, position: int) -> int:
    """Return the length of the ID3v2 tag at ``position``; 0 where none stands there."""
    head = data[position : position + _ID3_BYTES]
    if len(head) < _ID3_BYTES or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:]:  # four times 7 bits
        size = size << 7 | byte & 0x7F
    return _ID3_BYTES + size


@dataclass(frozen=True, slots=True)
class Length:
    """The Xing or Info header of a file."""

    position: int
    """Of its four letters."""
    frames: int | None
    bytes: int | None


def length_header(data: bytes | mmap.mmap, position: int, frame: Frame) -> Length | None:
    """Return the length header in the frame at ``position``, if it is one."""
    at = position + _HEADER_BYTES + _side_info_bytes(frame)
    if data[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags, first, second = struct.unpack(">III", data[at + 4 : at + 16].ljust(12, b"\0"))
    count = first if flags & _FRAMES_FLAG else None
    size = second if flags & _FRAMES_FLAG else first
    return Length(at, count, size if flags & _BYTES_FLAG else None)


def _side_info_bytes(frame: Frame) -> int:
    if frame.version == 3:
        return 17 if frame.mono else 32
    return 9 if frame.mono else 17


@dataclass(frozen=True, slots=True)
class Repair:
    """How a file is read whose length header is missing or wrong."""

    pieces: tuple[bytes | Range, ...]
    dropped: int = 0
    """Samples at the start that are no part of the file."""


def repair(path: str | os.PathLike[str]) -> Repair | None:
    """Return how to read a layer 3 file to its end; None where its own length header is true.

    A file without a header comes out as long as FFmpeg has it: every frame whole, from the first.

    Raises:
        DataError: the header promises more frames than there are.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:  # noqa: PTH123
        start = 0
        while (tag := id3_bytes(data, start)) > 0:
            start += tag
        found = next(frames(data, start), None)
        if found is None or found[1].layer != 3:
            return None  # the decoder says what it is
        position, frame = found
        header = length_header(data, position, frame)
        if header is not None and _is_true(header, position, len(data)):
            return None
        count = sum(1 for _ in frames(data, position))
        if header is None:
            silence = _empty_frame(frame, b"")
            # the silent frame takes the decoder's delay, so that nothing of the file is dropped
            info = _empty_frame(frame, b"Info" + struct.pack(">II", _FRAMES_FLAG, count + 1))
            pieces = (info, silence, Range(position, len(data)))
            return Repair(pieces, dropped=frame.samples - _DECODER_DELAY)
        _check_whole(path, header, count - 1, frame)
        return _patched(data, header, count - 1, position)


def _check_whole(path: str | os.PathLike[str], header: Length, count: int, frame: Frame) -> None:
    promised = (header.frames or 0) * frame.samples
    missing = promised - count * frame.samples
    if missing > 0:
        raise DataError(
            f"{os.fspath(path)}: is cut short: the header promises {promised} samples, "
            f"{missing} of them are missing: fetch or export it again"
        )


def _is_true(header: Length, position: int, size: int) -> bool:
    """Whether a header fits the file to the byte: then no frame need be counted."""
    if header.frames is None or header.bytes is None:
        return False
    behind = size - position - header.bytes
    return behind in (0, _ID3V1_BYTES) and header.frames * 8 <= header.bytes


def _patched(data: mmap.mmap, header: Length, count: int, position: int) -> Repair | None:
    """Return the file with another number of frames in its header."""
    if header.frames is None or count == header.frames:
        return None
    at = header.position + 8
    size = struct.pack(">I", min(len(data) - position, 0xFFFFFFFF))
    size = size if header.bytes is not None else data[at + 4 : at + 8]
    tag = struct.pack(">I", count) + size
    return Repair((Range(position, at), tag, Range(at + 8, len(data))))


def _empty_frame(like: Frame, tag: bytes) -> bytes:
    """Return a layer 3 frame that decodes to silence, with room for a length header."""
    rate = _RATES_HZ[like.version].index(like.rate_hz)
    # bit rate 9 has room for a header in every version; no checksum
    head = bytes(
        [0xFF, 0xE0 | like.version << 3 | 1 << 1 | 1, 9 << 4 | rate << 2, like.mono * 0xC0]
    )
    made = frame_at(head, 0)
    assert made is not None
    return (head + bytes(_side_info_bytes(made)) + tag).ljust(made.size_bytes, b"\0")
