"""The random forest: fitted to the detections of validation recordings, right ones and wrong ones.

It sees a detection whole where the network sees windows, and takes away false alarms. It is fitted
anew whenever a detector is evaluated, from the same recordings that choose the threshold, and is
not stored. How many trees must agree is chosen by what trees say of detections they were not fitted
to (out of bag). Source: Breiman, Machine Learning 45 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.detection.evaluation.decoding import Detections, decode_with_scores
from soundgate.audio.detection.evaluation.sweep import middle
from soundgate.audio.detection.forest.features import HOP, N_FFT, N_MELS, N_MFCC, features
from soundgate.audio.metrics.events.matching import match_iou

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.detection.evaluation.decoding import Decoding
    from soundgate.audio.detection.evaluation.scored import Scored
    from soundgate.audio.detection.evaluation.truth import Truth

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

TREES: Final = 300
SEED: Final = 0
_LOWER: Final = (1.0, 0.5, 0.25)
"""Thresholds, as shares of the chosen one, at which detections to learn from are looked for."""
_GRID: Final = np.round(np.arange(0, 1, 0.05), 2)
_FEWEST: Final = 5
"""Detections of each kind, below which there is nothing to learn."""


@dataclass(frozen=True, slots=True)
class Forest:
    """A fitted forest."""

    trees: Any
    """scikit-learn's ``RandomForestClassifier``; None where there was nothing to learn from, so
    that every detection is kept."""
    threshold: float
    """The share of trees from which on a detection is kept."""
    rate_hz: int
    """That detections are heard at."""

    def probabilities(self, corpus: Path, truth: Truth, found: Detections) -> Floats:
        """How sure it is that each detection is a call, float64 (detection,)."""
        if self.trees is None or not len(found):
            return np.ones(len(found))
        known = features(corpus, truth.recordings, found, self.rate_hz)
        return np.asarray(self.trees.predict_proba(known)[:, 1], np.float64)

    @property
    def meta(self) -> dict[str, object]:
        """What ``postrf/index.json`` says of it."""
        fitted = "none" if self.trees is None else f"RandomForestClassifier, {TREES} trees"
        return {
            "rf_model": fitted,
            "rf_threshold": self.threshold,
            "rate_hz": self.rate_hz,
            "stft": {"n_fft": N_FFT, "hop_length": HOP},
            "mfcc": {"n_mfcc": N_MFCC, "n_mels": N_MELS},
        }


def fit(validated: Scored, corpus: Path, decoding: Decoding, iou: float, rate_hz: int) -> Forest:
    """Fit a forest to what is found in validation recordings.

    Args:
        validated: scores and calls of these recordings.
        corpus: their corpus.
        decoding: the chosen one; lower thresholds give more false alarms to learn from.
        iou: least intersection over union of a hit.
        rate_hz: rate that detections are heard at.
    """
    from sklearn.ensemble import RandomForestClassifier

    found, right, chosen = _examples(validated, decoding, iou)
    if min(right.sum(), (~right).sum()) < _FEWEST:
        return Forest(None, 0.0, rate_hz)
    known = features(corpus, validated.truth.recordings, found, rate_hz)
    trees = RandomForestClassifier(
        TREES,
        min_samples_leaf=2,
        class_weight="balanced",
        oob_score=True,
        random_state=SEED,
        n_jobs=1,
    )
    trees.fit(known, right)
    unseen = np.nan_to_num(trees.oob_decision_function_[:, 1], nan=1.0)
    calls = len(validated.truth.events)
    return Forest(trees, _threshold(unseen[chosen], right[chosen], calls), rate_hz)


def _examples(validated: Scored, decoding: Decoding, iou: float) -> tuple[Detections, Bools, Bools]:
    """Detections, which of them are calls, and which are those of the chosen threshold."""
    parts, rights, chosen, seen = [], [], [], set()
    for share in _LOWER:
        found = decode_with_scores(validated.windows, decoding.at(decoding.threshold * share))
        right = np.zeros(len(found), bool)
        right[match_iou(validated.truth.events, found.events, iou).right] = True
        for k in range(len(found)):
            key = (
                int(found.events.clip[k]),
                int(found.events.label[k]),
                round(float(found.events.start_s[k]), 6),
                round(float(found.events.end_s[k]), 6),
            )
            if key not in seen:
                seen.add(key)
                parts.append(found.where(np.array([k])))
                rights.append(bool(right[k]))
                chosen.append(share == _LOWER[0])
    return Detections.joined(parts), np.array(rights, bool), np.array(chosen, bool)


def _threshold(probabilities: Floats, right: Bools, calls: int) -> float:
    """The share of trees with the best F1 of what is kept."""
    kept = probabilities >= _GRID[:, None]
    reached = 2 * (kept & right).sum(axis=1) / np.maximum(calls + kept.sum(axis=1), 1)
    best = np.flatnonzero(reached >= reached.max() - 1e-9)
    return float(_GRID[middle(best)])
