"""How often an engine is asked how a run stands: many runs, and many people, ask the same one."""

from __future__ import annotations

import random
import time

FIRST_S = 0.5
GROWTH = 1.3
SHARE = 0.05
"""Of a run's age: the shortest time between two questions, however much happens in it."""


class Pace:
    """Says when to ask again: soon where something happened, ever more rarely where nothing does.

    The number of questions depends on how long a run takes, not on how many tasks it has.
    """

    def __init__(self, longest_s: float) -> None:
        """Ask at once, and then at least every ``longest_s`` seconds."""
        self._longest_s = longest_s
        self._pause_s = min(FIRST_S, longest_s)
        self._began = self._asked = time.monotonic()
        self._due = self._began

    def is_due(self) -> bool:
        """Whether it is time to ask."""
        return time.monotonic() >= self._due

    def left_s(self) -> float:
        """Return the seconds until it is time to ask."""
        return max(0.0, self._due - time.monotonic())

    def went_on(self, *, asked: bool, happened: bool) -> None:
        """Take note of a look: whether it asked, and whether it found anything new."""
        now = time.monotonic()
        if asked:
            spread = random.uniform(0.9, 1.1)  # noqa: S311 - many runs, one engine
            self._asked, self._due = now, now + self._pause_s * spread
            self._pause_s = min(self._longest_s, self._pause_s * GROWTH)
        if happened:  # what follows from it, the engine knows
            age_s = now - self._began
            self._pause_s = min(self._longest_s, max(FIRST_S, SHARE * age_s))
            self._due = min(self._due, self._asked + self._pause_s)
