"""What routes share: one object an application, none of it global."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection, Request

from soundgate.audio.serving.models.catalogue import Catalogue
from soundgate.audio.serving.scoring.asking import Asking
from soundgate.audio.serving.settings import ServiceSettings
from soundgate.audio.serving.web.measures import Measures
from soundgate.audio.serving.web.problems import Problem

T = TypeVar("T")


class Seats:
    """So many at once, and no more; used in the event loop only."""

    def __init__(self, free: int) -> None:
        """Begin with all of them free."""
        self._free = free

    def take(self) -> bool:
        """Take one; False where none is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """Give one back."""
        self._free += 1


@dataclass(frozen=True, slots=True)
class Service:
    """Models, threads and counters of a service."""

    settings: ServiceSettings
    catalogue: Catalogue
    asking: Asking
    measures: Measures
    seats: Seats
    """For streams of sound."""


def _service_of(connection: HTTPConnection) -> Service:
    return cast("Service", connection.app.state.service)


Serving = Annotated[Service, Depends(_service_of)]
"""A parameter of routes."""


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Do ``work``, and end it when the client leaves; the body was read before.

    Raises:
        Problem: the client left.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)
    raise Problem(499, "the client left")


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
