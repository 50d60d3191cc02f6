"""A service in the test's own process, and sounds to send to it."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from starlette.testclient import TestClient

from soundgate.audio.serving.models.sources import FolderSource
from soundgate.audio.serving.settings import ServiceSettings
from soundgate.audio.serving.web.app import make_app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE_HZ = 16_000


def noise(seconds: float, seed: int = 0, rate_hz: int = RATE_HZ) -> bytes:
    """A WAV file."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate_hz))
    held = io.BytesIO()
    soundfile.write(held, samples.astype(np.float32), rate_hz, format="WAV", subtype="PCM_16")
    return held.getvalue()


@contextmanager
def serving(*models: Path, encoder: Path | None = None, **settings: object) -> Iterator[TestClient]:
    """A client of a service that is ready; models are called by their folders' names."""
    app = make_app(
        [FolderSource(model.name, model) for model in models],
        ServiceSettings(**settings),
        encoder=encoder,
        tell=lambda _: None,
    )
    with TestClient(app) as client:
        wait_ready(client)
        yield client


def wait_ready(client: TestClient) -> None:
    """Return once every model is open."""
    until = time.monotonic() + 60
    while (found := client.get("/health/ready")).status_code != 200:
        assert time.monotonic() < until, found.text
        time.sleep(0.02)


def upload(*contents: bytes, name: str = "clip{}.wav") -> list:
    """The parts of a form."""
    return [("audio_files", (name.format(k), held)) for k, held in enumerate(contents)]
