"""A process that listens: uvicorn, which finishes requests in progress when it is told to stop."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import uvicorn

from soundgate.audio.serving.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.serving.models.sources import ModelSource
    from soundgate.audio.serving.settings import ServiceSettings

BACKLOG = 2048
"""Connections that the system holds until they are accepted."""
KEEP_ALIVE_S = 75
MESSAGE_BYTES = 1 << 20
"""Of a WebSocket, at most."""


def run(
    sources: Sequence[ModelSource],
    settings: ServiceSettings,
    *,
    host: str,
    port: int,
    encoder: Path | None = None,
) -> bool:
    """Serve until SIGTERM or Ctrl+C, then finish what was accepted.

    Returns:
        Whether the service had started.

    Raises:
        ConfigError: no model is given, or two have one name.
    """
    app = make_app(sources, settings, encoder=encoder, tell=lambda text: print(text, flush=True))
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s or None,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES,
    )
    # a line for each broken form would let any client fill the log
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    server = uvicorn.Server(config)
    print(f"listening on http://{host}:{port} (routes: /docs)", flush=True)
    server.run()
    return server.started
