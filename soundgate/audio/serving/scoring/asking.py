"""One recording, from its file to its answer, without keeping the event loop waiting."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.prediction.reading import DecodedClip
from soundgate.audio.serving.scoring.answers import RecordingAnswer, Wishes, answer
from soundgate.audio.serving.scoring.decoding import Recording, Refused, decoded, look
from soundgate.audio.serving.scoring.room import Room

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.prediction.predictors.base import PartScores
    from soundgate.audio.serving.models.opened import OpenedModel
    from soundgate.audio.serving.scoring.batching import Scored
    from soundgate.audio.serving.settings import ServiceSettings
    from soundgate.audio.signal.waveforms import Samples


@dataclass(frozen=True, slots=True)
class Heard:
    """The scores of a recording."""

    clips: list[tuple[DecodedClip, PartScores]]


class Asking:
    """Decodes recordings in threads, and has their clips scored with those of other clients."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Start the threads; the event loop need not run yet."""
        self._settings = settings
        self.room = Room(settings.max_held_s)
        self._threads = ThreadPoolExecutor(settings.num_workers, thread_name_prefix="decoding")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    async def ask(
        self, model: OpenedModel, path: Path, name: str, wishes: Wishes
    ) -> RecordingAnswer:
        """What a model says of a file.

        Cancelling this frees what it uses: a decoding ends at the next clip, and clips that wait
        are not scored.

        Raises:
            Refused: the file is no audio, damaged, or too large.
        """
        heard = await self.hear(model, path, name)
        return answer(name, heard.clips, model.decisions, wishes)

    async def ask_samples(
        self, model: OpenedModel, samples: Samples, name: str, wishes: Wishes
    ) -> RecordingAnswer:
        """What a model says of samples float32 (sample,) at its rate; cancelling as of ``ask``.

        Raises:
            Refused: they are too many.
        """
        rate_hz = model.lengths.sample_rate_hz
        duration_s = samples.size / rate_hz
        if duration_s > self._settings.max_duration_s:
            least = f"the {self._settings.max_duration_s:g} s that this service takes"
            raise Refused("too_large", f"{name}: {duration_s:.0f} s exceed {least}")
        clips = [
            DecodedClip(name, start_s, end_s, _cut(samples, start_s, end_s, rate_hz), ())
            for start_s, end_s in model.lengths.spans(0.0, duration_s)
        ]
        async with self.room.hold(duration_s):
            waiting = [model.batcher.submit(clip.samples) for clip in clips]
            try:
                scores = [await asyncio.wrap_future(scored) for scored in waiting]
            finally:
                for scored in waiting:
                    scored.cancel()
        return answer(name, list(zip(clips, scores, strict=True)), model.decisions, wishes)

    async def hear(self, model: OpenedModel, path: Path, name: str) -> Heard:
        """The scores of a file; errors and cancelling as of ``ask``."""
        loop = asyncio.get_running_loop()
        model.batcher.announce(1)
        announced = _Announced(model)
        try:
            recording = await loop.run_in_executor(self._threads, look, path, name, self._settings)
            async with self.room.hold(recording.duration_s):
                return await self._heard(model, recording, announced)
        finally:
            announced.withdraw()

    async def _heard(
        self, model: OpenedModel, recording: Recording, announced: _Announced
    ) -> Heard:
        stop = threading.Event()
        submitted: list[tuple[DecodedClip, Scored]] = []

        def submit() -> None:
            clips = decoded(recording, model.lengths, stop.is_set)
            # one by one: a clip is scored while the next one is decoded
            submitted.extend((clip, model.batcher.submit(clip.samples)) for clip in clips)
            announced.withdraw()

        work = asyncio.get_running_loop().run_in_executor(self._threads, submit)
        try:
            # A thread that decodes cannot be cancelled: it is told to stop, and waited for, so that
            # the room it fills is not given away before.
            await asyncio.shield(work)
            scores = [await asyncio.wrap_future(scored) for _, scored in submitted]
        except BaseException:
            stop.set()
            await asyncio.wait([work])
            for _, scored in submitted:
                scored.cancel()
            raise
        if not submitted:
            raise Refused("damaged", f"{recording.name}: holds no sound")
        clips = [clip for clip, _ in submitted]
        return Heard(list(zip(clips, scores, strict=True)))


def _cut(samples: Samples, start_s: float, end_s: float, rate_hz: int) -> Samples:
    return samples[round(start_s * rate_hz) : round(end_s * rate_hz)]


class _Announced:
    """A clip that a batcher was told of, until it comes or will not."""

    def __init__(self, model: OpenedModel) -> None:
        self._model, self._lock, self._open = model, threading.Lock(), True

    def withdraw(self) -> None:
        """Say once that no other will come."""
        with self._lock:
            was, self._open = self._open, False
        if was:
            self._model.batcher.announce(-1)
