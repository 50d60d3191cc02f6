"""A head from labels that people wrote into the results of a search, in seconds.

Ridge, whose penalty is chosen by leaving recordings out in turn. What was scored while it was left
out also says how good the head is, and how sure its scores may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.classification.heads import ridge
from soundgate.audio.classification.heads.fit import ListedClip
from soundgate.audio.classification.heads.head import named
from soundgate.audio.classification.heads.settled import Rows
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.embeddings.found import read_labels
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.models.embedding_classifier import (
    EmbeddingClassifierFile,
    RidgeSettings,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[Any]

PENALTIES: Final = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS: Final = 5
"""Groups of recordings that are left out in turn; fewer where there are fewer recordings."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a training on labels comes to."""

    classes: tuple[str, ...]
    segments: int
    accuracy: float
    """Share of segments classified correctly while their recordings were left out."""
    regularisation: float


def train(embeddings: Path, tables: Sequence[Path], model: Path) -> Learnt:
    """Train on the labels of ``tables`` and write ``model``, which ``predict`` takes.

    Args:
        embeddings: of the corpus that was searched.
        tables: with columns record_id and label.
        model: folder to write.

    Raises:
        DataError: a table is wrong, or there are too few labels.
    """
    read, labels = read_embeddings(embeddings), read_labels(tables)
    segments, vectors = read.of(labels)
    if unknown := set(labels) - {segment.record_id for segment in segments}:
        raise DataError(
            f"{tables[0]}: names segment {min(unknown)}, which {embeddings} does not have; give "
            "the embeddings that were searched"
        )
    classes = tuple(sorted(set(labels.values())))
    numbers = np.array([classes.index(labels[each.record_id]) for each in segments], np.int64)
    rows = Rows(segments, vectors, numbers)
    folds = _folds(rows, classes)
    scored = {penalty: _left_out(rows, folds, len(classes), penalty) for penalty in PENALTIES}
    shares = {key: float((each.argmax(1) == numbers).mean()) for key, each in scored.items()}
    best = max(PENALTIES, key=lambda penalty: (shares[penalty], penalty))
    temperature = ridge.temperature(scored[best], numbers)
    weight, bias = ridge.solve(rows, len(classes), best)
    layers = [(array / temperature).astype(np.float32) for array in (weight, bias)]
    about = EmbeddingClassifierFile(
        name="labels",
        classes=classes,
        sample_rate_hz=read.about.encoder.sample_rate_hz,
        encoder=read.about.encoder,
        segment_s=read.segment_s,
        head=RidgeSettings(regularisation=best),
        temperature=float(f"{temperature:.6g}"),
        seed=0,
        parameters=weight.size + bias.size,
    )
    heard = {ListedClip(s.path, s.start_s, s.start_s + s.duration_s): "training" for s in segments}
    model_folder.write(model, about, named(layers), sorted(heard.items()))
    return Learnt(classes, len(rows), shares[best], best)


def _folds(rows: Rows, classes: Sequence[str]) -> Array:
    """The fold of each segment, int64 ``(segment,)``; those of a recording share one.

    Recordings of a class are dealt in turn, so that no fold holds all of them.

    Raises:
        DataError: there is one class only, or a class of one recording.
    """
    if len(classes) < 2:
        raise DataError(
            f"labels: {', '.join(classes) or 'none'}: write at least two, such as the sound and "
            "other"
        )
    recordings = [segment.track_id for segment in rows.segments]
    fold_of: dict[str, int] = {}
    for number, name in enumerate(classes):
        own = sorted({recordings[k] for k in np.flatnonzero(rows.numbers == number)})
        if len(own) < 2:
            raise DataError(f"labels: {name!r} is of one recording only; label another one")
        for place, recording in enumerate(own):
            fold_of.setdefault(recording, place % FOLDS)
    return np.array([fold_of[recording] for recording in recordings])


def _left_out(rows: Rows, folds: Array, classes: int, penalty: float) -> Array:
    """Outputs float64 ``(segment, class)`` of heads that have not seen the segment's recording."""
    found = np.empty((len(rows), classes))
    for fold in np.unique(folds):
        out = folds == fold
        learnt = Rows([], rows.values[~out], rows.numbers[~out])
        weight, bias = ridge.solve(learnt, classes, penalty)
        found[out] = rows.values[out] @ weight.T + bias
    return found
