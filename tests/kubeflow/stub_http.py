"""The HTTP side of the stand-in for KFP's API server: requests, faults, answers."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}


class ApiError(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, message: str) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.status = status


@dataclass
class Fault:
    """What happens to the next requests that match: an answer, a wait, a closed connection."""

    method: str
    path: str
    times: int
    status: int = 0
    message: str = ""
    seconds: float = 0.0
    drop: bool = False
    lose: bool = False
    """Does what was asked, then closes the connection."""
    plain: bool = False
    """Answers as a proxy in front of the server does."""


@dataclass
class Request:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Api(Protocol):
    """What answers requests."""

    requests: list[Request]

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that the next request meets."""

    def answer(self, request: Request) -> Any:
        """Return what is answered: JSON, or a text."""


def handler(api: Api) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers for ``api``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(size)
            query = {key: each[0] for key, each in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = json.loads(text) if text.strip() else None
            request = Request(self.command, unquote(parts.path), query, headers, body)
            api.requests.append(request)
            fault = api.take_fault(request.method, request.path)
            try:
                if fault and fault.lose:
                    api.answer(request)
                if fault and (fault.drop or fault.lose):
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                time.sleep(fault.seconds if fault else 0)
                if fault and fault.plain:
                    self._send(fault.status, fault.message)
                    return
                if fault and fault.status:
                    raise ApiError(fault.status, fault.message)  # noqa: TRY301 - as a real one
                self._send(200, api.answer(request))
            except ApiError as error:
                code = GRPC.get(error.status, 2)
                told = {"error": str(error), "code": code, "message": str(error), "details": []}
                self._send(error.status, told)

        def _send(self, status: int, value: Any) -> None:
            kind = "text/plain" if isinstance(value, str) else "application/json"
            text = (value if isinstance(value, str) else json.dumps(value)).encode()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - names of the library

    return Handler
