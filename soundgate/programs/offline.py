"""Where there is no network, a program that tries it is told so at once.

On a compute node behind a firewall a download does not fail: it waits, for minutes, and the job
with it. An executor that knows sets ``SOUNDGATE_OFFLINE``; ``step.main`` then has every connection
to another machine refused, with the sentence that says what to do.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import Any

from soundgate.errors import NetworkTried

VARIABLE = "SOUNDGATE_OFFLINE"
"""Hosts that are reachable all the same, separated by commas; empty: there is a network."""


def guard() -> None:
    """Refuse connections to other machines where ``SOUNDGATE_OFFLINE`` is set. Cannot be undone."""
    text = os.environ.get(VARIABLE, "")
    if text:
        allowed = frozenset(text.split(","))
        sys.addaudithook(lambda event, arguments: _look(event, arguments, allowed))


def _look(event: str, arguments: tuple[Any, ...], allowed: frozenset[str]) -> None:
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "localhost")
    if name not in allowed and not is_here(name):
        raise NetworkTried(
            f"tried to use the network ({name}) on a compute node without network; declare the "
            "task with needs_network=True, or stage the files it downloads"
        )


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    if host in ("", "localhost", os.uname().nodename):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
