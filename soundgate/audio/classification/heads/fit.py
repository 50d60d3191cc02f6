"""From embeddings to a head's ``model/`` folder."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundgate.audio.classification.heads import ridge, trees
from soundgate.audio.classification.heads.head import BOOSTER, layers_of, named, outputs
from soundgate.audio.classification.heads.settled import rows_of, training_rows
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.history import HISTORY
from soundgate.audio.formats.models.embedding_classifier import (
    EmbeddingClassifierFile,
    LinearSettings,
    RidgeSettings,
    TreesSettings,
)
from soundgate.audio.formats.record import write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.heads.settled import Rows
    from soundgate.audio.formats.embeddings.segments import Segment
    from soundgate.audio.formats.models.embedding_classifier import MlpSettings

    Array = npt.NDArray[Any]

SIDES = {"train": "training", "es": "validation", "valid": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a training is asked besides the head's own settings."""

    name: str = ""
    """What the head is called."""
    epochs: int = 150
    """At most, of heads that are trained by gradients."""
    patience: int = 10
    """Epochs, or rounds, without a better accuracy on ``es``."""
    batch_size: int = 128
    seed: int = 0
    threads: int = 1
    """Of XGBoost; the trees do not depend on it."""
    checkpoints: Path | None = None
    """Folder of the checkpoint; None keeps none."""
    stop: Callable[[], bool] = lambda: False
    """Asked between batches: the epoch under way is thrown away, and resumed another time."""
    finish: Callable[[], bool] = lambda: False
    """Asked after every epoch: no further one is begun, and what was learnt is written."""
    log: Callable[[int, Mapping[str, float]], None] | None = None
    """Called with the number and the figures of each finished epoch."""


@dataclass(frozen=True)
class Fitted:
    """A head that was trained, before it is written."""

    weights: Mapping[str, Array]
    """As ``weights.safetensors`` has them, the temperature apart."""
    history: Sequence[Mapping[str, float]] = ()
    epochs: int | None = None
    best_epoch: int | None = None
    parameters: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


def fit(
    embeddings: Path,
    model: Path,
    metrics: Path,
    settings: RidgeSettings | LinearSettings | MlpSettings | TreesSettings,
    asked: Asked | None = None,
) -> None:
    """Train on the split ``train``, stop early by ``es``, write ``model/`` and ``metrics/``.

    Args:
        embeddings: folder of embeddings.
        model: where the head goes.
        metrics: where ``history.jsonl`` goes, and TensorBoard's events where there are epochs.
        settings: which head.
        asked: epochs, checkpoints, who asks to stop.

    Raises:
        DataError: the folder is damaged, or a class has no segment to train on.
        ConfigError: the settings ask for what does not exist, or the loss left the numbers.
        MissingExtra: XGBoost is not installed.
        Stopped: ``asked.stop`` was true.
    """
    asked = asked or Asked()
    read = read_embeddings(embeddings)
    rows, held_out = training_rows(read), rows_of(read, "es")
    metrics.mkdir(parents=True, exist_ok=True)
    classes = read.about.classes
    found = _fitted(rows, held_out, len(classes), settings, asked, metrics)
    about = EmbeddingClassifierFile(
        name=asked.name,
        classes=classes,
        sample_rate_hz=read.about.encoder.sample_rate_hz,
        encoder=read.about.encoder,
        segment_s=read.segment_s,
        head=settings,
        seed=asked.seed,
        epochs=found.epochs,
        best_epoch=found.best_epoch,
        parameters=found.parameters,
        **found.extra,
    )
    model_folder.write(model, about, found.weights, list(sides_of(read.segments())))
    right = _accuracy(found.weights, held_out if len(held_out) else rows)
    name = "es" if len(held_out) else "train"
    print(f"Accuracy on {name} : {right:.6g} ({len(rows)} segments of {len(classes)} classes)")


def _fitted(
    rows: Rows,
    held_out: Rows,
    classes: int,
    settings: RidgeSettings | LinearSettings | MlpSettings | TreesSettings,
    asked: Asked,
    metrics: Path,
) -> Fitted:
    if isinstance(settings, RidgeSettings):
        found = _ridge(rows, held_out, classes, settings)
    elif isinstance(settings, TreesSettings):
        found = _trees(rows, held_out, classes, settings, asked)
    else:
        return _layers(rows, held_out, classes, settings, asked, metrics)  # the loop writes its log
    write_lines(metrics / HISTORY, map(dict, found.history))
    return found


def _ridge(rows: Rows, held_out: Rows, classes: int, settings: RidgeSettings) -> Fitted:
    weight, bias = ridge.solve(rows, classes, settings.regularisation)
    judged = held_out if len(held_out) else rows
    temperature = ridge.temperature(judged.values @ weight.T + bias, judged.numbers)
    layers = [(array / temperature).astype(np.float32) for array in (weight, bias)]
    return Fitted(
        named(layers),
        parameters=weight.size + bias.size,
        extra={"temperature": float(f"{temperature:.6g}")},
    )


def _trees(
    rows: Rows, held_out: Rows, classes: int, settings: TreesSettings, asked: Asked
) -> Fitted:
    booster, history, best = trees.fit(
        rows,
        held_out,
        classes,
        settings,
        patience=asked.patience,
        seed=asked.seed,
        threads=asked.threads,
    )
    weights = {BOOSTER: np.frombuffer(booster, np.uint8)}
    return Fitted(weights, history, len(history), best, trees.leaves(booster))


def _layers(
    rows: Rows,
    held_out: Rows,
    classes: int,
    settings: LinearSettings | MlpSettings,
    asked: Asked,
    metrics: Path,
) -> Fitted:
    import torch  # ridge and trees do without it

    from soundgate.audio.classification.heads import layers
    from soundgate.audio.learning import loop
    from soundgate.audio.learning.log import TrainingLog

    with loop.session() as group:
        torch.manual_seed(asked.seed)
        network = layers.build(rows.values.shape[1], classes, settings).to(group.device)
        system = layers.LayersOnEmbeddings(
            network, rows, held_out, group, batch_size=asked.batch_size, seed=asked.seed
        )
        learnt = loop.train(
            system,
            layers.recipe(
                settings,
                epochs=asked.epochs,
                patience=asked.patience,
                seed=asked.seed,
                stops=bool(len(held_out)),
            ),
            group=group,
            log=TrainingLog(metrics, asked.log),
            checkpoints=asked.checkpoints,
            stop=asked.stop,
            finish=asked.finish,
        )
    arrays = layers.folded(learnt.weights, system.mean, system.deviation)
    counted = sum(array.size for array in arrays)
    return Fitted(named(arrays), (), len(learnt.history), learnt.epoch, counted)


def _accuracy(weights: Mapping[str, Array], rows: Rows) -> float:
    if BOOSTER in weights:
        found = trees.scores(weights[BOOSTER].tobytes(), rows.values)
    else:
        found = outputs(layers_of(weights), rows.values)
    return float((found.argmax(1) == rows.numbers).mean())


class ListedClip(NamedTuple):
    """A row of ``split.jsonl``."""

    path: str
    start_s: float | None = None
    end_s: float | None = None


def sides_of(segments: Sequence[Segment]) -> Iterator[tuple[ListedClip, str]]:
    """A row a file that is on one side as a whole, otherwise a row a segment; in order."""
    of_path = defaultdict(list)
    for segment in segments:
        of_path[segment.path].append(segment)
    for path, own in sorted(of_path.items()):
        sides = {SIDES[segment.split] for segment in own}
        if len(sides) == 1:
            yield ListedClip(path), sides.pop()
            continue
        for each in sorted(own, key=lambda segment: (segment.start_s, segment.round)):
            yield ListedClip(path, each.start_s, each.start_s + each.duration_s), SIDES[each.split]
