"""What a training does, settled before its first step."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from soundgate.audio.classification.batches import Clips
from soundgate.audio.classification.transfer import pretrained
from soundgate.audio.clips import splits
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.features import CLIPS, INFO
from soundgate.audio.formats.model import Description
from soundgate.audio.networks import models
from soundgate.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from soundgate.audio.config import FeatureExtraction, UserConfig
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.signal.standardisation import Standardisation


_TEXTS = (INFO, CLIPS)


class Outcome(NamedTuple):
    """What a training leaves behind."""

    description: Description
    weights: dict[str, Tensor]
    figures: Mapping[str, float]
    """Of the epoch, or the round, that the weights are of."""


class Plan:
    """Clips and the side each is on, targets, architecture, number of epochs."""

    def __init__(
        self, features: FeatureSet, config: UserConfig, test_fold: int | None, epochs: int | None
    ) -> None:
        """Divide the clips.

        Args:
            features: an open ``features/`` folder.
            config: sections ``training``, ``dataset`` and ``general`` are used.
            test_fold: None takes ``config.dataset.test_fold``.
            epochs: None takes ``config.training.epochs``.

        Raises:
            DataError: the clips cannot be divided, or a label is no class.
            ParameterError: ``epochs`` is below 1.
            ConfigError: there is no such model, or patches are too small for any.
        """
        self.features, self.config = features, config
        self.seed = config.general.global_seed
        self.epochs = config.training.epochs if epochs is None else epochs
        if self.epochs < 1:
            raise ParameterError(f"epochs must be at least 1, got {self.epochs}")
        fold = config.dataset.test_fold if test_fold is None else test_fold
        sides = splits.assign(
            features.rows,
            test_fold=fold,
            validation_split=config.dataset.validation_split,
            seed=config.dataset.seed,
        )
        self.split = list(zip(features.rows, sides, strict=True))
        self.rows = [row for row, side in self.split if side == splits.TRAINING]
        self.validation = [row for row, side in self.split if side == splits.VALIDATION]
        self.clips = Clips.of(self.rows)
        self.targets = features.targets(self.rows)
        self.origin: dict[str, Any] = {"seed": self.seed, "test_fold": fold}
        self.architecture = config.training.model.name
        spec = features.info.feature_extraction
        self.size = models.size_of(self.architecture, _options(config, spec))
        if spec.patch_length < models.MIN_FRAMES or spec.n_mels < models.MIN_MELS:
            raise ConfigError(
                f"feature_extraction: patches of {spec.n_mels} bands and {spec.patch_length} "
                f"frames; n_mels needs {models.MIN_MELS}, patch_length {models.MIN_FRAMES}"
            )

    def fingerprint(self, norm: Standardisation, world: int) -> str:
        """Changes with anything that a resumed training must share with its first attempt."""
        facts = {
            "training": self.config.training.model_dump(mode="json"),
            "augmentation": self.config.data_augmentation.model_dump(mode="json"),
            "seed": self.seed,
            "epochs": self.epochs,
            "split": [side for _, side in self.split],
            "features": [sha256_of(self.features.folder / name) for name in _TEXTS],
            "normalization": [part.tolist() for part in norm],
            "pretrained": pretrained.digest(self.config.training.model.pretrained_weights),
            "world": world,
            "torch": torch.__version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def frozen(self) -> bool:
        """Whether the classifier's last layer alone learns."""
        training = self.config.training
        return bool(training.model.pretrained_weights) and not training.fine_tune

    def description(self, norm: Standardisation, training: dict[str, Any]) -> Description:
        """``model.json`` of the trained model; ``training`` says how it came about."""
        info = self.features.info
        return Description(
            architecture=self.architecture,
            size=self.size,
            classes=info.classes,
            multi_label=info.multi_label,
            preprocessing=info.preprocessing,
            feature_extraction=info.feature_extraction,
            standardisation=norm,
            training=training,
        )


def _options(config: UserConfig, spec: FeatureExtraction) -> dict[str, Any]:
    """Everything of the config that may say how large a network is."""
    options = config.training.model.model_dump() | {"dropout": config.training.dropout}
    if config.training.model.pooling == "flatten":
        options |= {"n_mels": spec.n_mels, "patch_frames": spec.patch_length}
    return options
