"""Standardisation: each mel band gets mean 0 and standard deviation 1 over the training clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[Any]


class Standardisation(NamedTuple):
    """Mean and standard deviation of each mel band over the training clips, float32 ``(mel,)``."""

    mean: Array
    standard_deviation: Array

    def apply(self, patches: torch.Tensor) -> torch.Tensor:
        """Standardise float32 ``(batch, mel, frame)``."""
        mean, scale = self._columns(patches.device)
        return (patches - mean) / scale

    def undo(self, patches: torch.Tensor) -> torch.Tensor:
        """Take standardised float32 ``(batch, mel, frame)`` back to what they were."""
        mean, scale = self._columns(patches.device)
        return patches * scale + mean

    def _columns(self, device: torch.device) -> list[torch.Tensor]:
        import torch  # seconds to import; what only reads a model's description does without

        return [torch.as_tensor(values, device=device)[:, None] for values in self]
