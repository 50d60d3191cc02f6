"""Figures of single clips, and how two labels are mistaken for one another."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from soundgate.audio.formats.reports.clip_results import ClipResult

METRICS: Final = ("f1", "precision", "recall", "hamming_distance")
"""Of a clip."""

Matrix = list[list[int]]


def of_clip(clip: ClipResult, labels: Sequence[str]) -> dict[str, float]:
    """Figures of one clip over the labels that were looked for in it; undefined ones are left out.

    Precision is undefined where nothing was given, recall where nothing is there, F1 where both.
    """
    judged = [label for label in labels if clip.is_judged(label)]
    truth, given = set(clip.truth) & set(judged), set(clip.predicted) & set(judged)
    both = len(truth & given)
    found: dict[str, float] = {}
    if truth or given:
        found["f1"] = 2 * both / (len(truth) + len(given))
    if given:
        found["precision"] = both / len(given)
    if truth:
        found["recall"] = both / len(truth)
    if judged:
        found["hamming_distance"] = len(truth ^ given) / len(judged)
    return found


def pairs(clips: Sequence[ClipResult], labels: Sequence[str]) -> Iterator[tuple[str, str, Matrix]]:
    """Yield each pair of labels with its matrix of clips: a row a truth, a column a decision.

    Rows and columns are: neither, the first alone, the second alone, both. Clips in which one of
    the two was not looked for are left out.
    """
    for first, second in combinations(labels, 2):
        matrix = [[0] * 4 for _ in range(4)]
        for clip in clips:
            if clip.is_judged(first) and clip.is_judged(second):
                row, column = (
                    (first in names) + 2 * (second in names)
                    for names in (clip.truth, clip.predicted)
                )
                matrix[row][column] += 1
        yield first, second, matrix
