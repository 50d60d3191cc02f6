"""Two processes that train together, without the start of ``torchrun`` and of two interpreters.

They are forked from a process that has imported torch already. ``torchrun`` itself is tested in
tests/audio/test_training_processes.py.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
from multiprocessing import connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_S = 200


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_two(work: Callable[..., object], folder: Path, *arguments: object) -> str:
    """Call ``work(*arguments)`` in two processes of one group; return what they printed.

    Args:
        work: a function of a module, for the other processes import it.
        folder: takes the output of each process.
        arguments: of ``work``.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch.distributed"])
    folder.mkdir(parents=True, exist_ok=True)
    port, outputs = free_port(), [folder / f"rank-{rank}.txt" for rank in (0, 1)]
    ranks = [
        context.Process(target=_rank, args=(rank, port, str(outputs[rank]), work, arguments))
        for rank in (0, 1)
    ]
    for rank in ranks:
        rank.start()
    try:
        waiting = {rank.sentinel: rank for rank in ranks}
        while waiting:
            ended = connection.wait(waiting, LONGEST_S)
            assert ended, f"a process did not end in {LONGEST_S} s"
            for sentinel in ended:
                # the other would wait for one that failed
                assert waiting.pop(sentinel).exitcode == 0, _text(outputs)
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()
    return _text(outputs)


def _text(outputs: list[Path]) -> str:
    return "".join(path.read_text("utf-8") for path in outputs if path.exists())


def _rank(
    rank: int, port: int, output: str, work: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    import torch

    torch.set_num_threads(1)
    work(*arguments)
