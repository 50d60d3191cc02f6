"""Threads for work on clips: in order, a bounded number ahead, each on one core.

Threads suffice: libsndfile, soxr, torch and ONNX Runtime let go of Python's lock while they work.
"""

from __future__ import annotations

import contextlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")

# Items in flight for each worker: enough that a long clip does not starve the others.
_AHEAD = 4


def ordered(compute: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[tuple[T, R]]:
    """Yield each item with its result, in the order of the items, a bounded number ahead.

    Args:
        compute: called in another thread where there is more than one worker.
        items: taken as they are needed.
        workers: threads.
    """
    if workers <= 1:
        yield from ((item, compute(item)) for item in items)
        return
    pending: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="clips") as pool:
        try:
            for item in items:
                pending.append((item, pool.submit(compute, item)))
                if len(pending) >= workers * _AHEAD:
                    first, result = pending.popleft()
                    yield first, result.result()
            while pending:
                first, result = pending.popleft()
                yield first, result.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def one_ahead(compute: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield the result for each item; each is computed in a thread while the one before is used.

    Args:
        compute: called in the thread.
        items: taken in the thread of the caller.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting: Future[R] | None = None
        for item in items:
            coming = pool.submit(compute, item)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Compute on one core.

    A clip is too small to be worth torch's own threads, and sums that threads share depend on how
    many there are.
    """
    import torch  # here: threads that only decode need none of it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
