"""Read audio files: any rate, any number of channels, mono float32 out.

Decoding is libsndfile (WAV, FLAC, Ogg Vorbis and Opus, MP3, AIFF, AU, CAF), for the sound of phones
and films PyAV, resampling is soxr.
A file that holds less than its header promises is refused: libsndfile itself hands out the shorter
clip without a word, and a shorter clip quietly changes every measurement made with it.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
import soundfile
import soxr

from soundgate.audio.files import containers
from soundgate.audio.files.levels import Levels, measure
from soundgate.audio.files.streams import Samples, Stream, open_stream
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EXTENSIONS: Final = frozenset(
    {".wav", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"}
    | {".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"}
    | {".avr", ".htk", ".iff", ".ircam", ".mp1", ".mp2", ".nist", ".paf", ".pvf"}
    | {".sds", ".sf", ".sph", ".svx", ".voc", ".wve"}
    | containers.EXTENSIONS
)
"""Lower-case extensions of audio files. Some need PyAV; reading one without it says so."""

# Tables give times with three decimals, so an end may lie half a millisecond after the last sample.
SEGMENT_SLACK_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Info:
    """What an audio file holds."""

    frames: int
    """Samples of each channel."""
    rate_hz: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz


class Reader:
    """A file opened to read parts of it, one after another; a context manager.

    Every part is held by itself, so a file of any length is read in the memory of its longest part.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Remember the path; the file is opened on entering.

        Raises (on entering):
            DataError: the file is missing, empty, cut short or no audio.
        """
        self._path = path

    def __enter__(self) -> Self:
        """Open the file, and check that it holds what its header promises."""
        self._stream = open_stream(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._stream.close()

    @property
    def info(self) -> Info:
        """What the file holds."""
        return Info(self._stream.frames, self._stream.rate_hz, self._stream.channels)

    def read(self, *, start_s: float | None = None, end_s: float | None = None) -> Samples:
        """Decode a segment as one channel at the file's own rate; see the function ``read``."""
        return self._mixed(self._decoded(start_s, end_s))

    def load(
        self, *, sample_rate_hz: int, start_s: float | None = None, end_s: float | None = None
    ) -> Samples:
        """Decode a segment as one channel at ``sample_rate_hz``; see the function ``load``."""
        return self._resampled(self.read(start_s=start_s, end_s=end_s), sample_rate_hz)

    def load_with_levels(
        self, *, sample_rate_hz: int, start_s: float | None = None, end_s: float | None = None
    ) -> tuple[Samples, Levels]:
        """As :meth:`load`, and how loud the segment is in the file."""
        decoded = self._decoded(start_s, end_s)
        mix = self._mixed(decoded)
        levels = measure(decoded, mix, self._stream.rate_hz)
        return self._resampled(mix, sample_rate_hz), levels

    def _decoded(self, start_s: float | None, end_s: float | None) -> Samples:
        """Samples of a segment, float32 (sample,) or (sample, channel)."""
        return self._stream.read(*_segment(self._path, self._stream, start_s, end_s))

    def _mixed(self, decoded: Samples) -> Samples:
        samples = _mono(decoded)
        # Integer samples cannot be NaN, and looking costs as much as decoding 16-bit WAV does.
        if not self._stream.is_integer and not np.isfinite(samples).all():
            raise DataError(
                f"{_name(self._path)}: contains NaN or infinite samples: export it again"
            )
        return samples

    def _resampled(self, samples: Samples, sample_rate_hz: int) -> Samples:
        _check_rate(sample_rate_hz)
        rate_hz = self._stream.rate_hz
        if rate_hz == sample_rate_hz:
            return samples
        resampled: Samples = soxr.resample(samples, rate_hz, sample_rate_hz, quality="HQ")
        if resampled.size == 0:
            raise DataError(
                f"{_name(self._path)}: {samples.size} sample(s) at {rate_hz} Hz is less than one "
                f"sample at {sample_rate_hz} Hz: give a longer clip"
            )
        return resampled


def info(path: str | os.PathLike[str]) -> Info:
    """Read the header only, and check that the file holds what the header promises.

    Raises:
        DataError: the file is missing, empty, cut short or no audio.
    """
    with Reader(path) as file:
        return file.info


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
    with Reader(path) as file:
        return file.read(start_s=start_s, end_s=end_s), file.info.rate_hz


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
    _check_rate(sample_rate_hz)
    with Reader(path) as file:
        return file.load(sample_rate_hz=sample_rate_hz, start_s=start_s, end_s=end_s)


def write(
    path: str | os.PathLike[str], samples: NDArray[np.float32] | NDArray[np.int16], rate_hz: int
) -> None:
    """Write samples (sample,) or (sample, channel) as 16-bit PCM: WAV, or as the name says.

    The bytes depend on the samples and the rate only.

    Raises:
        DataError: the file cannot be written.
    """
    # libsndfile waits for the disk after every file of its own: 6 ms each.
    encoded = io.BytesIO()
    try:
        soundfile.write(encoded, samples, rate_hz, "PCM_16", format=_format(path))
        Path(path).write_bytes(encoded.getbuffer())
    except (OSError, soundfile.LibsndfileError) as error:
        why = error.strerror if isinstance(error, OSError) else error.error_string.rstrip(".")
        raise DataError(
            f"{_name(path)}: cannot be written ({why}): "
            "check that the folder exists, may be written and is not full"
        ) from error


def _check_rate(rate_hz: int) -> None:
    if rate_hz <= 0:
        raise ParameterError(f"sample_rate_hz: {rate_hz} must be positive: give a rate in Hz")


def _format(path: str | os.PathLike[str]) -> str:
    return Path(path).suffix[1:].upper() or "WAV"


def _name(path: str | os.PathLike[str]) -> str:
    return os.fspath(path)


def _segment(
    path: str | os.PathLike[str],
    stream: Stream,
    start_s: float | None,
    end_s: float | None,
) -> tuple[int, int]:
    """First frame and the frame after the last of a segment."""
    frames, rate_hz = stream.frames, stream.rate_hz
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
    """Yield the audio files under ``folder``, sorted; hidden files and folders are passed over.

    The order is that of the paths below ``folder`` as texts, so that it is a manifest's, and memory
    holds one folder's names at a time. A link to a folder above itself is not followed.
    """
    yield from (folder / name for name in _find(os.fspath(folder), "", frozenset()))


def _find(folder: str, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    here = os.stat(folder)  # noqa: PTH116
    if (here.st_dev, here.st_ino) in above:
        return
    above |= {(here.st_dev, here.st_ino)}
    with os.scandir(folder) as found:
        kept = [entry for entry in found if not entry.name.startswith(".")]
    entries = sorted((f"{e.name}/" if e.is_dir() else e.name, e.path) for e in kept)
    for name, path in entries:
        if name.endswith("/"):
            yield from _find(path, f"{prefix}{name}", above)
        elif os.path.splitext(name)[1].lower() in EXTENSIONS:  # noqa: PTH122
            yield f"{prefix}{name}"
