"""The head of a frozen network: patches are embedded once, then a linear layer is fitted.

Multinomial logistic regression with an L2 penalty, or one logistic regression a class where the
model is multi-label, on standardised embeddings, by L-BFGS (Liu and Nocedal 1989) in float64 until
the gradient vanishes. The problem is convex: neither the seed nor where it starts changes the
result. The standardisation is folded into the layer, which then works on raw embeddings.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from soundgate.audio.learning.optimisation import eager
from soundgate.errors import Stopped
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.classification.inference import Classifier
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.features import Row

    Array = npt.NDArray[Any]

ITERATIONS = 25
"""Of L-BFGS in a round; after each round the figures are written."""

TOLERANCE = 1e-6
"""The fit has converged when no derivative of the mean loss is larger."""

MAX_ROUNDS = 100

_BLOCK_PATCHES = 16384
_READY_BYTES = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """The patches of some clips, one after another, as the network's last layer sees them."""

    values: Tensor
    """Float32 ``(patch, size)``, on the CPU."""
    targets: Array
    """Bool ``(clip, class)``."""
    patches: Array
    """Int64 ``(clip,)``: how many patches each clip has."""


def embed(
    classifier: Classifier,
    features: FeatureSet,
    rows: Sequence[Row],
    batch_size: int,
    stop: Callable[[], bool],
) -> Embeddings:
    """Embed every patch of ``rows``, cut as evaluation cuts them.

    Raises:
        Stopped: ``stop`` was true between two clips.
    """
    body = _Body(classifier.network).eval()
    counts: list[int] = []
    parts: list[Tensor] = []
    waiting: list[Array] = []

    def flush() -> None:
        if waiting:
            with torch.inference_mode():
                batch = torch.from_numpy(np.concatenate(waiting)).to(classifier.device).float()
                parts.append(body(classifier.standardisation.apply(batch).unsqueeze(1)).cpu())
            waiting.clear()

    for row in track(rows, total=len(rows), label="embed clips"):
        if stop():
            raise Stopped("training stopped before the classifier head was fitted; nothing is kept")
        counts.append(0)
        for patches in classifier.patches(features.clip_frames(row), at_most=batch_size):
            if sum(map(len, waiting)) + len(patches) > batch_size:
                flush()
            waiting.append(patches)
            counts[-1] += len(patches)
    flush()
    values = torch.cat(parts).clone()  # an inference tensor takes no part in what follows
    return Embeddings(values, features.targets(rows), np.array(counts))


class Fit:
    """A linear layer on its way to the least loss."""

    def __init__(self, training: Embeddings, *, multi_label: bool, l2: float) -> None:
        """Begin at zero.

        Args:
            training: what it is fitted to.
            multi_label: whether classes are independent.
            l2: added to the mean loss is ``l2 / 2`` times the sum of the squared weights.
        """
        self._data, self.multi_label, self._l2 = training, multi_label, l2
        self._mean, self._std = _standardise(training.values)
        # What fits into memory in float64 is standardised once, not in every iteration.
        self._ready: Tensor | None = None
        if 8 * training.values.numel() < _READY_BYTES:
            self._ready = (training.values.double() - self._mean) / self._std
        patch_targets = np.repeat(training.targets, training.patches, axis=0)
        self._targets = torch.from_numpy(patch_targets)
        n_classes, size = patch_targets.shape[1], training.values.shape[1]
        self._weight = torch.zeros(n_classes, size, dtype=torch.float64, requires_grad=True)
        self._bias = torch.zeros(n_classes, dtype=torch.float64, requires_grad=True)
        self._optimizer = eager(torch.optim.LBFGS)(
            [self._weight, self._bias],
            max_iter=ITERATIONS,
            tolerance_grad=TOLERANCE,
            tolerance_change=0.0,
            history_size=20,
            line_search_fn="strong_wolfe",
        )
        self.converged = False

    def round(self) -> dict[str, float]:
        """``ITERATIONS`` of L-BFGS; the figures on the training patches afterwards.

        Returns:
            "loss", the mean cross-entropy without the penalty, and "training_accuracy".
        """
        before = self._weight.detach().clone()
        self._optimizer.step(self._slope)  # type: ignore[no-untyped-call]
        loss, right = self._pass()
        if self.multi_label:  # the mean over classes, as the loss of any other training
            loss /= self._targets.shape[1]
        slopes = [
            p.grad.abs().max().item() for p in (self._weight, self._bias) if p.grad is not None
        ]
        # Rounding can keep the slope above the tolerance: then the weights no longer move.
        still = torch.equal(before, self._weight.detach())
        self.converged = max(slopes) <= TOLERANCE or still
        return {"loss": loss, "training_accuracy": right / len(self._targets)}

    def head(self) -> tuple[Tensor, Tensor]:
        """Weight float32 ``(class, size)`` and bias float32 ``(class,)`` for raw embeddings."""
        with torch.no_grad():
            weight = self._weight / self._std
            return weight.float(), (self._bias - weight @ self._mean).float()

    def scores(self, of: Embeddings) -> list[Array]:
        """Scores float32 ``(patch, class)`` of each clip, with the head as it is now."""
        weight, bias = self.head()
        logits = functional.linear(of.values, weight, bias)
        scores = logits.sigmoid() if self.multi_label else logits.softmax(1)
        return np.split(scores.numpy(), np.cumsum(of.patches)[:-1])

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {
            "weight": self._weight.detach(),
            "bias": self._bias.detach(),
            "optimizer": self._optimizer.state_dict(),
            "converged": self.converged,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was taken."""
        with torch.no_grad():
            self._weight.copy_(state["weight"])
            self._bias.copy_(state["bias"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.converged = state["converged"]

    def _slope(self) -> float:
        """Fill the gradients; return the objective."""
        self._weight.grad = self._l2 * self._weight.detach()
        self._bias.grad = torch.zeros_like(self._bias)
        loss, _ = self._pass(slopes=True)
        return loss + self._l2 / 2 * float(self._weight.detach().square().sum())

    def _standardised(self, block: slice) -> Tensor:
        if self._ready is not None:
            return self._ready[block]
        return (self._data.values[block].double() - self._mean) / self._std

    def _pass(self, *, slopes: bool = False) -> tuple[float, int]:
        """The mean loss over all patches, and how many are right; a block in memory at a time."""
        total, right, count = 0.0, 0, len(self._targets)
        for first in range(0, count, _BLOCK_PATCHES):
            block = slice(first, first + _BLOCK_PATCHES)
            values = self._standardised(block)
            targets = self._targets[block].double()
            with torch.no_grad():
                logits = functional.linear(values, self._weight, self._bias)
                if self.multi_label:
                    scores = logits.sigmoid()
                    losses = functional.binary_cross_entropy_with_logits(
                        logits, targets, reduction="sum"
                    )
                    right += int(((logits > 0) == (targets > 0.5)).all(1).sum())
                else:
                    scores = logits.softmax(1)
                    losses = functional.cross_entropy(logits, targets, reduction="sum")
                    right += int((logits.argmax(1) == targets.argmax(1)).sum())
                total += float(losses)
                if slopes:
                    errors = (scores - targets) / count
                    assert self._weight.grad is not None
                    assert self._bias.grad is not None
                    self._weight.grad += errors.T @ values
                    self._bias.grad += errors.sum(0)
        return total / count, right


def install(network: nn.Module, head: tuple[Tensor, Tensor]) -> None:
    """Give ``network`` a fitted last layer."""
    layer = network.get_submodule("head")
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(head[0])
        layer.bias.copy_(head[1])


class _Body(nn.Module):
    """A network without its last layer, and without dropout."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.features = network.get_submodule("features")
        self.pool = network.get_submodule("pool")

    def forward(self, patches: Tensor) -> Tensor:
        embeddings: Tensor = self.pool(self.features(patches))
        return embeddings


def _standardise(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation float64 ``(size,)``; a value that never changes gets 1."""
    blocks = [slice(k, k + _BLOCK_PATCHES) for k in range(0, len(values), _BLOCK_PATCHES)]
    total = torch.zeros(values.shape[1], dtype=torch.float64)
    for block in blocks:
        total += values[block].double().sum(0)
    mean = total / len(values)
    squares = torch.zeros_like(mean)
    for block in blocks:
        squares += (values[block].double() - mean).square().sum(0)
    std = (squares / len(values)).sqrt()
    return mean, torch.where(std < 1e-6, torch.ones_like(std), std)
