"""What a training says about itself: a line an epoch, ``history.jsonl``, TensorBoard's events."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any, Self

import torch

from soundgate.text.progress import PLAIN_INTERVAL_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from torch import Tensor

    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.system import Loss, Row

HISTORY = "history.jsonl"
TENSORBOARD = "tensorboard"
EPOCH, ROUND = "epoch", "round"


def sentence(row: Mapping[str, float], epochs: int, seconds: float) -> str:
    """One line about a finished epoch.

    >>> sentence({"epoch": 3, "loss": 1.5, "learning_rate": 0.003, "training_accuracy": 0.5}, 9, 2)
    'epoch 3 of 9: loss 1.5000, training accuracy 0.5000, learning rate 3.00e-03, 2.0 s'
    """
    rate = f"learning rate {row['learning_rate']:.2e}"
    return f"epoch {row[EPOCH]:.0f} of {epochs}: {figures(row)}, {rate}, {seconds:.1f} s"


def figures(row: Mapping[str, float]) -> str:
    """The figures of ``row``, each with its name.

    >>> figures({"round": 2, "loss": 0.25, "validation_clip_accuracy": 1.0})
    'loss 0.2500, validation clip accuracy 1.0000'
    """
    left_out = (EPOCH, ROUND, "learning_rate")
    shown = {name: value for name, value in row.items() if name not in left_out}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in shown.items())


class Pace:
    """A line now and then about an epoch that takes long, so that its log is never silent."""

    def __init__(self, label: str, total: int) -> None:
        """Begin to wait."""
        self._label, self._total = label, total
        self._begun = self._said = time.monotonic()

    def due(self) -> bool:
        """Whether nothing was said for ``PLAIN_INTERVAL_S``.

        To be asked before a figure is read back, for which an accelerator would have to wait.
        """
        return time.monotonic() - self._said >= PLAIN_INTERVAL_S

    def say(self, done: int, loss: float) -> None:
        """Print how far the epoch is."""
        self._said = time.monotonic()
        print(
            f"{self._label}: batch {done} of {self._total}, loss {loss:.4f}, "
            f"{self._said - self._begun:.0f} s",
            flush=True,
        )


class EpochMeans:
    """The means of an epoch's figures, over all processes."""

    def __init__(self, group: Group) -> None:
        """Begin with nothing."""
        self._group = group
        self._names: tuple[str, ...] = ()
        # Summed where the network is: reading a number back would wait for the accelerator.
        self._sums = torch.zeros(0)

    def add(self, loss: Loss) -> None:
        """Take in the figures of a batch."""
        device = self._group.device
        total = loss.total.detach().double()
        pairs: list[tuple[Tensor, int | Tensor]] = [(total * loss.rows, loss.rows)]
        pairs += [(part.total.double(), part.over) for part in loss.parts.values()]
        if not self._names:
            self._names = ("loss", *loss.parts)
            self._sums = torch.zeros(len(pairs), 2, dtype=torch.float64, device=device)
        counts = [torch.as_tensor(count, dtype=torch.float64, device=device) for _, count in pairs]
        totals = torch.stack([each for each, _ in pairs])
        self._sums += torch.stack([totals, torch.stack(counts)], dim=1)

    def result(self) -> Row:
        """The means; a figure that nothing was counted for is left out."""
        sums = self._group.total(self._sums).tolist()
        pairs = zip(self._names, sums, strict=True)
        return {name: total / count for name, (total, count) in pairs if count}


class TrainingLog:
    """The files of ``metrics/``, complete after every epoch, also after a resumed training."""

    def __init__(
        self,
        folder: Path | None,
        track: Callable[[int, Mapping[str, float]], None] | None = None,
        unit: str = EPOCH,
    ) -> None:
        """Write to ``folder`` and call ``track``; without a folder do neither.

        Args:
            folder: where the files go.
            track: called with the number and the figures of every new row.
            unit: the key of a row's number: ``epoch``, or ``round``.
        """
        self._folder, self._track, self._unit = folder, track, unit
        self._events: Any = None

    def __enter__(self) -> Self:
        """Open the files."""
        if self._folder is None:
            return self
        # Importing TensorBoard takes a second that only training has to spend.
        from torch.utils.tensorboard import SummaryWriter

        self._folder.mkdir(parents=True, exist_ok=True)
        # A killed process leaves events that the resumed one writes again.
        shutil.rmtree(self._folder / TENSORBOARD, ignore_errors=True)
        self._events = SummaryWriter(str(self._folder / TENSORBOARD))
        (self._folder / HISTORY).write_text("", encoding="utf-8")
        return self

    def repeat(self, history: Sequence[Mapping[str, float]]) -> None:
        """Write the past of a resumed training; its tracker has it already."""
        if self._folder is not None:
            for row in history:
                self._write(self._folder, row)

    def add(self, row: Mapping[str, float]) -> None:
        """Write one row and hand it to the tracker."""
        if self._folder is None:
            return
        self._write(self._folder, row)
        if self._track is not None:
            shown = {key: value for key, value in row.items() if key != self._unit}
            self._track(int(row[self._unit]), shown)

    def _write(self, folder: Path, row: Mapping[str, float]) -> None:
        with (folder / HISTORY).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row) + "\n")
        for key, value in row.items():
            if key != self._unit:
                self._events.add_scalar(key, value, int(row[self._unit]))
        self._events.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close TensorBoard's file; the history is closed after every row."""
        if self._events is not None:
            self._events.close()
