"""Predictors of exported programs alone, in ONNX Runtime: torch takes seconds to import.

A program holds its front end, so that waveforms are all it needs. The scores are those of
``opening.open_predictor`` up to rounding, at the same times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from soundgate.audio.classification.tagging.inference import BATCH_SIZE, scored_pieces
from soundgate.audio.detection.scoring.blocks import joined
from soundgate.audio.formats.exported import Samples as Limits
from soundgate.audio.formats.exported import read_export
from soundgate.audio.formats.model import DESCRIPTION, read_description
from soundgate.audio.formats.models.detector import FORMAT as DETECTOR
from soundgate.audio.formats.models.detector import read_detector
from soundgate.audio.formats.models.embedding_classifier import FORMAT as EMBEDDING_CLASSIFIER
from soundgate.audio.formats.models.tagger import FORMAT as TAGGER
from soundgate.audio.formats.models.tagger import read_tagger
from soundgate.audio.formats.record import read_object
from soundgate.audio.prediction.predictors.classifier import ClassifierPredictor
from soundgate.audio.prediction.predictors.detector import DetectorPredictor
from soundgate.audio.prediction.predictors.tagger import TaggerPredictor
from soundgate.audio.prediction.runtimes import ProgramRuntime, program_path
from soundgate.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.models.tagger import Chunks
    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Settings
    from soundgate.audio.signal.waveforms import Samples

    Array = npt.NDArray[Any]

Program = Literal["onnx", "int8"]
WINDOWS: Final = 16
"""Of detectors, scored at once."""


def has_program(model: Path, program: Program = "onnx") -> bool:
    """Whether a ``model/`` folder holds that program, which would then be used."""
    try:
        program_path(program, model)
    except DataError:
        return False
    return True


def open_program(model: Path, program: Program, settings: Settings, threads: int = 1) -> Predictor:
    """The predictor of a program of a ``model/`` folder.

    Args:
        model: the folder.
        program: in 32 bits, or with its network in 8.
        settings: how to predict; ``settings.runtime`` is not looked at.
        threads: of ONNX Runtime for a batch.

    Raises:
        DataError: the model is damaged, or has no such program.
        MissingExtra: ONNX Runtime is not installed.
    """
    kind = read_object(model / DESCRIPTION, remedy="train the model again").get("format")
    if kind == EMBEDDING_CLASSIFIER:
        raise DataError(
            f"{model}: classifiers of embeddings have no programs; set runtime to torch"
        )
    path = program_path(program, model)
    try:
        from soundgate.audio.export.runtime import session
    except ImportError as error:
        message = f"{error.name} is not installed; pip install 'soundgate[serve]'"
        raise MissingExtra(message) from error
    opened = session(path, threads=threads)
    if kind == TAGGER:
        return _tagger(model, opened, settings)
    if kind == DETECTOR:
        return DetectorPredictor(read_detector(model), ProgramWindows(opened))
    description = read_description(model)
    return ClassifierPredictor(
        description, ProgramRuntime(opened, description, settings.batch_size)
    )


def _tagger(model: Path, opened: Any, settings: Settings) -> Predictor:
    limits, description = read_export(model / "export").samples, read_tagger(model)
    if limits is None:
        raise DataError(f"{model}: its programs are not of a tagger; export the model again")
    scorer = TaggerProgram(opened, description.chunks, description.sample_rate_hz, limits)
    batch_size = min(settings.batch_size, BATCH_SIZE)
    least = max(description.front_end.n_fft, limits.at_least)
    return TaggerPredictor(description, scorer, least, batch_size)


@dataclass(frozen=True)
class TaggerProgram:
    """A tagger's whole program; see ``ChunkScorer``."""

    session: Any
    """An ``onnxruntime.InferenceSession``."""
    chunks: Chunks
    sample_rate_hz: int
    limits: Limits

    def chunk_scores(self, clips: Sequence[Array], batch_size: int = BATCH_SIZE) -> list[Array]:
        """See ``ChunkScorer``."""
        return scored_pieces(
            clips, self.chunks, self.sample_rate_hz, batch_size, alike=True, score=self._scores
        )

    def _scores(self, pieces: Sequence[Array]) -> Array:
        waveforms = np.stack([self._fitted(piece) for piece in pieces])
        scores: Array = self.session.run(["scores"], {"waveform": waveforms})[0]
        return scores

    def _fitted(self, piece: Array) -> Array:
        """A piece (sample,) as the program takes it."""
        least, most = self.limits.at_least, self.limits.at_most
        return (np.resize(piece, least) if piece.size < least else piece)[:most]


@dataclass(frozen=True)
class ProgramWindows:
    """A detector's program, given a window at a time: the windows need not lie as in its export."""

    session: Any
    """An ``onnxruntime.InferenceSession``."""

    def __call__(self, clips: Sequence[Samples], window: int, hop: int) -> list[Array]:
        """See ``WindowScorer``."""
        pieces = [
            (owner, samples[start : start + window])
            for owner, clip in enumerate(clips)
            for samples, starts in joined(iter([clip]), window, hop)
            for start in starts.tolist()
        ]
        found: list[list[Array]] = [[] for _ in clips]
        for first in range(0, len(pieces), WINDOWS):
            batch = pieces[first : first + WINDOWS]
            waveforms = np.stack([_filled(piece, window) for _, piece in batch])
            scores = self.session.run(["scores"], {"waveform": waveforms})[0]
            for (owner, _), row in zip(batch, scores, strict=True):
                found[owner].append(row[1:])
        return [np.stack(own) for own in found]


def _filled(piece: Array, window: int) -> Array:
    """A window (sample,); what it lacks is silence."""
    return np.pad(piece, (0, window - piece.size)) if piece.size < window else piece
