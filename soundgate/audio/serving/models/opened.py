"""A model in memory, with what runs it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.model import digest as model_digest
from soundgate.audio.formats.models.detector import FORMAT as DETECTOR
from soundgate.audio.formats.models.embedding_classifier import FORMAT as EMBEDDING_CLASSIFIER
from soundgate.audio.formats.models.tagger import FORMAT as TAGGER
from soundgate.audio.formats.record import read_object
from soundgate.audio.prediction.predictors.opening import open_predictor
from soundgate.audio.prediction.predictors.programs import has_program, open_program
from soundgate.audio.prediction.settings import Settings
from soundgate.audio.serving.scoring.batching import Batcher
from soundgate.audio.serving.settings import cores
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.prediction.predictors.base import Decisions, Predictor
    from soundgate.audio.prediction.predictors.programs import Program
    from soundgate.audio.prediction.settings import Lengths
    from soundgate.audio.serving.models.sources import Release
    from soundgate.audio.serving.settings import ServiceSettings

    Array = npt.NDArray[Any]

SYSTEMS: Final = {TAGGER: "tagging", DETECTOR: "spot", EMBEDDING_CLASSIFIER: "sec"}
"""Which system a format of ``model.json`` is of; every other one is of aed."""
_TRIED_S: Final = 2.0
"""Length of the noise that a model is tried with before it is used."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """One version of a model; it never changes, so that requests can keep it to their end."""

    name: str
    version: str | None
    digest: str
    system: str
    """aed, tagging, spot or sec."""
    runtime: str
    """onnx, int8 or torch."""
    predictor: Predictor
    lengths: Lengths
    part_s: float
    """Length of the parts that it scores: patches, chunks or windows, seconds."""
    batcher: Batcher
    opened_at: float = field(default_factory=time.time)

    @property
    def decisions(self) -> Decisions:
        """How its scores are read."""
        return self.predictor.decisions


def open_model(
    name: str,
    release: Release,
    settings: ServiceSettings,
    *,
    encoder: Path | None = None,
    observe: Callable[[int, float], None] = lambda _clips, _seconds: None,
) -> OpenedModel:
    """Open a model, and try it once: what is handed out gives scores.

    Args:
        name: what clients call it.
        release: where it lies.
        settings: of the service.
        encoder: weights that a classifier of embeddings listens through.
        observe: told of each batch: clips, and seconds that scoring took.

    Raises:
        DataError: it is damaged, or gives scores that are no probabilities.
        ParameterError: an encoder is missing, or it has no such program.
        MissingExtra: a library that it needs is not installed.
    """
    kind = str(read_object(release.folder / DESCRIPTION, remedy="train the model again")["format"])
    runtime = _runtime(release.folder, kind, settings)
    predictor = _predictor(release.folder, runtime, encoder)
    lengths = predictor.lengths(Settings())
    part_s = _tried(name, predictor, lengths)
    batcher = Batcher(
        predictor.score,
        batch_size=settings.batch_size,
        wait_s=settings.batch_wait_s,
        threads=cores() if runtime != "torch" else 1,
        observe=observe,
    )
    return OpenedModel(
        name=name,
        version=release.version,
        digest=release.digest or model_digest(release.folder),
        system=SYSTEMS.get(kind, "aed"),
        runtime=runtime,
        predictor=predictor,
        lengths=lengths,
        part_s=part_s,
        batcher=batcher,
    )


def _runtime(model: Path, kind: str, settings: ServiceSettings) -> str:
    if settings.runtime != "auto":
        return settings.runtime
    return "onnx" if kind != EMBEDDING_CLASSIFIER and has_program(model) else "torch"


def _predictor(model: Path, runtime: str, encoder: Path | None) -> Predictor:
    if runtime != "torch":
        return open_program(model, cast("Program", runtime), Settings())
    return open_predictor(model, Settings(), encoder)


def _tried(name: str, predictor: Predictor, lengths: Lengths) -> float:
    """Score noise, and say how long the parts are that have a score."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, round(_TRIED_S * lengths.sample_rate_hz)).astype(np.float32)
    [found] = predictor.score([noise])
    if not (np.isfinite(found.scores).all() and (found.scores >= 0).all()):
        raise DataError(f"{name}: gives scores that are no probabilities; train the model again")
    if (found.scores > 1 + 1e-4).any():
        raise DataError(f"{name}: gives scores above 1; train the model again")
    start_s, end_s = found.times[0]
    return float(end_s - start_s)
