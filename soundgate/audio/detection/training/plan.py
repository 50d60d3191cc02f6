"""What the training of a detector does, settled before its first step."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

from soundgate.audio.detection.training.clips import TRAIN, VAL, ClipSet
from soundgate.audio.detection.training.windows import Ranges
from soundgate.audio.learning.recipe import (
    EarlyStopping,
    Monitor,
    Optimiser,
    Plateau,
    Recipe,
    Schedule,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.config.spot import SpotConfig

ACCURACY = Monitor("validation_accuracy", rises=True)
LOSS = Monitor("validation_loss", rises=False)


class Plan:
    """Clips of each side, window, number of epochs."""

    pretrained = ""
    """Digest of the weights that the network starts from; empty: fresh ones."""

    def __init__(self, folder: Path, config: SpotConfig, epochs: int | None, workers: int) -> None:
        """Read the clips.

        Args:
            folder: of the data set.
            config: the user config.
            epochs: None takes ``config.training.epochs``.
            workers: threads that decode.

        Raises:
            DataError: the data set is damaged or lacks a class.
        """
        audio = config.audio
        self.config = config
        self.clips = ClipSet(
            folder, audio.sample_rate_hz, downsample=audio.downsample, workers=workers
        )
        self.seed = config.general.global_seed
        self.epochs = config.training.epochs if epochs is None else epochs
        self.window = round(audio.window_s * audio.sample_rate_hz)
        self.training, self.validation = self.clips.of(TRAIN), self.clips.of(VAL)

    @property
    def classes(self) -> tuple[str, ...]:
        """Noise, then what is called."""
        return self.clips.classes

    @property
    def ranges(self) -> Ranges:
        """How far training windows are stretched."""
        augmentation = self.config.augmentation
        if not augmentation.enabled or augmentation.stretch is None:
            return Ranges()
        return Ranges(*augmentation.stretch)

    @property
    def noisy(self) -> bool:
        """Whether noise is added to training windows."""
        return self.config.augmentation.enabled and self.config.augmentation.snr_db is not None

    @property
    def merit(self) -> tuple[Monitor, ...]:
        """Which epoch is kept; without validation the last."""
        return (ACCURACY, LOSS) if self.validation else ()

    def recipe(self) -> Recipe:
        """The loop's numbers."""
        training = self.config.training
        watched = bool(self.validation)
        by_plateau = training.schedule == "plateau"
        return Recipe(
            epochs=self.epochs,
            seed=self.seed,
            optimiser=Optimiser(
                name="adam" if training.weight_decay == 0 else "adamw",
                learning_rate=training.learning_rate,
                weight_decay=training.weight_decay,
                betas=(training.beta1, 0.999),
            ),
            schedule=Schedule(name="constant" if by_plateau else training.schedule),
            plateau=Plateau(
                monitor=ACCURACY,
                factor=training.lr_decay_factor,
                patience=training.lr_patience_epochs,
            )
            if by_plateau and watched
            else None,
            early_stopping=EarlyStopping(
                monitor=ACCURACY, patience=training.early_stopping_patience_epochs
            )
            if watched
            else None,
            precision=training.precision,
            frozen=self.config.model.frozen,
        )

    def check_classes(self, wanted: int | None) -> None:
        """Refuse data of another number of classes than a file of settings names.

        Raises:
            DataError: they differ.
        """
        if wanted is not None and wanted != len(self.classes):
            raise DataError(
                f"{self.clips.folder}: has {len(self.classes)} classes ({', '.join(self.classes)}),"
                f" but num_classes is {wanted}; correct num_classes"
            )

    def fingerprint(self, world: int) -> str:
        """Changes with anything that a resumed training must share with its first attempt."""
        facts = {
            "config": self.config.model_dump(mode="json", exclude={"evaluation"}),
            "epochs": self.epochs,
            "clips": self.clips.fingerprint(),
            "pretrained": self.pretrained,
            "world": world,
            "torch": torch.__version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
