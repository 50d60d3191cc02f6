"""The whole user config, and the sections that are a few lines each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, PrivateAttr, model_validator

from soundgate.audio.config.sections.data import Dataset
from soundgate.audio.config.sections.dataset_specific import DatasetSpecific
from soundgate.audio.config.sections.general import Evaluation, General, Quantization
from soundgate.audio.config.sections.inspection import Inspection
from soundgate.audio.config.sections.learning import (
    RECOMMENDED_AUGMENTATION,
    DataAugmentation,
    Training,
)
from soundgate.audio.config.sections.section import Section
from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing

if TYPE_CHECKING:
    from pathlib import Path


class Prediction(Section):
    """What is predicted."""

    test_files_path: str | None = None
    """Folder of clips without labels."""


class Deployment(Section):
    """What the deployed model does."""

    unknown_class_threshold: float = Field(default=0.0, ge=0, le=1)
    """A clip whose best score is below it is of an unknown class; 0: never."""


class UserConfig(Section):
    """Every value of an audio event detection pipeline; each section may be missing."""

    general: General = General()
    """What concerns every step."""
    dataset: Dataset = Dataset()
    """Which clips, which classes, and how they are divided."""
    dataset_specific: DatasetSpecific = DatasetSpecific()
    """Values that only one data set needs."""
    inspection: Inspection = Inspection()
    """What a data set may hold before it is trained on."""
    preprocessing: Preprocessing = Preprocessing()
    """From a file to a waveform."""
    feature_extraction: FeatureExtraction = FeatureExtraction()
    """From a waveform to log-mel patches."""
    data_augmentation: DataAugmentation = RECOMMENDED_AUGMENTATION
    """What is done to training patches."""
    training: Training = Training()
    """How the network is fitted."""
    quantization: Quantization = Quantization()
    """The int8 model."""
    evaluation: Evaluation = Evaluation()
    """How a model is judged."""
    prediction: Prediction = Prediction()
    """What is predicted."""
    deployment: Deployment = Deployment()
    """What the deployed model does."""

    _passed_over: tuple[str, ...] = PrivateAttr(default=())

    def starting_from(self, model: Path) -> Self:
        """Return the config with ``model``, a ``model/`` folder, as its pretrained weights."""
        network = self.training.model.model_copy(update={"pretrained_weights": str(model)})
        training = self.training.model_copy(update={"model": network})
        return self.model_copy(update={"training": training})

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Dotted keys of the file that mean something to the STM32 model zoo but nothing here."""
        return self._passed_over

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_depend(cls, data: Any) -> Any:
        training = data.get("training") if isinstance(data, dict) else None
        if isinstance(training, dict) and training.get("fine_tune") is True:
            return {"data_augmentation": {}} | data
        return data

    @model_validator(mode="after")
    def _check(self) -> Self:
        nyquist_hz = self.preprocessing.target_rate / 2
        fmax_hz = self.feature_extraction.fmax
        if fmax_hz is not None and fmax_hz > nyquist_hz:
            raise ValueError(
                f"feature_extraction.fmax {fmax_hz:g} Hz exceeds half of "
                f"preprocessing.target_rate, {nyquist_hz:g} Hz"
            )
        if self.dataset.use_garbage_class and self.deployment.unknown_class_threshold:
            raise ValueError(
                "dataset.use_garbage_class and deployment.unknown_class_threshold cannot be "
                "combined; set the threshold to 0"
            )
        return self
