"""Read audio files: any rate, any number of channels, mono float32 out.

Decoding is libsndfile (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, AU, CAF), resampling is soxr.
A file that holds less than its header promises is refused: libsndfile itself hands out the shorter
clip without a word, and a shorter clip quietly changes every measurement made with it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

Samples: TypeAlias = NDArray[np.float32]

EXTENSIONS: Final = frozenset(
    {".wav", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
    | {".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
)
"""Lower-case file name extensions that :func:`read` decodes."""

# Tables give times with three decimals, so an end may lie half a millisecond after the last sample.
SEGMENT_SLACK_S: Final = 0.001

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
# RFC 3533: a page has 27 bytes of header, at most 255 lengths and 255 segments of 255 bytes.
_OGG_PAGE_BYTES: Final = 27 + 255 + 255 * 255
_OGG_END_OF_STREAM: Final = 0x04


@dataclass(frozen=True, slots=True)
class Info:
    """What the header of an audio file says."""

    frames: int
    """Samples of each channel."""
    rate_hz: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz


def info(path: str | os.PathLike[str]) -> Info:
    """Read the header only, and check that the file holds what the header promises.

    Raises:
        DataError: the file is missing, empty, cut short or no audio.
    """
    with _opened(path) as file:
        return Info(file.frames, file.samplerate, file.channels)


def read(
    path: str | os.PathLike[str],
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> tuple[Samples, int]:
    """Decode a file, or a segment of it, as one channel at its own sampling rate.

    Channels are averaged. Samples of 8, 16 and 24 bits are exact: an int16 sample v is v / 32768.

    Args:
        path: The audio file.
        start_s: First second of the segment; the beginning of the file if None.
        end_s: Last second of the segment; the end of the file if None.

    Returns:
        Samples float32 (sample,), nominally in -1..1, and the rate in Hz.

    Raises:
        DataError: the file is missing, empty, cut short, no audio, holds NaN or infinity, or the
            segment is not inside of it.
    """
    with _opened(path) as file:
        first, last = _segment(path, file, start_s, end_s)
        samples = _mono(_decode(path, file, first, last))
        # Integer samples cannot be NaN, and looking costs as much as decoding 16-bit WAV does.
        if not file.subtype.startswith("PCM_") and not np.isfinite(samples).all():
            raise DataError(f"{_name(path)}: holds NaN or infinite samples: export it again")
        return samples, file.samplerate


def load(
    path: str | os.PathLike[str],
    *,
    sample_rate_hz: int,
    start_s: float | None = None,
    end_s: float | None = None,
) -> Samples:
    """Decode a file, or a segment of it, as one channel at ``sample_rate_hz``.

    Resampling is soxr's "HQ" (20 bit, linear phase); it is left out where the rates are equal.

    Returns:
        Samples float32 (sample,).

    Raises:
        DataError: see :func:`read`.
        ParameterError: ``sample_rate_hz`` is not positive.
    """
    if sample_rate_hz <= 0:
        raise ParameterError(f"sample_rate_hz: {sample_rate_hz} is not positive: give a rate in Hz")
    samples, rate_hz = read(path, start_s=start_s, end_s=end_s)
    if rate_hz == sample_rate_hz:
        return samples
    resampled: Samples = soxr.resample(samples, rate_hz, sample_rate_hz, quality="HQ")
    if resampled.size == 0:
        raise DataError(
            f"{_name(path)}: {samples.size} sample(s) at {rate_hz} Hz are less than one at "
            f"{sample_rate_hz} Hz: give a longer clip"
        )
    return resampled


def write(
    path: str | os.PathLike[str], samples: NDArray[np.float32] | NDArray[np.int16], rate_hz: int
) -> None:
    """Write samples (sample,) or (sample, channel) as 16-bit PCM: WAV, or as the name says.

    The bytes depend on the samples and the rate only.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        soundfile.write(os.fsencode(path), samples, rate_hz, "PCM_16", format=_format(path))
    except soundfile.LibsndfileError as error:
        raise DataError(
            f"{_name(path)}: cannot be written ({error.error_string.rstrip('.')}): "
            "check that the folder exists, may be written and is not full"
        ) from error


def _format(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix[1:].upper() or "WAV"


def _name(path: str | os.PathLike[str]) -> str:
    return os.fspath(path)


class _opened:  # noqa: N801  # reads as the context manager it is
    """Open a file for decoding; every way in which that fails is a DataError."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def __enter__(self) -> soundfile.SoundFile:
        _check_bytes(self._path)
        try:
            self._file = soundfile.SoundFile(os.fsencode(self._path))
        except soundfile.LibsndfileError as error:
            raise _cannot_decode(self._path, error) from error
        try:
            _check_whole(self._path, self._file)
        except DataError:
            self._file.close()
            raise
        return self._file

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _check_bytes(path: str | os.PathLike[str]) -> None:
    try:
        size_bytes = os.stat(path).st_size  # noqa: PTH116  # a Path costs as much as the call
        if size_bytes:
            return
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{_name(path)}: no such file: check the path") from None
    except OSError as error:
        raise DataError(f"{_name(path)}: cannot be read: {error.strerror}") from error
    raise DataError(f"{_name(path)}: is empty (0 bytes): fetch or export it again")


def _cannot_decode(path: str | os.PathLike[str], error: soundfile.LibsndfileError) -> DataError:
    reason = error.error_string.strip().rstrip(".") or "decoding failed"
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(4)
    except OSError as unreadable:
        return DataError(f"{_name(path)}: cannot be read: {unreadable.strerror}")
    if head.startswith(_MAGIC) or head[:2] in (b"\xff\xfb", b"\xff\xf3", b"\xff\xf2"):
        return DataError(
            f"{_name(path)}: is damaged or cut short ({reason}): fetch or export it again"
        )
    return DataError(
        f"{_name(path)}: is not audio that can be decoded ({reason}): "
        "convert it to WAV, FLAC, OGG or MP3"
    )


def _check_whole(path: str | os.PathLike[str], file: soundfile.SoundFile) -> None:
    if file.format == "OGG" and not _ogg_ends(path):
        raise DataError(
            f"{_name(path)}: is cut short: the Ogg end-of-stream page is missing: "
            "fetch or export it again"
        )
    if file.frames == 0:
        raise DataError(f"{_name(path)}: holds 0 samples: leave it out or export it again")
    if file.frames >= _UNKNOWN_FRAMES:
        raise DataError(
            f"{_name(path)}: its header does not give its length: re-encode it to a file, "
            "not to a pipe"
        )
    if file.format == "OGG":
        return  # its log is long and promises nothing
    for found in _PROMISED.finditer(file.extra_info):
        held, promised = (found[2], found[1]) if found[1] else (found[3], found[4])
        unit = "bytes" if found[1] else "samples"
        if int(held) < int(promised) < _STREAMED_BYTES:
            raise DataError(
                f"{_name(path)}: is cut short: the header promises {promised} {unit}, "
                f"{held} are there: fetch or export it again"
            )


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


def _segment(
    path: str | os.PathLike[str],
    file: soundfile.SoundFile,
    start_s: float | None,
    end_s: float | None,
) -> tuple[int, int]:
    """First frame and the frame after the last of a segment."""
    frames, rate_hz = file.frames, file.samplerate
    if start_s is None and end_s is None:
        return 0, frames
    start, end = start_s or 0.0, frames / rate_hz if end_s is None else end_s
    if not 0 <= start < end <= frames / rate_hz + SEGMENT_SLACK_S:
        raise DataError(
            f"{_name(path)}: start_s {start:g} to end_s {end:g} is not a segment of its "
            f"{frames / rate_hz:g} s: correct start_s or end_s"
        )
    first, last = round(start * rate_hz), min(round(end * rate_hz), frames)
    if first >= last:
        raise DataError(
            f"{_name(path)}: start_s {start:g} to end_s {end:g} is shorter than one sample: "
            "correct start_s or end_s"
        )
    return first, last


def _decode(
    path: str | os.PathLike[str], file: soundfile.SoundFile, first: int, last: int
) -> Samples:
    """Frames ``first`` to ``last`` as float32 (sample,) or (sample, channel)."""
    # MP3 frames borrow bits from those before: after a seek the first ones come out as silence.
    skipped = first if file.format == "MP3" else 0
    try:
        if first > skipped:
            file.seek(first)
        samples: Samples = file.read(last - first + skipped, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise _cannot_decode(path, error) from error
    missing = last - first + skipped - len(samples)
    if missing:
        raise DataError(
            f"{_name(path)}: is cut short: {missing} samples of the {file.frames} that the "
            "header promises are missing: fetch or export it again"
        )
    return samples[skipped:]


def _mono(samples: Samples) -> Samples:
    if samples.ndim == 1:
        return samples
    # One pass a channel: numpy's mean over a short last axis is several times slower.
    total: Samples = samples[:, 0].copy()
    for channel in range(1, samples.shape[1]):
        total += samples[:, channel]
    total /= samples.shape[1]
    return total


def find(folder: Path) -> Iterator[Path]:
    """Yield the audio files under ``folder``, sorted; hidden files and folders are passed over."""
    for entry in sorted(folder.iterdir(), key=lambda path: path.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from find(entry)
        elif entry.suffix.lower() in EXTENSIONS:
            yield entry
