"""Before every route: an id for the request, the key, room for it, and the limit of its body."""

from __future__ import annotations

import asyncio
import hmac
import time
import uuid
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

from soundgate.audio.serving.scoring.decoding import MEBIBYTE
from soundgate.audio.serving.web.problems import Problem, problem, too_busy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from soundgate.audio.serving.settings import ServiceSettings
    from soundgate.audio.serving.web.measures import Measures

OPEN: Final = ("/health/", "/ping", "/v2/health/")
"""Paths that are asked for without a key, by whoever supervises the service."""
REQUEST_ID: Final = "x-request-id"


class Gate:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings, measures: Measures) -> None:
        """Stand before ``app``."""
        self._app, self._settings, self._measures = app, settings, measures
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ``ASGIApp``."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._may(scope["path"], headers):
            await self._turn_away(scope, receive, send)
            return
        if scope["type"] == "websocket" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        await self._admit(scope, headers, receive, send)

    def _may(self, path: str, headers: Headers) -> bool:
        """Whether the client has the key, where one is configured."""
        key = self._settings.api_key
        if not key or path.startswith(OPEN):
            return True
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), key.encode())

    async def _turn_away(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "API key missing"})
            return
        headers = {"WWW-Authenticate": "Bearer"}
        await problem(401, "send the API key as X-API-Key", headers)(scope, receive, send)

    async def _admit(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        request_id = headers.get(REQUEST_ID, "")[:64] or uuid.uuid4().hex
        status = 500
        began = time.monotonic()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        limit = self._settings.max_body_mb * MEBIBYTE
        too_large = Problem(413, f"the body exceeds {self._settings.max_body_mb} MiB")
        length = headers.get("content-length", "0")
        refused = None
        if length.isdecimal() and int(length) > limit:
            refused = too_large
        elif self._inside >= self._settings.max_waiting:
            refused = too_busy()
        self._inside += 1
        self._measures.in_progress.set(self._inside)
        try:
            if refused is not None:
                given = dict(refused.headers) if refused.headers else {}
                answer = problem(
                    refused.status_code, refused.detail, given | {"Connection": "close"}
                )
                await answer(scope, receive, named)
                return
            body = _Body(receive, limit, too_large, self._settings.body_wait_s)
            await self._app(scope, body, named)
        finally:
            self._inside -= 1
            self._measures.in_progress.set(self._inside)
            self._measures.answered(scope, status, time.monotonic() - began)


class _Body:
    """Receives a request's body, which may neither be too large nor take forever."""

    def __init__(self, receive: Receive, limit: int, too_large: Problem, wait_s: float) -> None:
        self._receive, self._limit, self._too_large = receive, limit, too_large
        self._wait_s, self._seen, self._complete = wait_s, 0, False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout(self._wait_s):
                message = await self._receive()
        except TimeoutError as error:
            raise Problem(408, "the body stopped arriving") from error
        self._seen += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._seen > self._limit:
            raise self._too_large
        return message
