"""Figures of resampled clips: how much a figure depends on which clips there happen to be.

Every draw takes the same clips for all systems, so that the draws of two systems, one less the
other, are those of their paired difference (Efron, Tibshirani 1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.metrics.bootstrap import percentiles, resamples

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.metrics.events.intervals import Floats, Ints


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure varies; arrays (figure,)."""

    standard_error: Floats
    low: Floats
    high: Floats


def draw(clips: int, *, draws: int, seed: int) -> Ints:
    """Samples of clips, drawn with replacement: how often each clip is in each.

    Args:
        clips: how many there are.
        draws: how many samples.
        seed: of the draws; equal seeds and numbers of clips give equal samples.

    Returns:
        Int64 (sample, clip).
    """
    blocks = list(resamples(clips, draws=draws, seed=seed))
    return np.concatenate((np.empty((0, clips), np.int64), *blocks))


def sampled(figures: Callable[[Ints], Floats], samples: Ints) -> Floats:
    """Figures of each sample, float64 (sample, figure).

    Args:
        figures: float64 (figure,) of how often each clip counts, int64 (clip,).
        samples: see :func:`draw`.
    """
    return np.stack([figures(weights) for weights in samples])


def spread(values: Floats, confidence: float = 0.95) -> Spread:
    """Standard error and percentile interval of figures, float64 (draw, figure).

    A draw in which a figure is undefined (NaN) does not count; NaN where fewer than two do.
    """
    defined = ~np.isnan(values)
    enough = defined.sum(axis=0) > 1
    errors = np.full(values.shape[1], np.nan)
    errors[enough] = np.nanstd(values[:, enough], axis=0, ddof=1)
    return Spread(errors, *percentiles(values, confidence))
