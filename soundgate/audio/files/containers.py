"""Sound of phones and films: M4A, AAC, MP4, WebM, WMA and others, which PyAV (FFmpeg) decodes.

PyAV is an extra, ``pip install 'soundgate[av]'``. Without it such files are named, never passed
over in silence.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.files import integrity
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

EXTENSIONS: Final = frozenset(
    {".m4a", ".m4b", ".aac", ".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".webm", ".mka", ".mkv"}
    | {
        ".wma",
        ".wmv",
        ".asf",
        ".avi",
        ".amr",
        ".ac3",
        ".eac3",
        ".dts",
        ".mpc",
        ".ape",
        ".tta",
        ".wv",
    }
)
"""Lower-case file name extensions that need PyAV."""
_SHORTFALL_S: Final = 0.2
"""Containers round their durations, and encoders pad; more than this is missing sound."""


class ContainerStream:
    """The first audio stream of a file, decoded by FFmpeg; see ``streams.Stream``.

    It is read forwards: a part that begins before the last one ended begins at the start again.
    """

    is_integer = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the file and count its samples, which takes one decoding.

        Raises:
            DataError: PyAV is not installed; the file holds no sound, or is damaged or cut short.
        """
        self._path = os.fspath(path)
        self._av = _library(self._path)
        self._frames: Iterator[NDArray[np.float32]] = iter(())
        self._position, self._ahead = 0, np.zeros((0, 1), np.float32)
        self._container: Any = None
        try:
            self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        with self._opened() as container:
            stream = self._stream(container)
            self.rate_hz: int = stream.rate
            self.channels: int = stream.channels
            promised_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
            integrity.check_rate(self._path, self.rate_hz)
            try:
                self.frames: int = sum(frame.samples for frame in container.decode(stream))
            except self._av.FFmpegError as error:
                raise self._damaged(error) from error
        held_s = self.frames / self.rate_hz
        if not self.frames:
            raise integrity.holds_nothing(self._path)
        if held_s < promised_s - _SHORTFALL_S:
            raise DataError(
                f"{self._path}: is cut short: {promised_s - held_s:.2f} s of the "
                f"{promised_s:.2f} s that it promises are missing: fetch or export it again"
            )

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Return frames ``first`` to ``last``, float32 (sample, channel).

        Raises:
            DataError: they cannot be decoded.
        """
        if self._container is None or first < self._position:
            self._rewind()
        parts: list[NDArray[np.float32]] = []
        while self._position < last:
            if not len(self._ahead):
                block = next(self._frames, None)
                if block is None:
                    break
                self._ahead = block
            skip = min(max(first - self._position, 0), len(self._ahead))
            take = self._ahead[skip : skip + last - max(first, self._position + skip)]
            used = skip + len(take)
            self._position, self._ahead = self._position + used, self._ahead[used:]
            if len(take):
                parts.append(take)
        if not parts:
            raise DataError(f"{self._path}: is cut short: fetch or export it again")
        return np.concatenate(parts)

    def close(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def _rewind(self) -> None:
        self.close()
        self._container = self._opened()
        self._frames = self._decoded(self._container)
        self._position, self._ahead = 0, np.zeros((0, self.channels), np.float32)

    def _decoded(self, container: Any) -> Iterator[NDArray[np.float32]]:
        """Yield blocks, float32 (sample, channel), full scale at 1."""
        resampler = self._av.AudioResampler(format="fltp")
        try:
            for frame in container.decode(self._stream(container)):
                for same in resampler.resample(frame):
                    yield np.ascontiguousarray(same.to_ndarray().T)
        except self._av.FFmpegError as error:
            raise self._damaged(error) from error

    def _opened(self) -> Any:
        try:
            return self._av.open(self._path)
        except (self._av.FFmpegError, UnicodeError) as error:
            raise self._damaged(error) from error

    def _stream(self, container: Any) -> Any:
        if not container.streams.audio:
            raise DataError(f"{self._path}: holds no sound, only pictures or text: leave it out")
        return container.streams.audio[0]

    def _damaged(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or str(error)
        return DataError(f"{self._path}: cannot be decoded ({reason}): fetch or export it again")


def _library(path: str) -> Any:
    try:
        import av
    except ModuleNotFoundError:
        kind = os.path.splitext(path)[1].lower()  # noqa: PTH122
        raise DataError(
            f"{path}: {kind} files need PyAV: pip install 'soundgate[av]', or convert it to WAV"
        ) from None
    return av
