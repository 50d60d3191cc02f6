"""The figures of a training's epoch on the validation clips, made as evaluation makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.inference import clip_scores, decide, score_clips
from soundgate.audio.metrics.rounding import decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from soundgate.audio.classification.inference import Classifier
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.features import Row
    from soundgate.audio.learning.distributed import Group

_SMALLEST = 1e-7  # the softmax of float32 reaches zero, whose logarithm nobody can average


def figures(
    classifier: Classifier,
    features: FeatureSet,
    rows: Sequence[Row],
    group: Group,
    batch_size: int,
) -> dict[str, float]:
    """Loss and accuracies over ``rows``, which the processes of ``group`` divide among themselves.

    The loss is the mean over patches of the cross-entropy, without label smoothing; multi-label, of
    the binary cross-entropy's mean over classes. Every process gets the same numbers.
    """
    mine = rows[group.rank :: group.world]
    truth = features.targets(mine)
    parts = [
        _sums(given, scores, multi_label=classifier.multi_label)
        for given, scores in zip(
            truth, score_clips(classifier, features, mine, batch_size), strict=True
        )
    ]
    # Summed in the order of ``rows``, so that the number of processes changes nothing.
    shares = group.collect(parts)
    return _means([shares[k % group.world][k // group.world] for k in range(len(rows))])


def figures_of(
    truth: npt.NDArray[np.bool_], scores: Sequence[npt.NDArray[Any]], *, multi_label: bool
) -> dict[str, float]:
    """The same figures of scores that are there already, ``(patch, class)`` of each clip."""
    pairs = zip(truth, scores, strict=True)
    return _means([_sums(given, own, multi_label=multi_label) for given, own in pairs])


def announce(kept: Mapping[str, float]) -> None:
    """Print the accuracies of the epoch whose weights are kept, if it was validated.

    Platforms that show the metrics of a training look for these lines in its log.
    """
    for level in ("patch", "clip"):
        value = kept.get(f"validation_{level}_accuracy")
        if value is not None:
            print(
                f"{level.capitalize()}-level accuracy on validation set : {decimal(value)}",
                flush=True,
            )


def _sums(
    given: npt.NDArray[np.bool_], scores: npt.NDArray[Any], *, multi_label: bool
) -> tuple[float, int, int, int]:
    """Of a clip: summed loss, right patches, patches, and 1 where the clip itself is right."""
    clip = decide(clip_scores(scores)[None], multi_label=multi_label)
    patches = decide(scores, multi_label=multi_label)
    likely = np.maximum(np.where(given, scores, 1.0 - scores), _SMALLEST)
    losses = -np.log(likely, dtype=np.float64)
    loss = losses.mean(1) if multi_label else losses[:, given].sum(1)
    right = int((patches == given).all(1).sum())
    return float(loss.sum()), right, len(scores), int((clip == given).all())


def _means(clips: Sequence[tuple[float, int, int, int]]) -> dict[str, float]:
    loss_sum, right, patches_total, clips_right = np.array(clips).sum(0)
    return {
        "validation_loss": float(loss_sum / patches_total),
        "validation_patch_accuracy": float(right / patches_total),
        "validation_clip_accuracy": float(clips_right / len(clips)),
    }
