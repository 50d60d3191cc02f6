"""Losses of networks that decide for every label whether it is there.

Logits and targets are ``(clip, label)``; a target is the probability of the label, 0 or 1 where
somebody annotated it. A mask, bool ``(clip, label)``, says what is annotated: everything else, NaN
included, counts neither in a loss nor in a gradient. Losses are computed in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.learning.sources import masked_mean
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class _Kind(NamedTuple):
    focal: bool = False
    weighted: bool = False
    families: bool = False


OBJECTIVES: dict[str, _Kind] = {
    "CROSS_ENTROPY": _Kind(),
    "CROSS_ENTROPY_POS_WEIGHT": _Kind(weighted=True),
    "FOCAL_LOSS": _Kind(focal=True),
    "FOCAL_LOSS_POS_WEIGHT": _Kind(focal=True, weighted=True),
    "INSTRUMENT_FAMILY_LOSS": _Kind(families=True),
}


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Which loss, and its numbers."""

    name: str = "CROSS_ENTROPY"
    """A key of ``OBJECTIVES``."""
    gamma: float = 2.0
    """Exponent of the focal losses; 0 is cross entropy."""
    family_weight: float = 1.0
    """Weight of the families' cross entropy in ``INSTRUMENT_FAMILY_LOSS``, beside 1 for that of the
    labels."""


class PositiveWeights(NamedTuple):
    """Weights that make the positive and the negative clips of a label count alike."""

    weights: tuple[float, ...]
    """One a label: annotated negative clips over positive ones."""
    one_sided: tuple[int, ...]
    """Labels without a positive or without a negative clip; their weight is 1."""


def positive_weights(targets: Array, mask: Array | None = None) -> PositiveWeights:
    """Weights from the counts of the training clips.

    Args:
        targets: ``(clip, label)``; 0.5 or more is positive.
        mask: bool ``(clip, label)``; None: everything is annotated.
    """
    positive = targets >= 0.5
    negative = ~positive
    if mask is not None:
        positive, negative = positive & mask, negative & mask
    there, absent = positive.sum(0).tolist(), negative.sum(0).tolist()
    counts = list(zip(there, absent, strict=True))
    weights = tuple(n / p if p and n else 1.0 for p, n in counts)
    return PositiveWeights(weights, tuple(k for k, pair in enumerate(counts) if not all(pair)))


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross entropy of every label, ``(clip, label)``.

    Args:
        logits: ``(clip, label)``.
        targets: ``(clip, label)``, 0..1.
        weights: ``(label,)``: factor on the part of the positive.
    """
    return functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=weights, reduction="none"
    )


def focal(
    logits: Tensor, targets: Tensor, *, gamma: float, weights: Tensor | None = None
) -> Tensor:
    """Cross entropy of every label times the ``gamma``-th power of its mistake (Lin et al. 2017).

    The mistake is 1 - p for a positive and p for a negative, p being the sigmoid of the logit:
    what is decided well counts little, on both sides.
    """
    # In logarithms: the gradient stays finite where the mistake is 0 in float32.
    mistake = torch.logaddexp(
        targets.log() + functional.logsigmoid(-logits),
        (1.0 - targets).log() + functional.logsigmoid(logits),
    )
    return (gamma * mistake).exp() * cross_entropy(logits, targets, weights)


def family_cross_entropy(
    logits: Tensor, targets: Tensor, mask: Tensor, families: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Binary cross entropy of every family: is any of its labels there?

    A family's logit is the highest of its annotated labels, its target the highest of theirs. It
    is annotated where an annotated label is positive, or where all its labels are annotated: one
    negative label says nothing of the others.

    Args:
        logits: ``(clip, label)``.
        targets: ``(clip, label)``, 0..1.
        mask: bool ``(clip, label)``.
        families: numbers of each family's labels.

    Returns:
        The losses and what of them is annotated, both ``(clip, family)``.
    """
    losses, known = [], []
    for members in families:
        own = list(members)
        annotated = mask[:, own]
        target = targets[:, own].masked_fill(~annotated, 0.0).amax(1)
        known.append(annotated.all(1) | (target >= 0.5))
        logit = logits[:, own].masked_fill(~annotated, -torch.inf).amax(1)
        # Where nothing is annotated the logit would be infinite, and its gradient NaN.
        logit = torch.where(annotated.any(1), logit, 0.0)
        losses.append(cross_entropy(logit, target))
    return torch.stack(losses, 1), torch.stack(known, 1)


class MultiLabelLoss(nn.Module):
    """The loss of ``objective``; weights move with ``.to(device)``."""

    weights: Tensor | None

    def __init__(
        self,
        objective: Objective,
        *,
        weights: Sequence[float] | None = None,
        families: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """Check that the objective has what it needs.

        Args:
            objective: which loss.
            weights: one a label, see ``positive_weights``; for the names that end in POS_WEIGHT.
            families: numbers of each family's labels; for ``INSTRUMENT_FAMILY_LOSS``.

        Raises:
            ConfigError: there is no such loss, a number is out of range, or something is missing.
        """
        super().__init__()
        self.kind = _checked(objective)
        if self.kind.weighted and weights is None:
            raise ConfigError(f"loss_function: {objective.name} needs weights of training clips")
        if self.kind.families and not families:
            raise ConfigError(
                f"loss_function: {objective.name} needs families of these labels; list them in "
                "label_families, or choose CROSS_ENTROPY"
            )
        self.objective = objective
        self.families = tuple(tuple(own) for own in (families or {}).values())
        chosen = torch.tensor(weights, dtype=torch.float32) if self.kind.weighted else None
        self.register_buffer("weights", chosen, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mean over annotated labels; 0, with gradient 0, where nothing is annotated.

        ``INSTRUMENT_FAMILY_LOSS`` adds ``family_weight`` times the mean over annotated families.

        Args:
            logits: ``(clip, label)``.
            targets: ``(clip, label)``, 0..1 where annotated.
            mask: bool ``(clip, label)``; None: everything is annotated.
        """
        logits = logits.float()
        if mask is None:
            mask = torch.ones_like(logits, dtype=torch.bool)
        targets = torch.where(mask, targets.float(), 0.0)
        loss = masked_mean(self._each(logits, targets), mask)
        if self.kind.families:
            families, known = family_cross_entropy(logits, targets, mask, self.families)
            loss = loss + self.objective.family_weight * masked_mean(families, known)
        return loss

    def _each(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.kind.focal:
            return focal(logits, targets, gamma=self.objective.gamma, weights=self.weights)
        return cross_entropy(logits, targets, self.weights)


def _checked(objective: Objective) -> _Kind:
    if objective.name not in OBJECTIVES:
        known = nearest(objective.name, OBJECTIVES)
        raise ConfigError(f"loss_function: no loss {objective.name!r}{known}")
    for field in ("gamma", "family_weight"):
        found = getattr(objective, field)
        if not 0 <= found < float("inf"):
            raise ConfigError(f"loss_function_kwargs: {field} must be 0 or more, got {found}")
    return OBJECTIVES[objective.name]
