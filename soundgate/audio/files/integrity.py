"""Whether an audio file is all there.

libsndfile hands out what is left of a file that was cut short, without a word; its log and the last
page of an Ogg file tell.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Final

from soundgate.audio.files import ogg
from soundgate.errors import DataError, UserError, unreadable

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
UNKNOWN_FRAMES: Final = 1 << 62
"""From here on libsndfile means that the header gives no length."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 100, 2_000_000
"""Seismometers record at 100 Hz, hydrophones at 1 MHz; beyond that a header is damaged."""
MOST_FRAMES_A_BYTE: Final = 8192
"""FLAC and Opus write some 5,000 samples of silence in a byte; no format writes more."""


def first_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the first four bytes of a file, by which formats are known.

    Raises:
        DataError: it is missing, empty, no file or cannot be read.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  # a Path costs as much as the call
        # a pipe would be waited for, a device read without end
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{os.fspath(path)}: cannot be read: it is not a file")
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            head = file.read(4)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{os.fspath(path)}: no such file: check the path") from None
    except OSError as error:
        raise unreadable(os.fspath(path), error) from error
    if not head:
        raise DataError(f"{os.fspath(path)}: is empty (0 bytes): fetch or export it again")
    return head


def cannot_decode(path: str | os.PathLike[str], error: soundfile.LibsndfileError) -> UserError:
    """What to say of a file that libsndfile gives up on: damaged audio, or none at all."""
    reason = error.error_string.strip().rstrip(".") or "decoding failed"
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(4)
    except OSError as lost:
        return unreadable(os.fspath(path), lost)
    if head.startswith(_MAGIC) or head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return DataError(
            f"{os.fspath(path)}: is damaged or cut short ({reason}): fetch or export it again"
        )
    return DataError(
        f"{os.fspath(path)}: is not audio that can be decoded ({reason}): "
        "convert it to WAV, FLAC, OGG or MP3"
    )


def lacks_end(path: str | os.PathLike[str]) -> DataError:
    """What to say of an Ogg file without its last page."""
    return DataError(
        f"{os.fspath(path)}: is cut short: the Ogg end-of-stream page is missing: "
        "fetch or export it again"
    )


def check_plausible(path: str | os.PathLike[str], file: soundfile.SoundFile) -> None:
    """Refuse a header that no recording has, before time or memory is spent on it.

    A WAV whose rate reads 1 Hz becomes 16,000 times as long when it is resampled to 16 kHz.

    Raises:
        DataError: its rate, or its length for its size, is absurd.
    """
    check_rate(path, file.samplerate)
    frames, size_bytes = file.frames, _size(path)
    if frames >= UNKNOWN_FRAMES:
        raise DataError(
            f"{os.fspath(path)}: its header does not state its length: re-encode it to a file, "
            "not to a pipe"
        )
    if frames * file.channels > size_bytes * MOST_FRAMES_A_BYTE:
        raise DataError(
            f"{os.fspath(path)}: its header promises {frames} samples in {size_bytes} bytes: "
            "it is damaged; fetch or export it again"
        )
    if frames == 0:
        raise holds_nothing(path)


def check_rate(path: str | os.PathLike[str], rate_hz: int) -> None:
    """Refuse a sample rate that no recorder has.

    Raises:
        DataError: it is too low or too high.
    """
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise DataError(
            f"{os.fspath(path)}: its header says {rate_hz} Hz, which is not between "
            f"{LOWEST_RATE_HZ} and {HIGHEST_RATE_HZ} Hz: correct its sample rate or leave it out"
        )


def holds_nothing(path: str | os.PathLike[str]) -> DataError:
    """What to say of a file without samples."""
    return DataError(f"{os.fspath(path)}: contains 0 samples: leave it out or export it again")


def check_whole(path: str | os.PathLike[str], file: soundfile.SoundFile) -> None:
    """Refuse an open file that holds less than its header promises.

    Raises:
        DataError: it does.
    """
    if file.format == "OGG" and not ogg.ends(path):
        raise lacks_end(path)
    if file.format == "OGG":
        return  # its log is long and promises nothing
    for found in _PROMISED.finditer(file.extra_info):
        held, promised = (found[2], found[1]) if found[1] else (found[3], found[4])
        unit = "bytes" if found[1] else "samples"
        if int(promised) == _size(path):
            continue  # some recorders write the size of the whole file: all of it is there
        if int(held) < int(promised) < _STREAMED_BYTES:
            raise DataError(
                f"{os.fspath(path)}: is cut short: the header says {promised} {unit}, "
                f"found {held}: fetch or export it again"
            )


def _size(path: str | os.PathLike[str]) -> int:
    return os.stat(path).st_size  # noqa: PTH116
