"""The application: routes, what stands before them, and the thread that looks for new versions."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from soundgate.audio.serving.models.catalogue import Catalogue
from soundgate.audio.serving.scoring.asking import Asking
from soundgate.audio.serving.web import directories, health, page, predicting, problems
from soundgate.audio.serving.web.gate import Gate
from soundgate.audio.serving.web.measures import Measures
from soundgate.audio.serving.web.protocols import kserve, live, sagemaker
from soundgate.audio.serving.web.state import Seats, Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from soundgate.audio.serving.models.sources import ModelSource
    from soundgate.audio.serving.settings import ServiceSettings


def make_app(
    sources: Sequence[ModelSource],
    settings: ServiceSettings,
    *,
    encoder: Path | None = None,
    tell: Callable[[str], None] = print,
) -> FastAPI:
    """The service as an ASGI application; its lifespan opens and closes the models.

    Args:
        sources: where models come from.
        settings: of the operator.
        encoder: weights that classifiers of embeddings listen through.
        tell: writes a line for the operator.

    Raises:
        ConfigError: no model is given, or two have one name.
    """
    measures = Measures()
    catalogue = Catalogue(sources, settings, encoder=encoder, observe=measures.batch, tell=tell)
    service = Service(settings, catalogue, Asking(settings), measures, Seats(settings.max_streams))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stop = threading.Event()
        watcher = threading.Thread(target=_watch, args=(service, stop), name="models", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            service.asking.close()
            catalogue.close()

    app = FastAPI(
        title="Soundgate",
        summary="Scores, decisions and events of audio, by trained models.",
        lifespan=lifespan,
    )
    app.state.service = service
    problems.install(app)
    for module in (page, health, predicting, directories, sagemaker, kserve, live):
        app.include_router(module.router)
    _stand_before(app, service)
    return app


def _stand_before(app: FastAPI, service: Service) -> None:
    def gate(inner: ASGIApp) -> ASGIApp:
        return Gate(inner, service.settings, service.measures)

    app.add_middleware(gate)


def _watch(service: Service, stop: threading.Event) -> None:
    """Open the models, and those that follow them, outside of the event loop."""
    service.catalogue.refresh()
    every_s = service.settings.reload_s
    while every_s and not stop.wait(every_s):
        service.catalogue.refresh()
