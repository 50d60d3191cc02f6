"""What the training of a tagger does, settled before its first step."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

from soundgate.audio.clips.families import members
from soundgate.audio.clips.splits import TRAINING, VALIDATION
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats import waveforms as waveform_files
from soundgate.audio.formats.models.tagger import Chunks
from soundgate.audio.signal.augmentation.settings import Augmentation, parse
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.config.tagging import TaggingConfig

_TEXTS = (waveform_files.INFO, waveform_files.CLIPS)


class Plan:
    """Clips of each side, targets, families, number of epochs."""

    pretrained = ""
    """Digest of the weights that the network starts from; empty: fresh ones."""

    def __init__(self, folder: Path, config: TaggingConfig, epochs: int | None) -> None:
        """Look at the clips.

        Args:
            folder: a ``waveforms/`` folder.
            config: the user config.
            epochs: None takes ``config.training.epochs``.

        Raises:
            DataError: there is nothing to train on.
            ParameterError: ``epochs`` leaves the second stage none.
            ConfigError: a family names a label that the data does not have.
        """
        clips = waveform_files.read_waveforms(folder)
        self.clips, self.config = clips, config
        self._listed = [sha256_of(folder / name) for name in _TEXTS]
        training = config.training
        self.seed = config.general.global_seed
        self.epochs = training.epochs if epochs is None else epochs
        self.rows = clips.of(TRAINING)
        self.validation = () if training.skip_validation else clips.of(VALIDATION)
        if not self.rows:
            raise DataError(f"no training clips among {len(clips.rows)}; check the splits")
        self.head_epochs = training.finetune_head_epochs if training.finetune_head else 0
        if self.epochs <= self.head_epochs:
            raise ParameterError(
                f"epochs: {self.epochs} leave none after training.finetune_head_epochs "
                f"{self.head_epochs}; raise epochs, or set training.finetune_head to false"
            )
        self.targets, self.mask = clips.targets(self.rows), clips.mask(self.rows)
        families = training.label_families
        self.families = members(clips.labels, families)

    @property
    def augmentation(self) -> Augmentation:
        """What is done to training clips.

        Raises:
            ConfigError: a name, a key or a value is wrong.
        """
        section = self.config.augmentation
        return parse([name.upper() for name in section.names], section.words())

    @property
    def chunks(self) -> Chunks:
        """How clips are cut to be scored: side by side, as long as what is learnt from."""
        length_s = self.config.training.chunk_s or None
        return Chunks(length_s=length_s, hop_s=length_s)

    @property
    def chunk_samples(self) -> int | None:
        """Samples of a piece that is learnt from; None: whole clips."""
        return round(self.config.training.chunk_s * self.clips.sample_rate_hz) or None

    def named_families(self) -> dict[str, tuple[str, ...]]:
        """The labels of each family."""
        labels = self.clips.labels
        return {name: tuple(labels[k] for k in own) for name, own in self.families.items()}

    def fingerprint(self, stage: str, world: int) -> str:
        """Changes with anything that a resumed training must share with its first attempt."""
        facts = {
            "config": self.config.model_dump(mode="json", exclude={"evaluation", "quantization"}),
            "epochs": self.epochs,
            "clips": self._listed,
            "pretrained": self.pretrained,
            "stage": stage,
            "world": world,
            "torch": torch.__version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
