"""A detector as the training loop sees it: windows in, one class each out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.detection.training.augmentation import Augmenter
from soundgate.audio.detection.training.plan import ACCURACY, LOSS
from soundgate.audio.detection.training.windows import Cutter, Sampler, gathered
from soundgate.audio.learning.system import Loss, Mean
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.audio.detection.training.plan import Plan
    from soundgate.audio.detection.training.windows import Pieces
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.system import Step
    from soundgate.audio.networks.detector import Detector


class OnImages(nn.Module):
    """The parts of a detector that learn, behind its front end."""

    def __init__(self, detector: Detector) -> None:
        """Share the detector's parts, under the names they have there."""
        super().__init__()
        self.encoder, self.classifier = detector.encoder, detector.classifier
        self._apply_to = detector.from_images  # a method, not a part: it is in no state

    def forward(self, images: Tensor) -> Tensor:
        """Logits float32 (window, class)."""
        return self._apply_to(images)


class Detection:
    """A network that says which class a window is, by softmax and cross entropy."""

    average = None

    def __init__(self, plan: Plan, detector: Detector, group: Group) -> None:
        """Settle the batches.

        Args:
            plan: clips and config.
            detector: on the device of ``group``.
            group: the processes that train together.

        Raises:
            ConfigError: the processes cannot share a batch.
        """
        training = plan.config.training
        if training.batch_size % group.world:
            raise ConfigError(
                f"training.batch_size {training.batch_size} cannot be shared among "
                f"{group.world} processes; make it a multiple"
            )
        self._plan, self._detector, self._group = plan, detector, group
        self.merit = plan.merit
        self._network = OnImages(detector)
        fill = training.fill == "noise"
        self._cutter = Cutter(plan.clips, plan.training, plan.window, fill=fill)
        self._held_out = Cutter(plan.clips, plan.validation, plan.window, fill=fill)
        self._sampler = Sampler(
            numbers=np.array([clip.number for clip in plan.training], np.int64),
            batch_size=training.batch_size,
            seed=plan.seed,
            balanced=training.balanced,
            rank=group.rank,
            world=group.world,
        )
        self._augmenter = Augmenter(plan.config.augmentation, detector.front_end, plan.window)

    @property
    def network(self) -> nn.Module:
        """Takes images, returns logits."""
        return self._network

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        return self._sampler.batches

    @property
    def fingerprint(self) -> str:
        """Changes with data, config and what the network starts from."""
        return self._plan.fingerprint(self._group.world)

    def start(self) -> None:
        """Nothing to do before the first epoch."""

    def epoch(self, number: int) -> Iterator[Pieces]:
        """The batches of an epoch."""
        plan = self._plan
        return gathered(self._cutter, self._sampler, number, ranges=plan.ranges, noisy=plan.noisy)

    def loss(self, batch: Pieces, step: Step) -> Loss:
        """The loss of augmented windows."""
        device = self._group.device
        targets = batch.targets.to(device, non_blocking=True)
        with torch.no_grad():
            images = self._augmenter(batch, device)
        logits = step.forward(images).float()
        right = (logits.detach().argmax(1) == targets).sum()
        return Loss(
            functional.cross_entropy(logits, targets),
            rows=len(targets),
            parts={"accuracy": Mean(right, len(targets))},
        )

    def validate(self) -> dict[str, float]:
        """Figures on the middles of the validation clips; empty where there are none.

        Classes count alike, however many clips each has.
        """
        rows = self._plan.validation
        if not rows:
            return {}
        mine = range(self._group.rank, len(rows), self._group.world)
        shares = self._group.collect(self._scored(list(mine)))
        logits = np.empty((len(rows), len(self._plan.classes)), np.float64)
        for rank, share in enumerate(shares):
            logits[rank :: self._group.world] = share
        return figures(logits, np.array([row.number for row in rows]))

    def weights(self) -> dict[str, Tensor]:
        """The detector's."""
        return self._detector.state_dict()

    def state(self) -> dict[str, Any]:
        """Nothing: what an epoch draws depends on its number."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to do."""

    def _scored(self, numbers: list[int]) -> np.ndarray[Any, Any]:
        """Logits float32 (clip, class) of the validation clips with these numbers."""
        detector, size = self._detector.eval(), self._plan.config.general.batch_size
        found = [np.empty((0, len(self._plan.classes)), np.float32)]
        for first in range(0, len(numbers), size):
            pieces = [
                self._held_out.middle(self._held_out.rows[k]) for k in numbers[first : first + size]
            ]
            with torch.inference_mode():
                waves = torch.from_numpy(np.stack(pieces)).to(self._group.device)
                found.append(detector(waves).float().cpu().numpy())
        return np.concatenate(found)


def figures(logits: np.ndarray[Any, Any], numbers: np.ndarray[Any, Any]) -> dict[str, float]:
    """Accuracy and cross entropy, means over classes of the means over their clips.

    Args:
        logits: float64 (clip, class).
        numbers: int64 (clip,), the true classes.
    """
    highest = logits.max(1)
    spread = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
    losses = spread - logits[np.arange(len(logits)), numbers]
    right = logits.argmax(1) == numbers
    present = np.unique(numbers)
    return {
        LOSS.figure: float(np.mean([losses[numbers == k].mean() for k in present])),
        ACCURACY.figure: float(np.mean([right[numbers == k].mean() for k in present])),
    }
