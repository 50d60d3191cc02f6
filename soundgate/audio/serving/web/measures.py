"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from starlette.types import Scope

SECONDS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
CLIPS: Final = (1, 2, 4, 8, 16, 32, 64)


class Measures:
    """Counters of one service; labels never come from clients."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Begin at nothing."""
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "soundgate_requests", "Answered requests", ("route", "status"), registry=registry
        )
        self.request_s = Histogram(
            "soundgate_request_seconds",
            "From headers to the end of the answer",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_clips = Histogram(
            "soundgate_batch_clips",
            "Clips scored together",
            ("model",),
            buckets=CLIPS,
            registry=registry,
        )
        self.batch_s = Histogram(
            "soundgate_batch_seconds",
            "Scoring of a batch",
            ("model",),
            buckets=SECONDS,
            registry=registry,
        )
        self.audio_s = Counter(
            "soundgate_audio_seconds", "Sound that was scored", ("model",), registry=registry
        )
        self.in_progress = Gauge(
            "soundgate_requests_in_progress",
            "Requests that are not answered yet",
            registry=registry,
        )
        self.waiting = Gauge(
            "soundgate_waiting_clips", "Clips that wait for a batch", ("model",), registry=registry
        )
        self.failed = Gauge(
            "soundgate_refused_models",
            "Models whose present version could not be opened",
            registry=registry,
        )

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request by the route that answered it."""
        route = getattr(scope.get("route"), "path", "none")
        self.requests.labels(route, str(status)).inc()
        self.request_s.labels(route).observe(seconds)

    def batch(self, model: str, clips: int, seconds: float) -> None:
        """Count a batch."""
        self.batch_clips.labels(model).observe(clips)
        self.batch_s.labels(model).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        return bytes(generate_latest(self._registry))
