"""A running mean of a network's weights: the teacher of mean-teacher training, or what is kept."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of the weights (Tarvainen and Valpola, 2017).

    After step k, from 0, with d = min(decay, 1 - 1 / (k + 1)) the average a becomes
    ``d * a + (1 - d) * w``: the plain mean of the first steps' weights, later mostly the recent
    ones. Parameters that do not learn stay as they are, bit for bit.
    """

    def __init__(self, network: nn.Module, *, decay: float, copy_buffers: bool = True) -> None:
        """Begin as ``network`` is now.

        Args:
            network: what is averaged.
            decay: weight of the past, 0 to below 1.
            copy_buffers: whether running statistics are the network's; False leaves them to the
                batches that the average itself sees in training mode.
        """
        self._source, self._decay, self._copy_buffers = network, decay, copy_buffers
        self.network = copy.deepcopy(network).requires_grad_(requires_grad=False)
        """The averaged network; which mode it is in is its user's business."""

    def reset(self) -> None:
        """Begin again as the network is now."""
        self.network.load_state_dict(self._source.state_dict())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step ``step``, counted from 0."""
        decay = min(self._decay, 1.0 - 1.0 / (step + 1))
        weights = zip(self.network.parameters(), self._source.parameters(), strict=True)
        for mean, weight in weights:
            if weight.requires_grad:
                mean.mul_(decay).add_(weight, alpha=1.0 - decay)
        if self._copy_buffers:
            buffers = zip(self.network.buffers(), self._source.buffers(), strict=True)
            for own, buffer in buffers:
                own.copy_(buffer)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint needs."""
        return self.network.state_dict()

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from ``state``."""
        self.network.load_state_dict(state)
