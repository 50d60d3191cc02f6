"""From a ``model/`` folder to what predicts with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.detector import FORMAT as DETECTOR
from soundgate.audio.formats.models.tagger import FORMAT as TAGGER
from soundgate.audio.formats.record import read_object
from soundgate.audio.prediction.predictors import classifier, detector, tagger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soundgate.audio.prediction.predictors.base import Predictor
    from soundgate.audio.prediction.settings import Settings


def open_predictor(model: Path, settings: Settings) -> Predictor:
    """The predictor for the format of the folder's ``model.json``.

    Raises:
        DataError: the model is damaged, of an unknown format, or lacks the program asked for.
        MissingExtra: a library that it needs is not installed.
    """
    kind = read_object(model / DESCRIPTION, remedy="train the model again").get("format")
    openers: dict[object, Callable[[Path, Settings], Predictor]] = {
        TAGGER: tagger.open_tagger,
        DETECTOR: detector.open_detector,
    }
    return openers.get(kind, classifier.open_classifier)(model, settings)
