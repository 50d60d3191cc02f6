"""The page's tables of classes: confusions, and figures a class beside the champion's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from soundgate.audio.review.media import picture_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.formats.reports.comparison import Comparison
    from soundgate.audio.formats.reports.report import ConfusionMatrix, Report

    Array = npt.NDArray[Any]

WHOLE_MATRIX = 60
"""Matrices of more classes are shown as a picture and a list."""
_PAIRS = 12
_PAIRS_OF_MANY = 100
# A class that has few clips must still show on a picture of hundreds of pixels.
_PICTURE_SIDE = 600


@dataclass(frozen=True)
class Cell:
    """Clips of a true class that were given a class."""

    count: int
    share: float
    """Of the row's clips."""
    is_right: bool


@dataclass(frozen=True)
class Pair:
    """A confusion."""

    truth: str
    predicted: str
    count: int
    share: float
    """Of the clips of the true class."""


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix, whole or, for many classes, as a picture."""

    labels: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    """Empty where the matrix is a picture."""
    picture: str
    """A data address; empty where the matrix is a table."""
    pairs: Sequence[Pair]
    """The most frequent confusions."""
    pair_total: int
    """How many pairs of classes were confused at all."""


@dataclass(frozen=True)
class ClassRow:
    """Figures of a class; a difference is None where the champion was not compared on it."""

    label: str
    support: int
    precision: float
    recall: float
    f1: float
    difference: float | None
    """F1 less the champion's, on the compared clips."""
    champion_f1: float | None
    compared: int
    """Clips of the class that both were compared on."""


def confusion(matrix: ConfusionMatrix) -> Confusion:
    """The matrix of ``evaluation.json``, ready to be shown."""
    labels = matrix.labels
    counts = np.array(matrix.rows, np.int64)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    wrong = [
        Pair(labels[i], labels[j], int(counts[i, j]), float(shares[i, j]))
        for i, j in zip(*np.nonzero(counts), strict=True)
        if i != j
    ]
    wrong.sort(key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))
    many = len(labels) > WHOLE_MATRIX
    return Confusion(
        labels=labels,
        rows=[] if many else _cells(counts, shares),
        picture=_picture(shares) if many else "",
        pairs=wrong[: _PAIRS_OF_MANY if many else _PAIRS],
        pair_total=len(wrong),
    )


def per_class(report: Report, comparison: Comparison | None) -> list[ClassRow]:
    """A row a class, the weakest first."""
    compared = {row.label: row for row in comparison.per_class} if comparison else {}
    rows = []
    for row in report.per_class:
        both = compared.get(row.label)
        shown = both if both is not None and both.clips > 0 else None
        rows.append(
            ClassRow(
                label=row.label,
                support=row.support,
                precision=row.precision,
                recall=row.recall,
                f1=row.f1,
                difference=shown.difference.f1 if shown else None,
                champion_f1=shown.champion.f1 if shown else None,
                compared=both.clips if both else 0,
            )
        )
    return sorted(rows, key=lambda row: (row.f1, row.label))


def _cells(counts: Array, shares: Array) -> list[list[Cell]]:
    return [
        [
            Cell(int(count), round(float(share), 3), i == j)
            for j, (count, share) in enumerate(zip(row, row_shares, strict=True))
        ]
        for i, (row, row_shares) in enumerate(zip(counts, shares, strict=True))
    ]


def _picture(shares: Array) -> str:
    """A square a cell: blue where right, red where wrong, white where no clip is."""
    side = len(shares)
    weight = np.sqrt(shares)[..., None]  # a single clip of many is seen too
    right, wrong = np.array((16, 100, 140)), np.array((200, 40, 20))
    colour = np.where(np.eye(side, dtype=bool)[..., None], right, wrong)
    pixels = np.round(255 + weight * (colour - 255)).astype(np.uint8)
    enlarged = Image.fromarray(pixels).resize(
        (side * max(1, _PICTURE_SIDE // side),) * 2, Image.Resampling.NEAREST
    )
    return picture_address(enlarged.quantize(64))
