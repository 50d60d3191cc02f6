"""The curves of a training, tracked while it runs.

A training is worth more than its tracking: where MLflow is not installed, or fails on the way, one
sentence says so and the training goes on.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import MissingExtra, RegistryError
from soundgate.registry.service.connection import Registry, tracking_uri
from soundgate.registry.service.tracking import TrackedRun, tracked_run
from soundgate.runs import Context

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class EpochLog:
    """Called once an epoch with its figures."""

    def __init__(self, tracked: TrackedRun | None) -> None:
        """Write to ``tracked``; None writes nowhere."""
        self._tracked = tracked

    def __call__(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Log one epoch, counted from 1."""
        if self._tracked is None:
            return
        try:
            self._tracked.log_metrics(figures, step=epoch)
        except RegistryError as error:
            print(f"tracking ends here, training goes on: {error}", flush=True)
            self._tracked = None


@contextmanager
def epoch_log(params: Mapping[str, object]) -> Iterator[EpochLog]:
    """Track a training in the MLflow run of this Soundgate run; nowhere for a step run by hand.

    Args:
        params: what the training was asked for; nested mappings get dotted names.
    """
    context = Context.from_environment()
    first_rank = os.environ.get("RANK", "0") == "0"
    if not first_rank or not (context.root or os.environ.get("MLFLOW_TRACKING_URI")):
        yield EpochLog(None)
        return
    root = Path(context.root or "runs")
    name = context.run or "by-hand"
    if context.task != "train":  # an element of a map has curves of its own
        name = f"{name}/{context.task}"
    tags = {"soundgate.pipeline": context.pipeline, "git.commit": context.commit}
    with ExitStack() as stack:
        try:
            registry = Registry(tracking_uri(root))
            tracked = tracked_run(registry, name, params=flat(params), tags=tags)
            log = EpochLog(stack.enter_context(tracked))
        except (MissingExtra, RegistryError) as error:
            print(f"the training is not tracked: {error}", flush=True)
            log = EpochLog(None)
        yield log


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return nested mappings as one with dotted names.

    >>> flat({"training": {"epochs": 20}, "seed": 1})
    {'training.epochs': 20, 'seed': 1}
    """
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
