"""Post-processing of score tables; the result is a score table again.

Frames of the result are as long as needed: a box begins and ends where it does, between the frames
of the scores. Outside of boxes the score is -inf: nothing is detected there at any threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.dcase import ScoreTable
from soundgate.audio.detection.postprocessing.boxes import Boxes, candidates
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.audio.formats.detections.postprocessing import (
        ClassPostProcessing,
        PostProcessing,
    )
    from soundgate.audio.metrics.events.intervals import Floats

_SAME: Final = 9
"""Decimals to which boundaries are told apart."""


def apply(clip: str, table: ScoreTable, record: PostProcessing) -> ScoreTable:
    """Post-process the scores of a clip.

    Args:
        clip: its name, for errors.
        table: its scores.
        record: what is done with each class; the table may have more classes, which are left out.

    Raises:
        DataError: the table lacks a class, or boxes are asked of scores that are not finite.
    """
    for name in record.classes:
        if name not in table.classes:
            raise DataError(f"{clip}: has no scores of {name!r}{nearest(name, table.classes)}")
    columns = {name: table.scores[:, table.classes.index(name)] for name in record.classes}
    filtered = {
        name: filtered_scores(columns[name], table.edges_s, record.classes[name])
        for name in columns
        if record.classes[name].method != "csebbs"
    }
    boxes = {
        name: boxes_of(clip, columns[name][None], table.edges_s, record.classes[name])
        for name in columns
        if record.classes[name].method == "csebbs"
    }
    return _joined(table.edges_s, filtered, boxes, tuple(columns))


def filtered_scores(scores: Floats, edges_s: Floats, how: ClassPostProcessing) -> Floats:
    """Scores of a class after its median filter, if it has one.

    Args:
        scores: float64 (..., frame).
        edges_s: where frames begin and the last one ends, float64 (frame + 1,).
        how: method "none" or "median".
    """
    if how.median_s is None:
        return scores
    from scipy.ndimage import median_filter

    size = median_frames(how.median_s, float(np.median(np.diff(edges_s))))
    found = median_filter(scores, (1,) * (scores.ndim - 1) + (size,), mode="reflect")
    return np.asarray(found, np.float64)


def median_frames(length_s: float, frame_s: float) -> int:
    """The odd number of frames that is nearest to a length, 1 or more."""
    return max(1, 2 * round((length_s / frame_s - 1) / 2) + 1)


def boxes_of(clip: str, scores: Floats, edges_s: Floats, how: ClassPostProcessing) -> Boxes:
    """Boxes of rows of scores, float64 (row, frame).

    Raises:
        DataError: a score is not finite.
    """
    if not np.isfinite(scores).all():
        raise DataError(f"{clip}: has infinite scores: give the scores of a network to find boxes")
    if how.step_s is None:
        raise ValueError("boxes need the length of the step filter")
    fall, ratio = (np.inf if each is None else each for each in (how.most_fall, how.most_ratio))
    return candidates(scores, edges_s, how.step_s).merged(fall, ratio)


def _joined(
    edges_s: Floats,
    filtered: Mapping[str, Floats],
    boxes: Mapping[str, Boxes],
    classes: tuple[str, ...],
) -> ScoreTable:
    """One table on the boundaries of all frames and boxes that it holds."""
    times = [edges_s[[0, -1]] if boxes and not filtered else edges_s]
    times += [side for each in boxes.values() for side in (each.start_s, each.end_s)]
    edges = np.asarray(np.unique(np.round(np.concatenate(times), _SAME)), np.float64)
    middles = (edges[1:] + edges[:-1]) / 2
    scores = np.full((len(middles), len(classes)), -np.inf)
    frame = np.clip(np.searchsorted(edges_s, middles, side="right") - 1, 0, len(edges_s) - 2)
    for at, name in enumerate(classes):
        if name in filtered:
            scores[:, at] = filtered[name][frame]
            continue
        of_class = boxes[name]
        box = np.searchsorted(of_class.start_s, middles, side="right") - 1
        inside = (box >= 0) & (middles < of_class.end_s[np.maximum(box, 0)])
        scores[inside, at] = of_class.confidence[box[inside]]
    return ScoreTable(classes, edges, scores)
