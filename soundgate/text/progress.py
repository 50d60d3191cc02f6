"""Progress of long work: a bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

PLAIN_INTERVAL_S = 10.0


def track(items: Iterable[T], *, total: int, label: str, log: TextIO | None = None) -> Iterator[T]:
    """Yield ``items``, showing how many of ``total`` have passed.

    A log file gets one line every ten seconds and one at the end, so that a task of thousands of
    clips stays readable. ``log`` is where, standard output if it is None: what a command prints
    for other programs must not have these lines in it.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=label, total=total, console=Console(stderr=True))
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - last >= PLAIN_INTERVAL_S:
            print(f"{label}: {done} of {total}, {now - start:.0f} s", file=log, flush=True)
            last = now
    took_s = time.monotonic() - start
    print(f"{label}: {done} of {total} in {took_s:.1f} s", file=log, flush=True)
