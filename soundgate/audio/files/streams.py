"""Open an audio file as a stream of samples whose length is true.

Most files are what their header says, and libsndfile reads them. Others are put right first: an MP3
without a length header is counted, a chain of Ogg streams is read link by link, a FLAC that was
written to a pipe takes its length from its last frame.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from soundgate.audio.files import containers, flac, integrity, mpeg, ogg
from soundgate.audio.files.spliced import Spliced
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.files.spliced import Range

Samples: TypeAlias = NDArray[np.float32]

# Decoded and thrown away before a segment: a Vorbis block laps over the one before it, an MP3 frame
# borrows bits from those before, and after a seek both would come out damaged.
_PREROLL: Final = {"OGG": 8192, "MP3": 32 * 1152}
_BLOCK_FRAMES: Final = 1 << 20
"""Memory is taken for what is there, a block at a time, never for what a header promises."""


class Stream(Protocol):
    """Samples of an open file, at its own rate."""

    @property
    def frames(self) -> int:
        """Samples of each channel."""

    @property
    def rate_hz(self) -> int:
        """Samples a second."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def is_integer(self) -> bool:
        """Whether samples are stored as integers, which cannot be NaN."""

    def read(self, first: int, last: int) -> Samples:
        """Return frames ``first`` to ``last``, float32 (sample,) or (sample, channel).

        Raises:
            DataError: they cannot be decoded, or are missing.
        """

    def close(self) -> None:
        """Close the file."""


def open_stream(path: str | os.PathLike[str]) -> Stream:
    """Open a file with what decodes it: libsndfile, or PyAV for the sound of phones and films.

    Raises:
        DataError: it is missing, empty, cut short, absurd or no audio.
    """
    head = integrity.first_bytes(path)
    if os.path.splitext(path)[1].lower() in containers.EXTENSIONS:  # noqa: PTH122
        return containers.ContainerStream(path)
    if head == b"OggS":
        ranges = ogg.links(path)
        if len(ranges) > 1:
            return Chain(path, ranges)
    if head == b"fLaC" and (known := flac.with_length(path)) is not None:
        return SoundFileStream(path, Spliced(path, known))
    if _may_be_mpeg(path, head) and (repair := mpeg.repair(path)) is not None:
        return SoundFileStream(path, Spliced(path, repair.pieces), dropped=repair.dropped)
    return SoundFileStream(path)


def _may_be_mpeg(path: str | os.PathLike[str], head: bytes) -> bool:
    is_named_so = os.fspath(path).lower().endswith((".mp3", ".mp2", ".mp1"))
    return is_named_so or head.startswith((b"ID3", b"\xff"))


class SoundFileStream:
    """A file, or pieces of one, that libsndfile decodes."""

    def __init__(
        self, path: str | os.PathLike[str], pieces: Spliced | None = None, *, dropped: int = 0
    ) -> None:
        """Open ``path``, or what is made of its ``pieces``; check that all of it is there.

        Args:
            path: the file, which errors name.
            pieces: what is decoded in its stead.
            dropped: samples at the start that do not belong to it.

        Raises:
            DataError: it is no audio, or cut short, or its header is absurd.
        """
        self._path, self._pieces, self._dropped = path, pieces, dropped
        try:
            self._file = soundfile.SoundFile(pieces or os.fsencode(path))
        except soundfile.LibsndfileError as error:
            if pieces is not None:
                pieces.close()
            raise integrity.cannot_decode(path, error) from error
        try:
            self._check()
        except DataError:
            self.close()
            raise

    def _check(self) -> None:
        if self._pieces is None:
            integrity.check_whole(self._path, self._file)
        integrity.check_plausible(self._path, self._file)

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        frames: int = self._file.frames
        return frames - self._dropped

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        rate_hz: int = self._file.samplerate
        return rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        channels: int = self._file.channels
        return channels

    @property
    def is_integer(self) -> bool:
        """Whether samples are stored as integers."""
        subtype: str = self._file.subtype
        return subtype.startswith("PCM_")

    def read(self, first: int, last: int) -> Samples:
        """Return frames ``first`` to ``last``; see ``Stream``."""
        first, last = first + self._dropped, last + self._dropped
        skipped = 0
        try:
            if self._file.tell() != first:
                skipped = min(first, _PREROLL.get(self._file.format, 0))
                self._file.seek(first - skipped)
            samples = self._blocks(last - first + skipped)
        except soundfile.LibsndfileError as error:
            raise integrity.cannot_decode(self._path, error) from error
        missing = last - first + skipped - len(samples)
        if missing and (len(samples) <= skipped or self._is_length_exact()):
            raise DataError(
                f"{os.fspath(self._path)}: is cut short: {missing} samples of the {self.frames} "
                "that the header promises are missing: fetch or export it again"
            )
        return samples[skipped:]

    def _blocks(self, count: int) -> Samples:
        if count <= _BLOCK_FRAMES:
            samples: Samples = self._file.read(count, dtype="float32")
            return samples
        found = []
        while count > 0:
            block = self._file.read(min(count, _BLOCK_FRAMES), dtype="float32")
            found.append(block)
            count -= len(block)
            if not len(block):
                break
        return np.concatenate(found)

    def _is_length_exact(self) -> bool:
        """Whether the header counts samples; a WAV that holds MP3 counts whole blocks."""
        if self._file.format == "MP3":
            return self._pieces is None
        subtype: str = self._file.subtype
        return not subtype.startswith("MPEG")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._pieces is not None:
            self._pieces.close()


class Chain:
    """Streams that follow one another in one Ogg file."""

    def __init__(self, path: str | os.PathLike[str], ranges: Sequence[Range]) -> None:
        """Open every link.

        Raises:
            DataError: one is damaged, or they differ in rate or channels.
        """
        self._links: list[SoundFileStream] = []
        try:
            if not ogg.ends(path):
                raise integrity.lacks_end(path)
            for each in ranges:
                self._links.append(SoundFileStream(path, Spliced(path, [each])))
            self._check_alike(path)
        except DataError:
            self.close()
            raise

    def _check_alike(self, path: str | os.PathLike[str]) -> None:
        kinds = sorted({(link.rate_hz, link.channels) for link in self._links})
        if len(kinds) > 1:
            said = ", ".join(f"{rate} Hz with {count} channel(s)" for rate, count in kinds)
            raise DataError(
                f"{os.fspath(path)}: its {len(self._links)} joined streams differ ({said}): "
                "export it as one"
            )

    @property
    def frames(self) -> int:
        """Samples of each channel, of all links."""
        return sum(link.frames for link in self._links)

    @property
    def rate_hz(self) -> int:
        """Samples a second."""
        return self._links[0].rate_hz

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self._links[0].channels

    @property
    def is_integer(self) -> bool:
        """Whether samples are stored as integers."""
        return self._links[0].is_integer

    def read(self, first: int, last: int) -> Samples:
        """Return frames ``first`` to ``last``; see ``Stream``."""
        found, start = [], 0
        for link in self._links:
            begin, end = max(first - start, 0), min(last - start, link.frames)
            if begin < end:
                found.append(link.read(begin, end))
            start += link.frames
        return found[0] if len(found) == 1 else np.concatenate(found)

    def close(self) -> None:
        """Close every link."""
        for link in self._links:
            link.close()
