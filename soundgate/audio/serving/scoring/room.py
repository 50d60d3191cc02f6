"""How much sound of all clients is in memory."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Room:
    """Seconds of sound that may be held; who finds none waits, first come, first served."""

    def __init__(self, capacity_s: float) -> None:
        """Begin empty."""
        # whole numbers: what is given back is exactly what was taken
        self._capacity_ms, self._held_ms = math.ceil(capacity_s * 1000), 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def held_s(self) -> float:
        """Seconds that are held."""
        return self._held_ms / 1000

    @asynccontextmanager
    async def hold(self, length_s: float) -> AsyncIterator[None]:
        """Hold so much; what is longer than all the room has it for itself."""
        length_ms = min(math.ceil(length_s * 1000), self._capacity_ms)
        await self._enter(length_ms)
        try:
            yield
        finally:
            self._held_ms -= length_ms
            self._next()

    async def _enter(self, length_ms: int) -> None:
        if not self._queue and self._fits(length_ms):
            self._held_ms += length_ms
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            while not (self._queue[0] is turn and self._fits(length_ms)):
                await turn
                self._queue[0] = turn = asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self._queue.remove(turn)
            self._next()
            raise
        self._queue.popleft()
        self._held_ms += length_ms
        self._next()

    def _fits(self, length_ms: int) -> bool:
        return self._held_ms + length_ms <= self._capacity_ms

    def _next(self) -> None:
        if self._queue and not self._queue[0].done():
            self._queue[0].set_result(None)
