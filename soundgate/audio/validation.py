"""The figures of a training's epoch on the validation clips, made as evaluation makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.inference import clip_scores, decide, score_clips

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.distributed import Group
    from soundgate.audio.feature_set import FeatureSet
    from soundgate.audio.frames import Row
    from soundgate.audio.inference import Classifier

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
    parts: list[tuple[float, int, int, int]] = []
    for given, scores in zip(
        truth, score_clips(classifier, features, mine, batch_size), strict=True
    ):
        clip = decide(clip_scores(scores)[None], multi_label=classifier.multi_label)
        patches = decide(scores, multi_label=classifier.multi_label)
        likely = np.maximum(np.where(given, scores, 1.0 - scores), _SMALLEST)
        losses = -np.log(likely, dtype=np.float64)
        loss = losses.mean(1) if classifier.multi_label else losses[:, given].sum(1)
        right = int((patches == given).all(1).sum())
        parts.append((float(loss.sum()), right, len(scores), int((clip == given).all())))
    # Summed in the order of ``rows``, so that the number of processes changes nothing.
    shares = group.collect(parts)
    table = np.array([shares[k % group.world][k // group.world] for k in range(len(rows))])
    loss_sum, right, patches_total, clips_right = table.sum(0)
    return {
        "validation_loss": float(loss_sum / patches_total),
        "validation_patch_accuracy": float(right / patches_total),
        "validation_clip_accuracy": float(clips_right / len(rows)),
    }
