"""Faults of the platform, to be injected: capacity, throttling, spot interruptions."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

from definition_runner.errors import REASONS, PlatformFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Faults:
    """What is to go wrong, by step; each fault happens once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[str, list[str]] = defaultdict(list)
        self._interruptions: dict[str, list[Callable[[Path], bool]]] = defaultdict(list)

    def fail(self, step: str, *kinds: str) -> None:
        """Let the next attempts of ``step`` fail, one for each kind (``SageMaker.CAPACITY_ERROR``).

        Raises:
            KeyError: no retry policy knows such a kind.
        """
        for kind in kinds:
            REASONS[kind]
        with self._lock:
            self._kinds[step] += kinds

    def interrupt(self, step: str, when: Callable[[Path], bool]) -> None:
        """Take the spot instance of ``step`` away once ``when`` holds.

        Args:
            step: a Training step with managed spot training.
            when: asked again and again with the job's ``/opt/ml`` on this machine.
        """
        with self._lock:
            self._interruptions[step].append(when)

    def attempt(self, step: str) -> None:
        """Raise the next fault of ``step``, where there is one."""
        with self._lock:
            kinds = self._kinds[step]
            kind = kinds.pop(0) if kinds else None
        if kind:
            raise PlatformFault(kind)

    def interruption(self, step: str) -> Callable[[Path], bool] | None:
        """Take the next interruption of ``step``."""
        with self._lock:
            waiting = self._interruptions[step]
            return waiting.pop(0) if waiting else None
