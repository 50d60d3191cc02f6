"""From a file to the waveform that features are taken of, with a cache of decoded waveforms.

The order is that of the STM32 model zoo: decode no more than ``max_length``, one channel, resample,
remove silence, cut the last fraction of a second where asked, repeat what is too short.

The cache holds float32 samples as they were decoded and resampled, so a waveform is the same bits
whether it comes from the file or from the cache. 16-bit samples would take half the disk, but their
rounding noise is as strong as the quiet bands of a log-mel spectrogram and moves them by up to 1.6.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from soundgate.audio.files import reading
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.files.levels import Levels
from soundgate.errors import DataError

if TYPE_CHECKING:
    from soundgate.audio.config.sections.sound import Preprocessing

Samples: TypeAlias = NDArray[np.float32]
T = TypeVar("T", bound=np.generic)

# Floor of librosa.power_to_db: a clip that is quieter than it throughout holds no silence.
_POWER_FLOOR = 1e-10
# What it is, number of samples, CRC-32 of all that follows: levels, then samples.
_HEAD = struct.Struct("<4sII")
_MAGIC = b"SGW3"


def waveform(
    path: Path,
    preprocessing: Preprocessing,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    cache: Path | None = None,
) -> tuple[Samples, float]:
    """The waveform of a clip as features see it, and how long the clip itself was.

    Args:
        path: the audio file.
        preprocessing: what is done, and at which rate.
        start_s: first second of the clip in the file; None is the beginning of the file.
        end_s: last second of the clip in the file; None is the end of the file.
        cache: a folder of decoded waveforms, made where missing.

    Returns:
        Samples float32 (sample,) at ``preprocessing.target_rate``, and the clip's duration in
        seconds before silence was removed or anything repeated.

    Raises:
        DataError: the file cannot be decoded.
    """
    samples, _ = decode(path, preprocessing, start_s=start_s, end_s=end_s, cache=cache)
    return prepare(samples, preprocessing), samples.size / preprocessing.target_rate


def prepare(samples: Samples, preprocessing: Preprocessing) -> Samples:
    """What follows decoding: remove silence, repeat what is too short; (sample,) to (sample,)."""
    return arrange(samples, preprocessing).apply(samples)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which samples of a clip are kept, in which order, and how often they are repeated."""

    audible: NDArray[np.bool_] | None
    """Which blocks of ``hop_length`` samples are kept, bool (block,); None: all of them."""
    hop_length: int
    whole_seconds: int | None
    """The rate, where what exceeds a whole number of seconds is cut off."""
    least_before: int
    """Length, samples, up to which a shorter clip is repeated before silence is removed."""
    least_after: int
    """The same after silence is removed."""

    def keeps(self, samples: int) -> bool:
        """Whether a clip of so many samples comes out as it is."""
        cut = self.whole_seconds is not None and samples >= self.whole_seconds
        return (
            self.audible is None
            and samples >= max(self.least_before, self.least_after)
            and not (cut and samples % (self.whole_seconds or 1))
        )

    def apply(self, samples: NDArray[T]) -> NDArray[T]:
        """Arrange anything that has one value a sample: (sample,) to (sample,), never empty.

        Of ``np.arange(sample)`` it tells where in the clip each sample stood.
        """
        samples = _repeat(samples, self.least_before)
        if self.audible is not None:
            samples = _without_silence(samples, self.audible, self.hop_length)
        if self.whole_seconds is not None and samples.size >= self.whole_seconds:
            samples = samples[: samples.size - samples.size % self.whole_seconds]
        return _repeat(samples, self.least_after)


def arrange(samples: Samples, preprocessing: Preprocessing) -> Arrangement:
    """How a clip's samples (sample,) are prepared; nothing is done to them yet."""
    rate_hz = preprocessing.target_rate
    least = round(preprocessing.min_length * rate_hz)
    before = preprocessing.lengthen == "before"
    audible = _audible(
        _repeat(samples, least) if before else samples,
        top_db=preprocessing.top_db,
        frame_length=preprocessing.frame_length,
        hop_length=preprocessing.hop_length,
    )
    return Arrangement(
        audible=audible,
        hop_length=preprocessing.hop_length,
        whole_seconds=rate_hz if preprocessing.trim_last_second else None,
        least_before=least if before else 0,
        least_after=0 if before else least,
    )


def remove_silence(
    samples: Samples, *, top_db: float | None, frame_length: int, hop_length: int
) -> Samples:
    """Drop the frames that lie ``top_db`` or more below the clip's loudest frame.

    Equal to joining the intervals of ``librosa.effects.split``: frame i is centred at sample
    ``i * hop_length`` and stands for the samples from there to the next frame.

    Args:
        samples: float32 (sample,).
        top_db: dB between the loudest frame's RMS and silence; None keeps everything.
        frame_length: length of a frame, samples.
        hop_length: distance between frames, samples.

    Returns:
        float32 (sample,), no longer than ``samples`` and never empty.
    """
    keep = _audible(samples, top_db=top_db, frame_length=frame_length, hop_length=hop_length)
    return samples if keep is None else _without_silence(samples, keep, hop_length)


def _audible(
    samples: Samples, *, top_db: float | None, frame_length: int, hop_length: int
) -> NDArray[np.bool_] | None:
    """Which frames are no silence, bool (frame,); None where nothing is to be dropped."""
    if top_db is None:
        return None
    power = _frame_power(samples, frame_length, hop_length)
    loudest = max(float(power.max()), _POWER_FLOOR)
    keep = np.maximum(power, _POWER_FLOOR) > loudest * 10 ** (-top_db / 10)
    return None if keep.all() else keep


def _without_silence(samples: NDArray[T], keep: NDArray[np.bool_], hop_length: int) -> NDArray[T]:
    whole = samples.size // hop_length
    body = samples[: whole * hop_length].reshape(whole, hop_length)[keep[:whole]].ravel()
    if samples.size % hop_length and keep[whole]:
        body = np.concatenate((body, samples[whole * hop_length :]))
    # Only the empty frame that begins at the clip's end was loud: nothing is left to drop.
    return body if body.size else samples


def _frame_power(samples: Samples, frame_length: int, hop_length: int) -> NDArray[np.float32]:
    """Mean square of centred frames, float32 (frame,); zeros stand outside the clip."""
    before = frame_length // 2
    count = 1 + (samples.size + 2 * before - frame_length) // hop_length
    if frame_length == hop_length and frame_length % 2 == 0:
        # Frames that touch one another need no copy: half a frame, whole ones, what is left.
        whole = max(samples.size - before, 0) // hop_length
        end = before + whole * hop_length
        body = samples[before:end].reshape(whole, hop_length)
        energy = np.zeros(1 + whole + 1, dtype=np.float32)
        energy[0] = np.dot(samples[:before], samples[:before])
        energy[1:-1] = np.einsum("ij,ij->i", body, body)
        energy[-1] = np.dot(samples[end:], samples[end:])
        energy = energy[:count]
    else:
        padded = np.zeros((count - 1) * hop_length + frame_length, dtype=np.float32)
        inside = min(samples.size, padded.size - before)
        padded[before : before + inside] = samples[:inside]
        frames = np.lib.stride_tricks.sliding_window_view(padded, frame_length)[::hop_length]
        energy = np.einsum("ij,ij->i", frames, frames)
    power: NDArray[np.float32] = energy / np.float32(frame_length)
    return power


def _repeat(samples: NDArray[T], least: int) -> NDArray[T]:
    return samples if samples.size >= least else np.resize(samples, least)


def decode(
    path: Path,
    preprocessing: Preprocessing,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    cache: Path | None = None,
) -> tuple[Samples, Levels]:
    """What ``waveform`` prepares, and how loud it is in the file.

    Arguments and errors are those of ``waveform``; what the cache holds is taken from it.

    Returns:
        Samples float32 (sample,), resampled, ``max_length`` at most; levels of the decoded part.
    """
    rate_hz, longest_s = preprocessing.target_rate, preprocessing.max_length
    if cache is None:
        return _read(path, rate_hz, longest_s, start_s, end_s)
    segment = f"{start_s or 0!r}-{'' if end_s is None else repr(end_s)}-{longest_s!r}"
    entry = cache / f"{sha256_of(path)}-{rate_hz}-{segment}.f32"
    held = _fetch(entry)
    if held is None:
        held = _read(path, rate_hz, longest_s, start_s, end_s)
        _keep(entry, *held)
    return held


def _read(
    path: Path, rate_hz: int, longest_s: float, start_s: float | None, end_s: float | None
) -> tuple[Samples, Levels]:
    """Decode and resample, at most ``longest_s`` seconds."""
    start = start_s or 0.0
    with reading.Reader(path) as file:  # what the file holds is asked first: it may be hours
        duration_s = file.info.duration_s
        if end_s is None and duration_s - start <= longest_s + 1 / rate_hz:
            samples, levels = file.load_with_levels(sample_rate_hz=rate_hz, start_s=start)
            if samples.size <= longest_s * rate_hz:
                return samples, levels
        end = duration_s if end_s is None else end_s
        last = min(end, start + longest_s)
        return file.load_with_levels(sample_rate_hz=rate_hz, start_s=start, end_s=last)


def _fetch(entry: Path) -> tuple[Samples, Levels] | None:
    """A cached waveform; None where there is none or it is damaged."""
    try:
        held = entry.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{entry}: the waveform cache cannot be read: {error.strerror}") from error
    if len(held) <= _HEAD.size + Levels.SIZE_BYTES:
        return None
    magic, count, checksum = _HEAD.unpack_from(held)
    body = memoryview(held)[_HEAD.size :]
    is_whole = len(body) == Levels.SIZE_BYTES + 4 * count
    if magic != _MAGIC or not is_whole or _checksum(body) != checksum:
        return None
    levels, sound = Levels.unpack(body[: Levels.SIZE_BYTES]), body[Levels.SIZE_BYTES :]
    # torch warns of memory that may not be written to, so the samples get memory of their own.
    return np.frombuffer(sound, dtype="<f4").astype(np.float32), levels


def _keep(entry: Path, samples: Samples, levels: Levels) -> None:
    """Write a cache entry whole or not at all; two writers of one entry write the same."""
    body = memoryview(levels.pack() + samples.astype("<f4", copy=False).tobytes())
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_HEAD.pack(_MAGIC, samples.size, _checksum(body)))
                file.write(body)
            Path(temporary).replace(entry)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"{entry}: the waveform cache cannot be written: {error.strerror}; "
            "free space or set dataset.to_cache: false"
        ) from error


def _checksum(body: memoryview) -> int:
    """CRC-32 that covers the length too."""
    return zlib.crc32(body, len(body))
