"""Patch classification as the training loop sees it: patches in, class scores out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from soundgate.audio.classification import augmentation, recipe, validation
from soundgate.audio.classification.batches import FrameBank, Sampler, gathered
from soundgate.audio.classification.transfer import linear_probe, probe_training
from soundgate.audio.learning.system import Loss, Mean
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor, nn

    from soundgate.audio.classification.plan import Plan
    from soundgate.audio.classification.transfer.pretrained import Initialisation
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.recipe import Monitor
    from soundgate.audio.learning.system import Step

    Patches = tuple[npt.NDArray[Any], Tensor]
    """Numbers of the clips int64 ``(batch,)``, and patches float32 ``(batch, mel, frame)``."""


class PatchClassification:
    """A network that classifies log-mel patches cut at random places of the training clips."""

    average = None

    def __init__(
        self, plan: Plan, initial: Initialisation, group: Group, stop: Callable[[], bool]
    ) -> None:
        """Settle the batches.

        Raises:
            ConfigError: the processes of ``group`` cannot share a batch.
        """
        training = plan.config.training
        if training.batch_size % group.world:
            raise ConfigError(
                f"training.batch_size {training.batch_size} cannot be shared among "
                f"{group.world} processes; make it a multiple"
            )
        self._plan, self._initial, self._group, self._stop = plan, initial, group, stop
        self._sampler = Sampler(
            plan.clips,
            plan.features.info.feature_extraction.patch_length,
            training.batch_size,
            training.crops_per_clip,
            plan.seed,
            group.rank,
            group.world,
        )
        self._bank = FrameBank(plan.features.frames, group.device)
        self._targets = torch.as_tensor(plan.targets, dtype=torch.float32, device=group.device)

    @property
    def network(self) -> nn.Module:
        """Takes standardised patches float32 ``(batch, 1, mel, frame)``, returns logits."""
        return self._initial.classifier.network

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        return self._sampler.batches

    @property
    def merit(self) -> tuple[Monitor, ...]:
        """Which epoch is kept."""
        return recipe.merit(self._plan.config.training, validated=bool(self._plan.validation))

    @property
    def fingerprint(self) -> str:
        """Changes with data, split, config and what the network starts from."""
        return self._plan.fingerprint(self._initial.classifier.standardisation, self._group.world)

    def start(self) -> None:
        """Fit the head of a pretrained network, unless the classes are the pretrained ones.

        A fresh head would send arbitrary gradients through layers that have learnt already.
        """
        origin = self._initial.start
        if origin.origin and not origin.head:
            head = probe_training.fitted_head(self._plan, self._initial, self._group, self._stop)
            linear_probe.install(self.network, head)

    def epoch(self, number: int) -> Iterator[Patches]:
        """The batches of an epoch."""
        return gathered(self._bank, self._sampler.epoch(number))

    def loss(self, batch: Patches, step: Step) -> Loss:
        """Cross-entropy of augmented patches; multi-label, binary cross-entropy."""
        chosen, patches = batch
        targets = self._targets[torch.as_tensor(chosen, device=self._group.device)]
        patches, targets = self._augmented(patches, targets, step.random)
        logits = step.forward(patches.unsqueeze(1))
        loss = self._cross_entropy(logits.float(), targets)
        right = self._right(logits.detach(), targets)
        return Loss(loss, len(chosen), {"training_accuracy": Mean(right, len(chosen))})

    def validate(self) -> dict[str, float]:
        """Loss and accuracies on the validation clips; empty where there are none."""
        if not self._plan.validation:
            return {}
        return validation.figures(
            self._initial.classifier,
            self._plan.features,
            self._plan.validation,
            self._group,
            self._plan.config.general.batch_size,
        )

    def weights(self) -> dict[str, Tensor]:
        """The network's."""
        return self.network.state_dict()

    def state(self) -> dict[str, Any]:
        """Nothing: what an epoch draws depends on its number."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to do."""

    def _augmented(
        self, patches: Tensor, targets: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Augmented and standardised as the network takes them, ``(batch, mel, frame)``."""
        config = self._plan.config.data_augmentation
        measured, fed = self._initial.measured, self._initial.classifier.standardisation
        patches = augmentation.on_features(patches, config, random)
        # What augmentation does is in units of the data, whatever the network is fed.
        patches = measured.apply(patches)
        patches, targets = augmentation.on_standardised(patches, targets, config, random)
        if fed is not measured:
            patches = fed.apply(measured.undo(patches))
        return patches, targets

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing = self._plan.config.training.label_smoothing
        if self._initial.classifier.multi_label:
            smoothed = targets * (1.0 - smoothing) + smoothing / 2
            return functional.binary_cross_entropy_with_logits(logits, smoothed)
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing)

    def _right(self, logits: Tensor, targets: Tensor) -> Tensor:
        """How many patches are classified right; of a blend, as the larger share is labelled."""
        if self._initial.classifier.multi_label:
            return ((logits > 0) == (targets >= 0.5)).all(1).sum()
        return (logits.argmax(1) == targets.argmax(1)).sum()
