"""A recording as a stream of blocks at the model's rate; memory holds one of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import numpy as np
import soxr

from soundgate.audio.detection.rates import check_rate
from soundgate.audio.files import reading
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.detection.scoring.recordings import Region
    from soundgate.audio.files.reading import Info, Reader

    Array = npt.NDArray[Any]

T = TypeVar("T")

BLOCK_S: Final = 20.0


class Opened:
    """A recording that is read block after block; a context manager."""

    def __init__(
        self, corpus: Path, region: Region, sample_rate_hz: int, *, downsample: bool
    ) -> None:
        """Remember what to read; the file is opened on entering.

        Raises (on entering):
            DataError: the file cannot be read, the region is not in it, or its rate is too high.
        """
        self._path, self.region = corpus / region.path, region
        self._rate_hz, self._downsample = sample_rate_hz, downsample
        self._reader: Reader = reading.Reader(self._path)

    def __enter__(self) -> Self:
        """Open the file and check rate and region."""
        self._reader.__enter__()
        try:
            check_rate(self._path, self.info.rate_hz, self._rate_hz, downsample=self._downsample)
            self.first, self.last = self._frames()
        except DataError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._reader.__exit__()

    @property
    def info(self) -> Info:
        """What the file holds."""
        return self._reader.info

    @property
    def end_s(self) -> float:
        """Where the region ends, seconds."""
        return self.last / self.info.rate_hz

    def blocks(self) -> Iterator[Array]:
        """Yield float32 (sample,), mono at the model's rate, one block after another."""
        own = self.info.rate_hz
        step = round(BLOCK_S * own)
        resampler = None
        if own != self._rate_hz:
            resampler = soxr.ResampleStream(own, self._rate_hz, 1, dtype="float32", quality="HQ")
        for first in range(self.first, self.last, step):
            end = min(first + step, self.last)
            samples = self._reader.read(start_s=first / own, end_s=end / own)
            if resampler is not None:
                samples = resampler.resample_chunk(samples, last=end == self.last)
            yield samples

    def _frames(self) -> tuple[int, int]:
        """First frame of the region and the one behind its last."""
        info, region = self.info, self.region
        end_s = info.duration_s if region.end_s is None else region.end_s
        if not 0 <= region.start_s < end_s <= info.duration_s + reading.SEGMENT_SLACK_S:
            raise DataError(
                f"{self._path}: {region.start_s:g} s to {end_s:g} s is no region of its "
                f"{info.duration_s:g} s; make the data set again from this corpus"
            )
        return round(region.start_s * info.rate_hz), min(round(end_s * info.rate_hz), info.frames)


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield each item while the next one is being made in another thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as reader:
        end = object()
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item  # type: ignore[misc] # what is not the end is an item


def joined(blocks: Iterator[Array], window: int, hop: float) -> Iterator[tuple[Array, Array]]:
    """Cut a stream into stretches of whole windows.

    Windows begin at the nearest sample to every multiple of ``hop``. The last one is the first that
    reaches the end; what it lacks is silence.

    Args:
        blocks: float32 (sample,) each.
        window: samples.
        hop: samples, not always a whole number.

    Yields:
        Samples float32 (sample,), and where windows begin in them, int64 (window,), at least one.
    """
    held, offset, number = np.empty(0, np.float32), 0, 0
    for block in blocks:
        held = np.concatenate([held, block])
        count = _whole(offset + held.size, window, hop) - number
        if count > 0:
            starts = _starts(number, count, hop) - offset
            yield held, starts
            number += count
            passed = min(int(_starts(number, 1, hop)[0]) - offset, held.size)
            held, offset = held[passed:], offset + passed
    total = offset + held.size
    if number and int(_starts(number - 1, 1, hop)[0]) + window >= total:
        return
    start = int(_starts(number, 1, hop)[0]) - offset
    rest = held[start:] if start < held.size else np.empty(0, np.float32)
    yield np.concatenate([rest, np.zeros(window - rest.size, np.float32)]), np.zeros(1, np.int64)


def _whole(samples: int, window: int, hop: float) -> int:
    """Windows that lie within the first ``samples``."""
    if samples < window:
        return 0
    count = int((samples - window) / hop) + 1
    # Rounding may put the last one, or one more, on either side of the end.
    while int(_starts(count, 1, hop)[0]) + window <= samples:
        count += 1
    while int(_starts(count - 1, 1, hop)[0]) + window > samples:
        count -= 1
    return count


def _starts(first: int, count: int, hop: float) -> Array:
    """Sample at which each of ``count`` windows begins, int64 (window,)."""
    starts: Array = np.rint(np.arange(first, first + count) * hop).astype(np.int64)
    return starts
