"""The figures of an epoch on the validation clips, and the thresholds that they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from soundgate.audio.classification.tagging.inference import joined, scored_rows
from soundgate.audio.metrics import multilabel
from soundgate.audio.metrics.rounding import decimal
from soundgate.audio.metrics.thresholds import Thresholds, best_thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from soundgate.audio.classification.tagging.inference import TagScorer
    from soundgate.audio.formats.waveforms import Row, WaveformSet
    from soundgate.audio.learning.distributed import Group

    Array = npt.NDArray[Any]

F1, MAP, HAMMING, LOSS = (
    f"validation_{name}" for name in ("macro_f1", "mean_average_precision", "hamming", "loss")
)

_SMALLEST = 1e-7


class Scored(NamedTuple):
    """Clips with what is true of them; arrays (clip, label)."""

    truth: Array
    """Bool."""
    scores: Array
    """Float64, 0 to 1."""
    mask: Array
    """Bool: what is annotated."""


def score(
    scorer: TagScorer, clips: WaveformSet, rows: Sequence[Row], batch_size: int, group: Group
) -> Scored:
    """Score ``rows``, which the processes of ``group`` divide among themselves."""
    mine = rows[group.rank :: group.world]
    found = scored_rows(scorer, clips, mine, batch_size)
    shares = group.collect([joined(chunks, scorer.chunks.join) for chunks in found])
    scores = [shares[k % group.world][k // group.world] for k in range(len(rows))]
    return Scored(clips.targets(rows) >= 0.5, np.stack(scores), clips.mask(rows))


def figures(scored: Scored) -> dict[str, float]:
    """Figures of an epoch: decisions by the thresholds that are best on these very clips.

    So do the trained model's decisions come about, and the figures compare epochs, nothing else. A
    figure that is undefined is left out.
    """
    thresholds = np.array(chosen_thresholds(scored).values)
    found = multilabel.figures(
        multilabel.tags(scored.truth, scored.scores, thresholds, scored.mask)
    )
    likely = np.where(scored.truth, scored.scores, 1.0 - scored.scores)
    losses = -np.log(np.maximum(likely, _SMALLEST))
    named = {
        LOSS: losses[scored.mask].mean(),
        F1: found.macro_f1,
        MAP: found.mean_average_precision,
        HAMMING: found.hamming_distance,
    }
    return {name: float(value) for name, value in named.items() if np.isfinite(value)}


def chosen_thresholds(scored: Scored) -> Thresholds:
    """Of each label, the threshold with the highest F1 on these clips."""
    return best_thresholds(scored.truth, scored.scores, scored.mask)


def announce(kept: Mapping[str, float]) -> None:
    """Print the figures of the epoch whose weights are kept, if it was validated.

    Platforms that show the metrics of a training look for these lines in its log.
    """
    for words, name in (("Macro F1", F1), ("Mean average precision", MAP)):
        if name in kept:
            print(f"{words} on validation set : {decimal(kept[name])}", flush=True)
