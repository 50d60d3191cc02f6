"""Training where pretrained layers stay as they are: the head is fitted to convergence.

A round of L-BFGS takes the place of an epoch: a line in the log, a row in ``history.jsonl``, a
checkpoint. Batches, epochs, the optimiser, the learning rate and augmentation play no part, so this
is no user of the training loop.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from soundgate.audio.classification import validation
from soundgate.audio.classification.plan import Outcome
from soundgate.audio.classification.transfer import linear_probe
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.learning import checkpoints
from soundgate.audio.learning.log import ROUND, figures
from soundgate.audio.networks import models
from soundgate.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from soundgate.audio.classification.plan import Plan
    from soundgate.audio.classification.transfer.linear_probe import Embeddings, Fit
    from soundgate.audio.classification.transfer.pretrained import Initialisation
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.learning.log import TrainingLog


def every_round(
    plan: Plan,
    initial: Initialisation,
    group: Group,
    log: TrainingLog,
    folder: Path | None,
    stop: Callable[[], bool],
) -> Outcome:
    """Fit the head in the first process; what there is to write afterwards, in every process.

    Raises:
        Stopped: ``stop`` was true.
    """
    outcome: Outcome | Stopped | None = None
    if group.writes:
        try:
            with log:
                outcome = _fit(plan, initial, group, log, folder, stop)
        except Stopped as stopped:
            outcome = stopped
    # Who waits for the first process must learn that it stops.
    shared = group.share(outcome)
    if isinstance(shared, Stopped):
        raise shared
    assert shared is not None
    return shared


def fitted_head(
    plan: Plan, initial: Initialisation, group: Group, stop: Callable[[], bool]
) -> tuple[Tensor, Tensor]:
    """The head that fine-tuning starts from, the same in every process.

    Raises:
        Stopped: ``stop`` was true.
    """
    head: tuple[Tensor, Tensor] | Stopped | None = None
    if group.writes:
        try:
            fit = _embedded(plan, initial, stop)
            with one_torch_thread():
                row = _last(fit, stop)
        except Stopped as stopped:
            head = stopped
        else:
            print(f"head fitted: {figures(row)}", flush=True)
            head = fit.head()
    shared = group.share(head)
    if isinstance(shared, Stopped):
        raise shared
    assert shared is not None
    return shared


def _embedded(plan: Plan, initial: Initialisation, stop: Callable[[], bool]) -> Fit:
    batch_size = plan.config.general.batch_size
    embedded = linear_probe.embed(initial.classifier, plan.features, plan.rows, batch_size, stop)
    return linear_probe.Fit(
        embedded, multi_label=initial.classifier.multi_label, l2=plan.config.training.l2
    )


def _last(fit: Fit, stop: Callable[[], bool]) -> dict[str, float]:
    """The figures of the round in which ``fit`` converges."""
    row: dict[str, float] = {}
    for number in range(linear_probe.MAX_ROUNDS):
        if stop():
            raise Stopped(
                f"training stopped in round {number + 1} of fitting the head; nothing is kept"
            )
        row = fit.round()
        if fit.converged:
            break
    return row


def _fit(
    plan: Plan,
    initial: Initialisation,
    group: Group,
    log: TrainingLog,
    folder: Path | None,
    stop: Callable[[], bool],
) -> Outcome:
    classifier = initial.classifier
    fit = _embedded(plan, initial, stop)
    held = None
    if plan.validation:
        size = plan.config.general.batch_size
        held = linear_probe.embed(classifier, plan.features, plan.validation, size, stop)
    fingerprint = plan.fingerprint(classifier.standardisation, group.world)
    history = _restore(fit, folder, fingerprint)
    log.repeat(history)
    with one_torch_thread():
        while not fit.converged and len(history) < linear_probe.MAX_ROUNDS:
            if stop():
                saved = folder and history
                kept = f"rounds up to {len(history)} are kept" if saved else "none is kept"
                raise Stopped(f"training stopped in round {len(history) + 1}; {kept}")
            history.append(_round(fit, held, len(history) + 1))
            log.add(history[-1])
            if folder is not None:
                checkpoints.write(folder, {"fit": fit.state(), "history": history}, fingerprint)
    linear_probe.install(classifier.network, fit.head())
    training = plan.origin | initial.start.record | {"rounds": len(history)}
    training["parameters"] = models.parameter_count(classifier.network)
    description = plan.description(classifier.standardisation, training)
    return Outcome(description, classifier.network.state_dict(), history[-1])


def _round(fit: Fit, held: Embeddings | None, number: int) -> dict[str, float]:
    """The row of one round; ``held`` are the validation patches, if there are any."""
    begun = time.monotonic()
    row = {ROUND: number, **fit.round()}
    if held is not None:
        row |= validation.figures_of(held.targets, fit.scores(held), multi_label=fit.multi_label)
    print(f"round {number}: {figures(row)}, {time.monotonic() - begun:.1f} s", flush=True)
    return row


def _restore(fit: Fit, folder: Path | None, fingerprint: str) -> list[dict[str, float]]:
    state: dict[str, Any] | None = checkpoints.read(folder, fingerprint) if folder else None
    if state is None:
        return []
    fit.restore(state["fit"])
    history: list[dict[str, float]] = state["history"]
    print(f"resumed after round {len(history)}", flush=True)
    return history
