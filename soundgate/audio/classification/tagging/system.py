"""Tagging as the training loop sees it: pieces of sound in, a score for every label out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from soundgate.audio.classification.tagging import validation
from soundgate.audio.classification.tagging.batches import (
    Sampler,
    WholeSet,
    balancing_weights,
    gathered,
)
from soundgate.audio.classification.tagging.inference import TagScorer
from soundgate.audio.learning.objectives.multilabel import (
    MultiLabelLoss,
    Objective,
    positive_weights,
)
from soundgate.audio.learning.system import Loss
from soundgate.audio.signal.augmentation.chain import WaveformAugmenter, augment_images
from soundgate.audio.signal.augmentation.draws import Draws
from soundgate.audio.signal.augmentation.mixing import Clips
from soundgate.audio.signal.augmentation.settings import MIXING
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soundgate.audio.classification.tagging.batches import Pieces
    from soundgate.audio.classification.tagging.plan import Plan
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.recipe import Monitor
    from soundgate.audio.learning.system import Step
    from soundgate.audio.networks.tagger import Tagger


_IMAGES = 4
"""Axes of images: clip, channel, band, frame."""


class OnImages(nn.Module):
    """The parts of a tagger that learn, behind its front end, which images are augmented after."""

    def __init__(self, tagger: Tagger) -> None:
        """Share the tagger's parts, under the names they have there."""
        super().__init__()
        self.backbone, self.head = tagger.backbone, tagger.head
        self._apply_to = tagger.from_images  # a method, not a part: it is in no state

    def forward(self, images: Tensor, frames: Tensor | None = None) -> Tensor:
        """Logits float32 (clip, label), see ``Tagger.from_images``."""
        return self._apply_to(images, frames)


class Tagging:
    """A network that says which labels are heard, on pieces cut at random places."""

    average = None

    def __init__(
        self,
        plan: Plan,
        tagger: Tagger,
        stage: str,
        merit: Sequence[Monitor],
        group: Group,
    ) -> None:
        """Settle the batches.

        Args:
            plan: clips and config.
            tagger: on the device of ``group``.
            stage: its name, part of the fingerprint.
            merit: which epoch is kept.
            group: the processes that train together.

        Raises:
            ConfigError: the processes cannot share a batch, or the loss lacks something.
        """
        training = plan.config.training
        if training.batch_size % group.world:
            raise ConfigError(
                f"training.batch_size {training.batch_size} cannot be shared among "
                f"{group.world} processes; make it a multiple"
            )
        self._plan, self._tagger, self._stage, self._group = plan, tagger, stage, group
        self.merit = tuple(merit)
        self._network = OnImages(tagger)
        self._sampler = _sampler(plan, group)
        self._targets = torch.as_tensor(plan.targets, device=group.device)
        self._mask = torch.as_tensor(plan.mask, device=group.device)
        self._loss = _loss(plan).to(group.device)
        self._spec = plan.augmentation
        self._partners = WholeSet(plan, self._targets, self._mask)
        self._augmenter = WaveformAugmenter(self._spec, plan.clips.sample_rate_hz, self._partners)

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
        """Changes with data, config, stage and what the network starts from."""
        return self._plan.fingerprint(self._stage, self._group.world)

    def start(self) -> None:
        """Nothing to do before the first epoch."""

    def epoch(self, number: int) -> Iterator[Pieces]:
        """The batches of an epoch."""
        return gathered(
            self._plan,
            self._sampler,
            number,
            # a mix has sound up to its end
            masked=self._tagger.takes_lengths and not self._spec.uses(*MIXING),
            least=self._tagger.front_end.least_samples,
        )

    def loss(self, batch: Pieces, step: Step) -> Loss:
        """The loss of augmented pieces."""
        device = self._group.device
        chosen = torch.as_tensor(batch.chosen, device=device)
        clips = Clips(
            batch.waveforms.to(device, non_blocking=True), self._targets[chosen], self._mask[chosen]
        )
        samples = None if batch.samples is None else batch.samples.to(device)
        draws = Draws.of(
            batch.chosen.tolist(), seed=self._plan.seed, epoch=step.epoch, device=device
        )
        self._partners.length = clips.waveforms.shape[1]
        with torch.no_grad():
            clips = self._augmenter(clips, draws)
            images = self._tagger.front_end(clips.waveforms, samples)
            if images.ndim == _IMAGES:  # WAV2VEC takes waveforms
                images = augment_images(images, self._spec, draws)
            frames = None if samples is None else self._tagger.front_end.frames(samples)
        logits = step.forward(images, frames)
        return Loss(self._loss(logits, clips.targets, clips.mask), len(batch.chosen))

    def validate(self) -> dict[str, float]:
        """Figures on the validation clips; empty where there are none."""
        plan = self._plan
        if not plan.validation:
            return {}
        scorer = scorer_of(plan, self._tagger, self._group)
        batch = plan.config.general.batch_size
        return validation.figures(
            validation.score(scorer, plan.clips, plan.validation, batch, self._group)
        )

    def weights(self) -> dict[str, Tensor]:
        """The network's."""
        return self.network.state_dict()

    def state(self) -> dict[str, Any]:
        """Nothing: what an epoch draws depends on its number."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


def scorer_of(plan: Plan, tagger: Tagger, group: Group) -> TagScorer:
    """The network as it is now, for scoring."""
    return TagScorer(tagger, plan.chunks, plan.clips.sample_rate_hz, group.device)


def _sampler(plan: Plan, group: Group) -> Sampler:
    training = plan.config.training
    weighted = training.use_weighted_train_sampler
    return Sampler(
        lengths=np.array([row.samples for row in plan.rows], np.int64),
        chunk=plan.chunk_samples,
        batch_size=training.batch_size,
        seed=plan.seed,
        weights=balancing_weights(plan.targets) if weighted else None,
        rank=group.rank,
        world=group.world,
    )


def _loss(plan: Plan) -> MultiLabelLoss:
    training = plan.config.training
    return MultiLabelLoss(
        Objective(name=training.loss_function.upper(), **training.loss_function_kwargs),
        weights=positive_weights(plan.targets, plan.mask).weights,
        families=plan.families,
    )
