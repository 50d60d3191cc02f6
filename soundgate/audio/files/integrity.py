"""Whether an audio file is all there.

libsndfile hands out what is left of a file that was cut short, without a word; its log and the last
page of an Ogg file tell.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from soundgate.errors import DataError

if TYPE_CHECKING:
    import soundfile

_MAGIC: Final = (b"RIFF", b"RF64", b"OggS", b"fLaC", b"FORM", b".snd", b"caff", b"ID3", b"riff")
# libsndfile logs what a header promised and what the file holds: "data : 88200 (should be 44100)".
_PROMISED: Final = re.compile(
    r"^\s*(?:data|SSND|riff|Data Size)\s*: (\d+) \(should be (\d+)\)"
    r"|frame count (\d+) does not match value from 'ds64' chunk of (\d+)",
    re.MULTILINE,
)
# A program that writes to a pipe cannot know the length: ffmpeg puts 2^32 - 1, sox about 2^31.
_STREAMED_BYTES: Final = 0x7FFFF000
_UNKNOWN_FRAMES: Final = 1 << 62
# ID3v2: "ID3", version, flags, size.
_ID3_BYTES: Final = 10
# An MPEG layer 3 frame has at most 1441 bytes.
_MP3_FRAME_BYTES: Final = 1441
# RFC 3533: a page has 27 bytes of header, at most 255 lengths and 255 segments of 255 bytes.
_OGG_PAGE_BYTES: Final = 27 + 255 + 255 * 255
_OGG_END_OF_STREAM: Final = 0x04


def check_bytes(path: str | os.PathLike[str]) -> None:
    """Refuse a file that is missing or empty.

    Raises:
        DataError: it is.
    """
    try:
        size_bytes = os.stat(path).st_size  # noqa: PTH116  # a Path costs as much as the call
        if size_bytes:
            return
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{os.fspath(path)}: no such file: check the path") from None
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from error
    raise DataError(f"{os.fspath(path)}: is empty (0 bytes): fetch or export it again")


def cannot_decode(path: str | os.PathLike[str], error: soundfile.LibsndfileError) -> DataError:
    """What to say of a file that libsndfile gives up on: damaged audio, or none at all."""
    reason = error.error_string.strip().rstrip(".") or "decoding failed"
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(4)
    except OSError as unreadable:
        return DataError(f"{os.fspath(path)}: cannot be read: {unreadable.strerror}")
    if head.startswith(_MAGIC) or head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return DataError(
            f"{os.fspath(path)}: is damaged or cut short ({reason}): fetch or export it again"
        )
    return DataError(
        f"{os.fspath(path)}: is not audio that can be decoded ({reason}): "
        "convert it to WAV, FLAC, OGG or MP3"
    )


def check_whole(path: str | os.PathLike[str], file: soundfile.SoundFile) -> None:
    """Refuse an open file that holds less than its header promises.

    Raises:
        DataError: it does, or it holds no samples, or does not say how many.
    """
    if file.format == "OGG" and not _ogg_ends(path):
        raise DataError(
            f"{os.fspath(path)}: is cut short: the Ogg end-of-stream page is missing: "
            "fetch or export it again"
        )
    if file.frames == 0:
        raise DataError(f"{os.fspath(path)}: holds 0 samples: leave it out or export it again")
    if file.frames >= _UNKNOWN_FRAMES:
        raise DataError(
            f"{os.fspath(path)}: its header does not give its length: re-encode it to a file, "
            "not to a pipe"
        )
    if file.format == "OGG":
        return  # its log is long and promises nothing
    for found in _PROMISED.finditer(file.extra_info):
        held, promised = (found[2], found[1]) if found[1] else (found[3], found[4])
        unit = "bytes" if found[1] else "samples"
        if int(held) < int(promised) < _STREAMED_BYTES:
            raise DataError(
                f"{os.fspath(path)}: is cut short: the header promises {promised} {unit}, "
                f"{held} are there: fetch or export it again"
            )


def is_length_known(path: str | os.PathLike[str], file: soundfile.SoundFile) -> bool:
    """Whether the number of samples was read; of an MP3 without a Xing header it is a guess.

    Then nobody can tell whether the end is missing.
    """
    if file.format != "MP3":
        return True
    with open(path, "rb", buffering=0) as opened:  # noqa: PTH123
        head = opened.read(_ID3_BYTES)
        if head.startswith(b"ID3"):  # its size is 4 times 7 bits
            size = sum(
                (byte & 0x7F) << shift
                for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=False)
            )
            opened.seek(_ID3_BYTES + size)
            head = b""
        first_frame = head + opened.read(_MP3_FRAME_BYTES)
    return any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI"))


def _ogg_ends(path: str | os.PathLike[str]) -> bool:
    """Whether the last page is whole and carries the end-of-stream flag (RFC 3533, section 6)."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123
        size_bytes = os.fstat(file.fileno()).st_size
        # Pages are about 4 KiB as a rule; the longest possible one is sixteen times as long.
        for tail_bytes in (2 * 4096, _OGG_PAGE_BYTES):
            file.seek(max(0, size_bytes - tail_bytes))
            tail = file.read(tail_bytes)
            start = tail.rfind(b"OggS\0")
            if start >= 0:
                break
    if start < 0 or start + 27 > len(tail):
        return False
    lengths = tail[start + 27 : start + 27 + tail[start + 26]]
    whole = start + 27 + tail[start + 26] + sum(lengths) <= len(tail)
    return whole and bool(tail[start + 5] & _OGG_END_OF_STREAM)
