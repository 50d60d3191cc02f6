"""What an operator chooses about the service."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - read at run time, when settings are checked
from typing import Annotated, Literal

from soundgate.bounds import Bounds, check_fields

Runtime = Literal["auto", "onnx", "int8", "torch"]
"""``auto``: ONNX Runtime where a model has an exported program, torch otherwise."""
Positive = Annotated[int, Bounds(1)]
Seconds = Annotated[float, Bounds(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How models are run, and what a client may ask of them."""

    runtime: Runtime = "auto"
    batch_size: Positive = 16
    """Clips scored together, at most."""
    batch_wait_s: Seconds = 0.005
    """How long a clip waits for others that are on their way, at most."""
    num_workers: Positive = 4
    """Threads that decode audio."""
    max_waiting: Positive = 256
    """Requests in progress; one more is answered 503."""
    max_streams: Positive = 64
    """WebSockets that are open at once."""
    max_body_mb: Positive = 64
    """Body of a request, MiB."""
    max_files: Positive = 64
    """Files of a request."""
    max_duration_s: Annotated[float, Bounds(0.1)] = 600.0
    """Length of a recording."""
    max_decoded_mb: Positive = 1024
    """A recording decoded at its own rate, all channels, MiB."""
    max_held_s: Annotated[float, Bounds(0.1)] = 2400.0
    """Sound of all clients held in memory, seconds; recordings beyond it wait."""
    body_wait_s: Annotated[float, Bounds(0.1)] = 30.0
    """How long the next part of a body may take to arrive."""
    roots: tuple[Path, ...] = ()
    """Folders of this machine that requests may name; none: no route reads files of it."""
    api_key: str = ""
    """What clients send as ``X-API-Key`` or bearer token; empty: nothing is asked for."""
    add_instrument_metrics: bool = False
    """Whether figures of each label are added to answers of ``/model/test-directory``."""
    reload_s: Seconds = 0.0
    """How often models are looked up again; 0: never."""
    drain_s: Annotated[int, Bounds(0)] = 30
    """How long a stopping service finishes requests."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ParameterError: names the setting.
        """
        check_fields(self)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
