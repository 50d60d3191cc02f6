"""User configs: YAML in the vocabulary of the STM32 model zoo, typed, checked, never evaluated.

``load`` reads a file, ``parse`` a text; ``UserConfig`` documents every value.
"""

from __future__ import annotations

from soundgate.audio.config.data import Dataset, DatasetSpecific, Fsd50k, Synthetic
from soundgate.audio.config.learning import (
    Callbacks,
    DataAugmentation,
    EarlyStopping,
    Gain,
    GaussianNoise,
    Mixup,
    Model,
    Optimizer,
    ReduceLROnPlateau,
    SpecAug,
    Training,
    VolumeAugment,
)
from soundgate.audio.config.reading import check, load, parse
from soundgate.audio.config.sound import FeatureExtraction, Preprocessing
from soundgate.audio.config.user import (
    Deployment,
    Evaluation,
    General,
    Prediction,
    Quantization,
    UserConfig,
)

__all__ = [
    "Callbacks",
    "DataAugmentation",
    "Dataset",
    "DatasetSpecific",
    "Deployment",
    "EarlyStopping",
    "Evaluation",
    "FeatureExtraction",
    "Fsd50k",
    "Gain",
    "GaussianNoise",
    "General",
    "Mixup",
    "Model",
    "Optimizer",
    "Prediction",
    "Preprocessing",
    "Quantization",
    "ReduceLROnPlateau",
    "SpecAug",
    "Synthetic",
    "Training",
    "UserConfig",
    "VolumeAugment",
    "check",
    "load",
    "parse",
]
