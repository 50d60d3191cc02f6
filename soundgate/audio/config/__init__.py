"""User configs: YAML in the vocabulary of the STM32 model zoo, typed, checked, never evaluated.

``load`` reads a file, ``parse`` a text; ``UserConfig`` documents every value.
"""

from __future__ import annotations

from soundgate.audio.config.aed import (
    Deployment,
    Prediction,
    UserConfig,
)
from soundgate.audio.config.reading import check, check_training, load, parse
from soundgate.audio.config.sec import check_sec
from soundgate.audio.config.sections.data import Dataset
from soundgate.audio.config.sections.dataset_specific import DatasetSpecific
from soundgate.audio.config.sections.general import Evaluation, General, Quantization
from soundgate.audio.config.sections.learning import (
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
from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.config.spot import check_spot
from soundgate.audio.config.tagging import check_tagging

__all__ = [
    "Callbacks",
    "DataAugmentation",
    "Dataset",
    "DatasetSpecific",
    "Deployment",
    "EarlyStopping",
    "Evaluation",
    "FeatureExtraction",
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
    "Training",
    "UserConfig",
    "VolumeAugment",
    "check",
    "check_sec",
    "check_spot",
    "check_tagging",
    "check_training",
    "load",
    "parse",
]
