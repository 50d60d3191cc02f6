"""From a ``model/`` folder to what predicts with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.detector import FORMAT as DETECTOR
from soundgate.audio.formats.models.embedding_classifier import FORMAT as EMBEDDING_CLASSIFIER
from soundgate.audio.formats.models.tagger import FORMAT as TAGGER
from soundgate.audio.formats.record import read_object
from soundgate.audio.prediction.predictors import classifier, detector, tagger
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Settings


def open_predictor(model: Path, settings: Settings, encoder: Path | None = None) -> Predictor:
    """The predictor for the format of the folder's ``model.json``.

    Args:
        model: the folder.
        settings: how to predict.
        encoder: weights of the encoder that a classifier of embeddings listens through.

    Raises:
        DataError: the model is damaged, of an unknown format, or lacks the program asked for.
        ParameterError: an encoder is missing, or given for a model that has none.
        MissingExtra: a library that it needs is not installed.
    """
    kind = read_object(model / DESCRIPTION, remedy="train the model again").get("format")
    if kind == EMBEDDING_CLASSIFIER:
        from soundgate.audio.prediction.predictors import embedding_classifier

        return embedding_classifier.open_embedding_classifier(model, settings, encoder)
    if encoder is not None:
        raise ParameterError(f"encoder: {model} listens through none; omit it")
    openers: dict[object, Callable[[Path, Settings], Predictor]] = {
        TAGGER: tagger.open_tagger,
        DETECTOR: detector.open_detector,
    }
    return openers.get(kind, classifier.open_classifier)(model, settings)
