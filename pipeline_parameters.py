"""Every parameter of every pipeline, by name: gathered from ``pipelines/parameters/``.

``run-pipeline --set name=value`` overrides one; the ``pipeline:`` section of a user config holds
several; ``show-parameters`` lists them. What belongs to sound (classes, features, augmentation,
training) stands in the user config itself, and is overridden by its dotted key:
``--set training.epochs=40``.
"""

from __future__ import annotations

from pipelines.parameters.aed import (
    AED_FOLDER_NAME,
    CLIP_ACCURACY,
    CLIP_ACCURACY_GAIN,
    CLIP_ACCURACY_GAIN_LOW,
    CLIP_ACCURACY_LOW,
    PATCH_ACCURACY,
    PATCH_ACCURACY_LOW,
    QUANTIZED_CLIP_ACCURACY,
    QUANTIZED_PATCH_ACCURACY,
    TRAINING_METRICS,
    AedParameters,
    get_pipeline_parameters,
)
from pipelines.parameters.data import UNNAMED_DATASET
from pipelines.parameters.predict import PredictParameters
from pipelines.parameters.sec import SecParameters
from pipelines.parameters.spot import SpotParameters
from pipelines.parameters.tagging import TaggingParameters

__all__ = [
    "AED_FOLDER_NAME",
    "CLIP_ACCURACY",
    "CLIP_ACCURACY_GAIN",
    "CLIP_ACCURACY_GAIN_LOW",
    "CLIP_ACCURACY_LOW",
    "PATCH_ACCURACY",
    "PATCH_ACCURACY_LOW",
    "QUANTIZED_CLIP_ACCURACY",
    "QUANTIZED_PATCH_ACCURACY",
    "TRAINING_METRICS",
    "UNNAMED_DATASET",
    "AedParameters",
    "PredictParameters",
    "SecParameters",
    "SpotParameters",
    "TaggingParameters",
    "get_pipeline_parameters",
]
