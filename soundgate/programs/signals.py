"""Signals that reach a step: stop at once, stop with a checkpoint, or end after this epoch.

SIGTERM and SIGUSR1 ask a step that can save its work to do so; any other ends. Ctrl-C ends a
training after its epoch, in good order, and at once the second time.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from soundgate import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Terminated(BaseException):
    """SIGTERM reached a step that has nothing to save."""

    exit_code = 128 + signal.SIGTERM


class Interrupted(Terminated):
    """Ctrl-C reached a training for the second time."""

    exit_code = 128 + signal.SIGINT


def terminate(number: int, _frame: object) -> NoReturn:
    """End a step that saves nothing."""
    raise Terminated(f"stopped by {signal.Signals(number).name}")


early: list[int] = []
"""Signals that asked to stop, also before the step could look."""


def remember(number: int, _frame: object) -> None:
    """Keep a signal for a step that has not begun to look."""
    early.append(number)


@contextmanager
def graceful_stop() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and SIGUSR1 into a question the step asks when it can save its work.

    Yields a function that tells whether a signal came. The step then writes its checkpoint and
    raises ``errors.Stopped``.
    """
    asked = early
    numbers = (signal.SIGTERM, signal.SIGUSR1)
    before = {n: signal.signal(n, lambda number, _frame: asked.append(number)) for n in numbers}
    try:
        yield lambda: bool(asked)
    finally:
        early.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


_INTERRUPTED = (
    b"Ctrl-C: the epoch under way is the last; another Ctrl-C ends the training at once\n"
)
ended_early: list[str] = []
"""Why the result is not that of an undisturbed step."""


@contextmanager
def graceful_finish() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT (Ctrl-C) into a question that a training asks after every epoch.

    Yields a function that tells whether it came. The step then ends with what it has learnt, and
    its result is not reused later. A second one ends the step at once. While this lasts, a runner
    that is interrupted hands the first Ctrl-C on rather than stop the run.
    """
    asked: list[int] = []

    def interrupted(number: int, _frame: object) -> None:
        if asked:
            raise Interrupted(f"stopped by {signal.Signals(number).name}")
        asked.append(number)
        os.write(2, _INTERRUPTED)  # print might be what was interrupted

    context = runs.Context.from_environment()
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        with runs.finishes_early(context):
            yield lambda: bool(asked)
        if asked:
            ended_early.append("ended early by Ctrl-C")
    finally:
        signal.signal(signal.SIGINT, before)


def install() -> None:
    """Set the handlers that a step begins with, and forget what an earlier step was asked.

    A warning that time is short must not end a step that is still importing, or saves nothing.
    """
    early.clear()
    ended_early.clear()
    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGUSR1, remember)
