"""Health, version, models and measures."""

from importlib import metadata

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from soundgate.audio.serving.models.opened import OpenedModel
from soundgate.audio.serving.scoring.answers import Answer
from soundgate.audio.serving.scoring.folders import DATASET_TYPES
from soundgate.audio.serving.web.problems import Problem
from soundgate.audio.serving.web.state import Service, Serving

router = APIRouter(tags=["service"])


class ModelAnswer(Answer):
    """Which model it is."""

    name: str
    version: str | None
    digest: str
    system: str
    runtime: str
    sample_rate_hz: int
    part_s: float
    """Length of the parts that have a score, seconds."""
    multi_label: bool
    labels: tuple[str, ...]


class VersionAnswer(Answer):
    """What runs here."""

    soundgate: str
    models: tuple[ModelAnswer, ...]
    refused: dict[str, str]
    """Models whose present version could not be opened, and why."""


def about(model: OpenedModel) -> ModelAnswer:
    """What clients are told of a model."""
    return ModelAnswer(
        name=model.name,
        version=model.version,
        digest=model.digest,
        system=model.system,
        runtime=model.runtime,
        sample_rate_hz=model.lengths.sample_rate_hz,
        part_s=model.part_s,
        multi_label=model.decisions.multi_label,
        labels=model.decisions.classes,
    )


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready")
async def ready(service: Serving) -> dict[str, str]:
    """Every model is open; 503 until then."""
    require_ready(service)
    return {"status": "ready"}


def require_ready(service: Service) -> None:
    """Refuse where a model is not open.

    Raises:
        Problem: says which.
    """
    if not service.catalogue.ready:
        told = {name: failed.why for name, failed in service.catalogue.failures().items()}
        reasons = "; ".join(f"{name}: {why}" for name, why in told.items())
        raise Problem(503, reasons or "models are being opened")


@router.get("/version")
async def version(service: Serving) -> VersionAnswer:
    """The version of Soundgate, and the models with their digests."""
    try:
        own = metadata.version("soundgate")
    except metadata.PackageNotFoundError:  # a checkout on the path, as in container images
        own = "not installed"
    failures = service.catalogue.failures()
    return VersionAnswer(
        soundgate=own,
        models=tuple(map(about, service.catalogue.models())),
        refused={name: failed.why for name, failed in failures.items()},
    )


@router.get("/models")
async def models(service: Serving) -> list[str]:
    """Names of the models, as other requests take them."""
    return service.catalogue.names


@router.get("/dataset-types")
async def dataset_types() -> list[str]:
    """Types of labelled folders and tables that ``/model/test-directory`` takes."""
    return list(DATASET_TYPES)


@router.get("/metrics", response_class=Response)
async def metrics(service: Serving) -> Response:
    """What Prometheus reads."""
    measures = service.measures
    for model in service.catalogue.models():
        measures.waiting.labels(model.name).set(model.batcher.waiting)
    measures.failed.set(len(service.catalogue.failures()))
    content = await run_in_threadpool(measures.text)
    return Response(content, media_type=measures.media_type)
