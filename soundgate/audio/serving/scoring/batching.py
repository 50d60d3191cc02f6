"""Clips of many clients scored together, by threads of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from soundgate.audio.prediction.predictors.base import PartScores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soundgate.audio.signal.waveforms import Samples

Scored: TypeAlias = Future[PartScores]


@dataclass(frozen=True, slots=True)
class _Clip:
    samples: Samples
    scored: Scored = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)


class Batcher:
    """Collects clips, and scores up to ``batch_size`` of them at once.

    A batch begins when a thread is free. It waits for more clips only while some are announced, and
    never longer than ``wait_s`` from the arrival of its first. A clip whose future is cancelled
    before its batch begins is not scored.
    """

    def __init__(
        self,
        score: Callable[[Sequence[Samples]], list[PartScores]],
        *,
        batch_size: int,
        wait_s: float,
        threads: int = 1,
        observe: Callable[[int, float], None] = lambda _clips, _seconds: None,
    ) -> None:
        """Start the threads.

        Args:
            score: scores of clips float32 (sample,), in their order.
            batch_size: clips at once, at most.
            wait_s: for clips that were announced.
            threads: how many batches are scored at the same time.
            observe: told of each batch: clips, and seconds.
        """
        self._score, self._batch_size, self._wait_s = score, batch_size, wait_s
        self._observe = observe
        self._changed = threading.Condition()
        self._gathering = threading.Lock()
        self._clips: deque[_Clip] = deque()
        self._announced = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"scoring-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Clips that wait for a batch."""
        return len(self._clips)

    def announce(self, clips: int) -> None:
        """Say that so many clips will come; negative: that they will not."""
        with self._changed:
            self._announced += clips
            self._changed.notify_all()

    def submit(self, samples: Samples) -> Scored:
        """Have a clip scored.

        Raises:
            RuntimeError: the batcher is closed.
        """
        clip = _Clip(samples)
        with self._changed:
            if self._closed:
                raise RuntimeError("the model was closed")
            self._clips.append(clip)
            self._changed.notify_all()
        return clip.scored

    def close(self) -> None:
        """Score what waits, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._gathering:
                batch = self._gathered()
            if not batch:
                return
            self._score_batch([clip for clip in batch if self._begins(clip)])

    def _gathered(self) -> list[_Clip]:
        """The next batch; none when there will be no other."""
        with self._changed:
            self._changed.wait_for(lambda: self._clips or self._closed)
            if not self._clips:
                return []
            until = self._clips[0].arrived + self._wait_s
            while len(self._clips) < self._batch_size and self._announced and not self._closed:
                left_s = until - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            count = min(len(self._clips), self._batch_size)
            return [self._clips.popleft() for _ in range(count)]

    @staticmethod
    def _begins(clip: _Clip) -> bool:
        return clip.scored.set_running_or_notify_cancel()

    def _score_batch(self, batch: Sequence[_Clip]) -> None:
        if not batch:
            return
        began = time.monotonic()
        try:
            found = self._score([clip.samples for clip in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, its clients are told
            self._separately(batch, error)
            return
        self._observe(len(batch), time.monotonic() - began)
        for clip, scores in zip(batch, found, strict=True):
            clip.scored.set_result(scores)

    def _separately(self, batch: Sequence[_Clip], error: Exception) -> None:
        """Score each clip by itself: one that fails takes no other with it."""
        for clip in batch:
            if len(batch) == 1:
                clip.scored.set_exception(error)
                continue
            try:
                [scores] = self._score([clip.samples])
            except Exception as own:  # noqa: BLE001 - likewise
                clip.scored.set_exception(own)
            else:
                clip.scored.set_result(scores)
