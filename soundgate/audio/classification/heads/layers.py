"""A linear layer or several, as the training loop sees them: embeddings in, one class each out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from soundgate.audio.classification.heads.ridge import standardisation
from soundgate.audio.formats.models.embedding_classifier import MlpSettings
from soundgate.audio.learning.recipe import EarlyStopping, Monitor, Optimiser, Recipe
from soundgate.audio.learning.system import Loss, Mean
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.classification.heads.settled import Rows
    from soundgate.audio.formats.models.embedding_classifier import LinearSettings
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.system import Step

    Array = npt.NDArray[Any]

ACCURACY: Final = Monitor("es_accuracy", rises=True)
LOSS: Final = Monitor("es_loss", rises=False)


def build(size: int, classes: int, settings: LinearSettings | MlpSettings) -> nn.Sequential:
    """Layers that take standardised embeddings float32 ``(row, size)`` and return logits."""
    hidden = settings.hidden if isinstance(settings, MlpSettings) else ()
    dropout = settings.dropout if isinstance(settings, MlpSettings) else 0.0
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout)]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, classes))


def recipe(
    settings: LinearSettings | MlpSettings, *, epochs: int, patience: int, seed: int, stops: bool
) -> Recipe:
    """How they are trained; ``stops``: whether there are segments to stop early by."""
    return Recipe(
        epochs=epochs,
        seed=seed,
        optimiser=Optimiser(
            name=settings.optimiser,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        ),
        early_stopping=EarlyStopping(monitor=ACCURACY, patience=patience) if stops else None,
        precision="float32",
    )


class LayersOnEmbeddings:
    """Layers that say which class a segment is of, by softmax and cross entropy."""

    average = None

    def __init__(
        self,
        network: nn.Sequential,
        rows: Rows,
        held_out: Rows,
        group: Group,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        """Hold all embeddings where the network is.

        Args:
            network: on the device of ``group``.
            rows: to train on.
            held_out: of ``es``; there may be none.
            group: the processes that train together.
            batch_size: rows of a batch, over all processes.
            seed: of the order of the rows.

        Raises:
            ConfigError: the processes cannot share a batch.
        """
        if batch_size % group.world:
            raise ConfigError(
                f"batch_size {batch_size} cannot be shared among {group.world} processes; "
                "make it a multiple"
            )
        self._network, self._group, self._seed = network, group, seed
        self._size = min(batch_size, len(rows) // group.world * group.world or group.world)
        mean, deviation = standardisation(rows.values)
        self.mean, self.deviation = mean, deviation
        self._rows, self._held_out = rows, held_out
        self._values = self._standard(rows.values)
        self._targets = torch.from_numpy(rows.numbers).to(group.device)
        self._held = self._standard(held_out.values)
        self.merit = (ACCURACY, LOSS) if len(held_out) else ()

    def _standard(self, values: Array) -> Tensor:
        standard = ((values - self.mean) / self.deviation).astype(np.float32)
        return torch.from_numpy(standard).to(self._group.device)

    @property
    def network(self) -> nn.Module:
        """Takes standardised embeddings, returns logits."""
        return self._network

    @property
    def batches(self) -> int:
        """Batches an epoch; rows that fill none are left out of it."""
        return len(self._rows) // self._size

    @property
    def fingerprint(self) -> str:
        """Changes with the rows and the layers."""
        found = hashlib.sha256(repr((self._seed, self._size, str(self._network))).encode())
        for rows in (self._rows, self._held_out):
            found.update(np.ascontiguousarray(rows.values).tobytes())
            found.update(rows.numbers.tobytes())
        return found.hexdigest()

    def start(self) -> None:
        """Nothing to do before the first epoch."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Numbers of the rows of each batch: this process's share."""
        order = np.random.default_rng([self._seed, number]).permutation(len(self._rows))
        rank, world = self._group.rank, self._group.world
        for first in range(0, self.batches * self._size, self._size):
            chosen = order[first : first + self._size][rank::world]
            yield torch.from_numpy(chosen).to(self._group.device)

    def loss(self, batch: Tensor, step: Step) -> Loss:
        """Cross entropy of a batch."""
        logits, targets = step.forward(self._values[batch]), self._targets[batch]
        right = (logits.detach().argmax(1) == targets).sum()
        return Loss(
            functional.cross_entropy(logits.float(), targets),
            rows=len(targets),
            parts={"training_accuracy": Mean(right, len(targets))},
        )

    def validate(self) -> dict[str, float]:
        """Accuracy and loss on ``es``, the same in every process; empty where there is none."""
        if not len(self._held_out):
            return {}
        with torch.inference_mode():
            logits = self._network.eval()(self._held).double().cpu()
        targets = torch.from_numpy(self._held_out.numbers)
        return {
            LOSS.figure: float(functional.cross_entropy(logits, targets)),
            ACCURACY.figure: float((logits.argmax(1) == targets).double().mean()),
        }

    def weights(self) -> dict[str, Tensor]:
        """The network's."""
        return self._network.state_dict()

    def state(self) -> dict[str, Any]:
        """Nothing: what an epoch draws depends on its number."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to do."""


def folded(weights: Mapping[str, Tensor], mean: Array, deviation: Array) -> list[Array]:
    """Weights and biases float32 in turns, layer by layer, of layers that take raw embeddings.

    Args:
        weights: of a network that takes standardised ones, by the names of ``build``.
        mean: float64 ``(size,)``.
        deviation: float64 ``(size,)``.
    """
    arrays = [np.asarray(value.double().cpu()) for value in weights.values()]
    first, bias = arrays[0] / deviation, arrays[1]
    arrays[:2] = [first, bias - first @ mean]
    return [array.astype(np.float32) for array in arrays]
