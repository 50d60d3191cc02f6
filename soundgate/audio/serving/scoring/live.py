"""Sound that arrives in pieces: windows of it, and the events in their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr

from soundgate.audio.serving.scoring.answers import SoundEvent
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

ENCODINGS: Final = {"pcm_s16le": ("<i2", 32768.0), "pcm_f32le": ("<f4", 1.0)}
"""How samples are written, and what is full scale."""


class PcmStream:
    """Bytes of mono PCM of any rate to overlapping windows at the model's rate."""

    def __init__(
        self, *, encoding: str, rate_hz: int, model_rate_hz: int, window: int, hop: int
    ) -> None:
        """Begin at second 0; ``window`` and ``hop`` are samples at the model's rate."""
        self._dtype, self._full_scale = ENCODINGS[encoding]
        self._resampler = None
        if rate_hz != model_rate_hz:
            self._resampler = soxr.ResampleStream(
                rate_hz, model_rate_hz, 1, dtype="float32", quality="HQ"
            )
        self._window, self._hop = window, hop
        self._rest = b""
        self._held = np.empty(0, np.float32)
        self._first = self._seen = 0

    def add(self, content: bytes, *, last: bool = False) -> Iterator[tuple[int, Array]]:
        """Yield the windows that are complete: first sample, and samples float32 (sample,).

        After the ``last`` bytes what is left is a window too, unless it was heard already.

        Raises:
            DataError: a sample is NaN or infinite.
        """
        self._held = np.concatenate([self._held, self._samples(content, last=last)])
        while self._held.size >= self._window:
            yield self._first, self._held[: self._window]
            self._seen = self._first + self._window
            self._held = self._held[self._hop :]
            self._first += self._hop
        if last and self._first + self._held.size > self._seen:
            yield self._first, self._held

    def _samples(self, content: bytes, *, last: bool) -> Array:
        content = self._rest + content
        size = np.dtype(self._dtype).itemsize
        whole = len(content) - len(content) % size
        self._rest = content[whole:]
        samples = np.frombuffer(content[:whole], self._dtype).astype(np.float32) / self._full_scale
        if not np.isfinite(samples).all():
            raise DataError("the stream holds NaN or infinite samples: encode it again")
        if self._resampler is None:
            return samples
        found: Array = self._resampler.resample_chunk(samples, last=last)
        return found


class OpenEvents:
    """Labels of overlapping windows become events, told when they are over."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open: dict[str, SoundEvent] = {}

    def add(
        self, start_s: float, end_s: float, labels: Sequence[str], scores: Mapping[str, float]
    ) -> list[SoundEvent]:
        """Take a window; return the events that ended before it."""
        over = [self._open.pop(label) for label in list(self._open) if label not in labels]
        for label in labels:
            before = self._open.get(label)
            self._open[label] = SoundEvent(
                label=label,
                start_s=before.start_s if before else start_s,
                end_s=end_s,
                score=max(scores[label], before.score if before else 0.0),
            )
        return over

    def end(self) -> list[SoundEvent]:
        """The events that last to the end."""
        over, self._open = list(self._open.values()), {}
        return over
