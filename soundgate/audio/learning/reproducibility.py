"""Global state of torch that a training needs, put back when it ends."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were: new weights and dropout draw from them."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


@contextlib.contextmanager
def deterministic_kernels(*, wanted: bool) -> Iterator[None]:
    """Where ``wanted``, choose kernels that give the same bits on every run of one machine.

    An operation that has none is reported as a warning and goes on.
    """
    if not wanted:  # torch's switch imports its compiler, seconds that only those spend who ask
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    # Matrix products on GPUs need a fixed workspace; only its first use reads the variable.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warned)
