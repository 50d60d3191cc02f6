"""The best of several heads by segments that none of them was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.classification.heads.settled import rows_of
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.reports.embeddings import Leaderboard, TriedHead, write_leaderboard
from soundgate.audio.metrics.macro import macro_figures
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.heads.head import Head
    from soundgate.audio.classification.heads.settled import Rows
    from soundgate.audio.formats.embeddings.vectors import Embeddings

    Array = npt.NDArray[Any]

_LEAST = 1e-12


@dataclass(frozen=True)
class Chosen:
    """Which head is the best, and all of them."""

    name: str
    leaderboard: Leaderboard


def choose(embeddings: Path, models: Mapping[str, Path], leaderboard: Path) -> Chosen:
    """Rank heads by macro F0.5, then accuracy, then loss, then name; write the leaderboard.

    ``valid`` chooses; where it is empty ``es`` does, by which training was stopped.

    Args:
        embeddings: folder of embeddings.
        models: folders of heads by name.
        leaderboard: folder to write.

    Raises:
        DataError: there is no head or no segment to choose by, or a head is of other embeddings.
    """
    if not models:
        raise DataError("no head to choose from: every training failed")
    read = read_embeddings(embeddings)
    rows = _held_out(read)
    tried = [_tried(name, read_head(folder), read, rows, folder) for name, folder in models.items()]
    ranked = sorted(tried, key=lambda one: (-one.macro_f05, -one.accuracy, one.loss, one.name))
    ranked[0] = ranked[0].model_copy(update={"chosen": True})
    made = Leaderboard(split=rows.segments[0].split, segments=len(rows), heads=tuple(ranked))
    write_leaderboard(leaderboard, made)
    for head in reversed(ranked):  # a run's table shows the last line
        mark = " (chosen)" if head.chosen else ""
        print(
            f"{head.name}: macro F0.5 {decimal(head.macro_f05)}, accuracy "
            f"{decimal(head.accuracy)} on {made.split}{mark}"
        )
    return Chosen(ranked[0].name, made)


def _held_out(embeddings: Embeddings) -> Rows:
    for split in ("valid", "es"):
        rows = rows_of(embeddings, split)
        if len(rows):
            return rows
    raise DataError(
        f"{embeddings.folder}: has no segment in the splits valid and es, by which heads are "
        "chosen; plan some"
    )


def _tried(name: str, head: Head, embeddings: Embeddings, rows: Rows, folder: Path) -> TriedHead:
    head.check_encoder(embeddings.about.encoder, embeddings.folder)
    if head.about.classes != embeddings.about.classes:
        raise DataError(f"{folder}: was trained on other classes than {embeddings.folder} has")
    scores = head.scores(rows.values)
    found = macro_figures(rows.numbers, scores.argmax(1), len(head.about.classes))
    true = np.maximum(scores[np.arange(len(rows)), rows.numbers], _LEAST)
    settings = head.about.head.as_json()
    kind = settings.pop("kind")
    return TriedHead(
        name=name,
        kind=kind,
        settings=", ".join(f"{key} {value}" for key, value in settings.items()),
        **{key: rounded(value) for key, value in found._asdict().items()},
        loss=rounded(-np.log(true).mean()),
        parameters=head.about.parameters,
        chosen=False,
    )
