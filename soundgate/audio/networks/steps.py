"""What a backbone hands to a head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Steps(NamedTuple):
    """Embeddings of a clip, one a step of time."""

    values: Tensor
    """Float32 (clip, step, size); one step where the backbone has pooled over time."""
    real: Tensor | None = None
    """Bool (clip, step): which of them count; None: all."""

    def mean(self) -> Tensor:
        """Mean over the steps that count, float32 (clip, size)."""
        if self.real is None:
            return self.values.mean(1)
        weights = self.real.unsqueeze(2).to(self.values.dtype)
        return (self.values * weights).sum(1) / weights.sum(1).clamp(min=1)


def valid_steps(lengths: Tensor, size: int) -> Tensor:
    """Which of ``size`` steps count: bool (clip, step), of lengths int64 (clip,)."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)
