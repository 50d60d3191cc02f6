"""MLflow's webhooks: is a delivery genuine, and a small receiver that runs a command for each.

A server signs with HMAC-SHA256 over ``<delivery id>.<timestamp>.<body>`` and sends the signature as
``v1,<base64>`` (the scheme of https://www.standardwebhooks.com). A delivery is taken once, and only
while its timestamp is fresh, so that a recorded one cannot be sent again.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.server
import json
import queue
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from soundgate.errors import printable
from soundgate.registry.notifications import hooks
from soundgate.registry.notifications.hooks import Event

if TYPE_CHECKING:
    from collections.abc import Callable

DELIVERY_HEADER = "X-MLflow-Delivery-Id"
TIMESTAMP_HEADER = "X-MLflow-Timestamp"
SIGNATURE_HEADER = "X-MLflow-Signature"
SECRET_VARIABLE = "SOUNDGATE_WEBHOOK_SECRET"  # noqa: S105 # the name of the variable
TOLERANCE_S = 300.0
MOST_BYTES = 1 << 20
MOST_WAITING = 1000
SOCKET_LIMIT_S = 10.0
REQUEST_LIMIT_S = 20.0
"""Of a whole request: one that comes a byte at a time never trips the socket's own limit."""
MOST_CONNECTIONS = 64
"""Open at a time; with one more, the oldest is closed, so that idle ones keep nobody out."""
MOST_DIGITS = 15


class Headers(Protocol):
    """The headers of a request."""

    def get(self, name: str, /) -> str | None:
        """Return one by its name."""
        ...


def refusal(
    headers: Headers,
    body: bytes,
    secret: str,
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Why a delivery is not to be believed; empty for a genuine one.

    Args:
        headers: of the request; any mapping that ignores case, or has MLflow's spelling.
        body: of the request, as it came.
        secret: shared with the server.
        now_s: Unix time.
        tolerance_s: how far the delivery's own time may be from it, either way.
    """
    delivery = headers.get(DELIVERY_HEADER) or ""
    timestamp = headers.get(TIMESTAMP_HEADER) or ""
    signatures = headers.get(SIGNATURE_HEADER) or ""
    if not (delivery and timestamp and signatures):
        return "it is not signed"
    if not _is_number(timestamp):
        return "its timestamp is not a number"
    signed = f"{delivery}.{timestamp}.".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    genuine = False
    for signature in signatures.split():
        version, _, encoded = signature.partition(",")
        genuine |= version == "v1" and hmac.compare_digest(expected, _decoded(encoded))
    if not genuine:
        return "its signature is wrong"
    if abs(now_s - int(timestamp)) > tolerance_s:
        return "it is too old, or a clock is wrong"
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


class Receiver(http.server.ThreadingHTTPServer):
    """Takes deliveries, answers at once, and runs the command for one after the other.

    It answers 204 to a genuine delivery (also to a repeated one, which is not run again), 401 to
    any other, 400 to one that is no event, 413 to a large one and 503 while too many wait: MLflow
    sends those again.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        secret: str,
        command: list[str],
        *,
        tolerance_s: float = TOLERANCE_S,
        say: Callable[[str], None] = print,
    ) -> None:
        """Listen at ``address``; port 0 takes a free one. ``say`` gets a line for each delivery."""
        self.secret = secret
        self.command = command
        self.tolerance_s = tolerance_s
        self.say = say
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self._worker: threading.Thread | None = None
        self._open: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)
        self._worker = threading.Thread(target=self._work, name="hook")
        self._worker.start()

    def take(self, delivery: str, event: Event) -> bool:
        """Queue an event unless its delivery was taken before; False where the queue is full."""
        oldest = time.time() - 2 * self.tolerance_s
        with self._lock:
            self._seen = {key: at for key, at in self._seen.items() if at > oldest}
            if delivery in self._seen:
                return True
            try:
                self._waiting.put_nowait(event)
            except queue.Full:
                return False
            self._seen[delivery] = time.time()
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread; close the oldest where too many are open."""
        with self._lock:
            self._open[request] = time.monotonic()
            if len(self._open) > MOST_CONNECTIONS:
                _end(next(iter(self._open)))
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection that was answered."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections whose request takes too long; called twice a second."""
        latest = time.monotonic() - REQUEST_LIMIT_S
        with self._lock:
            for late in [each for each, began in self._open.items() if began < latest]:
                _end(late)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base's
        """Say in a line that a connection broke: it may have been ended here."""
        kind = sys.exc_info()[0]
        self.say(f"a connection ended early: {kind.__name__ if kind else 'unknown'}")

    def server_close(self) -> None:
        """Stop listening; what was taken is still run."""
        super().server_close()
        if self._worker is not None:  # None: it could not listen
            self._waiting.put(None)
            self._worker.join()

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            failure = hooks.call(self.command, event)
            self.say(printable(f"{event.event} of {event.model}: {failure or 'hook ran'}"))


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver
    timeout = SOCKET_LIMIT_S

    def do_POST(self) -> None:
        """Take one delivery."""
        length = self.headers.get("Content-Length") or ""
        if not _is_number(length) or int(length) > MOST_BYTES:
            self._answer(413, f"a delivery of {length[:MOST_DIGITS] or 'unknown'} bytes: too large")
            return
        body = self.rfile.read(int(length))
        wrong = refusal(
            self.headers,
            body,
            self.server.secret,
            now_s=time.time(),
            tolerance_s=self.server.tolerance_s,
        )
        if wrong:
            self._answer(401, f"a delivery was refused: {wrong}")
            return
        event = as_event(body)
        if event is None:
            self._answer(400, "a delivery was refused: it is no event of MLflow")
            return
        if not self.server.take(self.headers[DELIVERY_HEADER], event):
            self._answer(503, "too many events wait for the hook")
            return
        self._answer(204)

    def _answer(self, status: int, said: str = "") -> None:
        if said:
            self.server.say(printable(said))
            self.close_connection = True  # what was not read is not the next request
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name is http.server's
        """Keep quiet: ``say`` tells what matters."""


def as_event(body: bytes) -> Event | None:
    """What a hook is told of a delivery; None where it is no event of MLflow.

    ``event`` is MLflow's name, ``model_version_alias.created`` say; ``model``, ``version`` and
    ``alias`` are empty where it has none; ``data`` is all that MLflow sent.
    """
    try:
        found = json.loads(body)
        data = found["data"]
        return Event(
            event=f"{found['entity']}.{found['action']}",
            model=str(data.get("name", "")),
            version=str(data.get("version", "")),
            alias=str(data.get("alias", "")),
            at=str(found.get("timestamp", "")),
            details={"data": data},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _end(connection: socket.socket) -> None:
    """End a connection; its thread then sees the end of the stream and closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def tell(line: str) -> None:
    """Print a line for whoever watches the receiver."""
    print(line, file=sys.stderr, flush=True)
