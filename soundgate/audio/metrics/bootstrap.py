"""The bootstrap over groups: which recordings each resample holds, and its percentiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

BOOTSTRAP_DRAWS = 1000

# Draws are made in blocks of about so many numbers (32 MB).
_BLOCK_VALUES = 4_000_000


def group_numbers(groups: Sequence[object]) -> tuple[Array, int]:
    """The number of each clip's group, int64 ``(clip,)``, and how many groups there are."""
    numbers: dict[object, int] = {}
    index = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)
    return index, len(numbers)


def resamples(
    groups: int, *, draws: int, seed: int, block_values: int | None = None
) -> Iterator[Array]:
    """Draw as many groups as there are, with replacement (Efron 1979), ``draws`` times.

    The draws depend on ``groups``, ``draws`` and ``seed`` alone, not on the size of the blocks.

    Args:
        groups: how many there are, at least 1.
        draws: how many resamples.
        seed: of the draws.
        block_values: about so many numbers are made at once; None: 4 million.

    Yields:
        int64 ``(draws of the block, group)``: how often each group was drawn.
    """
    rng = np.random.default_rng(seed)
    block = max(1, (block_values or _BLOCK_VALUES) // groups)
    for start in range(0, draws, block):
        count = min(block, draws - start)
        drawn = rng.integers(0, groups, (count, groups))
        drawn += np.arange(count)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=count * groups).reshape(count, groups)


def percentiles(values: Array, confidence: float) -> tuple[Array, Array]:
    """Lower and upper end of the percentile interval along the first axis.

    A draw in which a figure is undefined (NaN) is left out of that figure's interval; NaN where
    it is undefined in every draw.
    """
    tail = (1.0 - confidence) / 2
    flat = values.reshape(len(values), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    for column in range(flat.shape[1]):
        defined = flat[~np.isnan(flat[:, column]), column]
        if len(defined):
            ends[:, column] = np.quantile(defined, (tail, 1.0 - tail))
    return ends[0].reshape(values.shape[1:]), ends[1].reshape(values.shape[1:])
