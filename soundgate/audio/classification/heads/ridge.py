"""Least squares with a squared penalty, in closed form (Hoerl and Kennard 1970).

Classes are columns of 0 and 1. Numbers are standardised first, and the intercept is not penalised:
the solution is that of scikit-learn's ``Ridge(alpha=regularisation)`` on standardised embeddings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from soundgate.audio.classification.heads.settled import Rows

    Array = npt.NDArray[Any]

_BLOCK_ROWS = 16384
_FLAT = 1e-6
"""A number whose standard deviation is smaller never changes."""


def standardisation(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation float64 ``(size,)``; what never changes gets 1.

    Args:
        values: float ``(row, size)``.
    """
    blocks = [slice(k, k + _BLOCK_ROWS) for k in range(0, len(values), _BLOCK_ROWS)]
    mean = sum(values[block].sum(0, dtype=np.float64) for block in blocks) / len(values)
    squares = sum(np.square(values[block] - mean).sum(0) for block in blocks) / len(values)
    deviation = np.sqrt(squares)
    return np.asarray(mean), np.where(deviation < _FLAT, 1.0, deviation)


def solve(rows: Rows, classes: int, regularisation: float) -> tuple[Array, Array]:
    """Weight float64 ``(class, size)`` and bias float64 ``(class,)`` for raw embeddings."""
    mean, deviation = standardisation(rows.values)
    shares = np.bincount(rows.numbers, minlength=classes) / len(rows)
    size = len(mean)
    gram, cross = np.zeros((size, size)), np.zeros((size, classes))
    for first in range(0, len(rows), _BLOCK_ROWS):
        block = slice(first, first + _BLOCK_ROWS)
        standard = (rows.values[block] - mean) / deviation
        targets = np.eye(classes)[rows.numbers[block]] - shares
        gram += standard.T @ standard
        cross += standard.T @ targets
    gram[np.diag_indices(size)] += regularisation
    # With no penalty and fewer rows than numbers there are many solutions: the smallest is taken.
    weight = np.linalg.solve(gram, cross) if regularisation else np.linalg.pinv(gram) @ cross
    scaled = (weight / deviation[:, None]).T
    return scaled, shares - scaled @ mean


def temperature(outputs: Array, numbers: Array) -> float:
    """What outputs are divided by before a softmax, so that it is likeliest (Guo et al. 2017).

    One more row than there are is assumed to be of any class (Laplace): where all are right, scores
    are not driven to 1.

    Args:
        outputs: float64 ``(row, class)``, of rows that were not trained on.
        numbers: int64 ``(row,)``: their classes.
    """
    doubt = 1 / (len(numbers) + 1)
    true = outputs[np.arange(len(outputs)), numbers]
    aim = (1 - doubt) * true + doubt * outputs.mean(1)

    def loss(log_temperature: float) -> float:
        scaled = outputs / np.exp(log_temperature)
        highest = scaled.max(1)
        spread = highest + np.log(np.exp(scaled - highest[:, None]).sum(1))
        return float(np.mean(spread - aim / np.exp(log_temperature)))

    # Golden-section search: the loss is convex in 1 / temperature, so it has one minimum.
    low, high, ratio = np.log(1e-3), np.log(1e3), (np.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
