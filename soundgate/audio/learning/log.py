"""What a training says about itself: a line an epoch, ``history.jsonl``, TensorBoard's events."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

HISTORY = "history.jsonl"
TENSORBOARD = "tensorboard"


def sentence(row: Mapping[str, float], epochs: int, seconds: float) -> str:
    """One line about a finished epoch.

    >>> sentence({"epoch": 3, "loss": 1.5, "learning_rate": 0.003, "training_accuracy": 0.5}, 9, 2)
    'epoch 3 of 9: loss 1.5000, training accuracy 0.5000, learning rate 3.00e-03, 2.0 s'
    """
    rate = f"learning rate {row['learning_rate']:.2e}"
    parts = [*figures(row), rate, f"{seconds:.1f} s"]
    return f"epoch {row['epoch']:.0f} of {epochs}: {', '.join(parts)}"


def figures(row: Mapping[str, float]) -> list[str]:
    """Loss and accuracies of ``row``, each with its name."""
    parts = [f"loss {row['loss']:.4f}", f"training accuracy {row['training_accuracy']:.4f}"]
    if "validation_loss" in row:
        parts += [
            f"validation loss {row['validation_loss']:.4f}",
            f"clip accuracy {row['validation_clip_accuracy']:.4f}",
            f"patch accuracy {row['validation_patch_accuracy']:.4f}",
        ]
    return parts


class Diary:
    """The files of ``metrics/``, complete after every epoch, also after a resumed training."""

    def __init__(
        self, folder: Path | None, log: Callable[[int, Mapping[str, float]], None] | None
    ) -> None:
        """Write to ``folder`` and call ``log``; without a folder do neither."""
        self._folder, self._log = folder, log
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
        """Write the epochs of a resumed training's past; its tracker has them already."""
        if self._folder is not None:
            for row in history:
                self._write(self._folder, row)

    def add(self, row: Mapping[str, float]) -> None:
        """Write one epoch and hand it to the tracker."""
        if self._folder is None:
            return
        self._write(self._folder, row)
        if self._log is not None:
            figures = {key: value for key, value in row.items() if key != "epoch"}
            self._log(int(row["epoch"]), figures)

    def _write(self, folder: Path, row: Mapping[str, float]) -> None:
        with (folder / HISTORY).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(row) + "\n")
        for key, value in row.items():
            if key != "epoch":
                self._events.add_scalar(key, value, int(row["epoch"]))
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
