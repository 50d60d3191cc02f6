"""Stored scores beside the calls of their corpus: what is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.detection.evaluation.decoding import Windows
from soundgate.audio.detection.evaluation.truth import Region, Truth, truth_of
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.audio.formats.detections.scores import SCORES, read_scores
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusIndex
    from soundgate.audio.formats.detections.scores import (
        ScoredRecording,
        Scores,
        ScoresFile,
    )
    from soundgate.audio.formats.detections.scores import Windows as Arrays


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores and calls of the same recordings."""

    about: ScoresFile
    windows: tuple[Windows, ...]
    """Of each recording of ``truth``, by its number."""
    truth: Truth

    @property
    def hours(self) -> float:
        """Length of what was looked at."""
        return float(self.truth.seconds.sum()) / 3600


def read_scored(scores: Path, corpus: Path, *, complete: bool) -> Scored:
    """Read scores and the calls in their regions.

    Args:
        scores: folder that prediction wrote.
        corpus: the corpus of its recordings.
        complete: whether every recording of the corpus must have been scored; a recording without
            scores would else lose its missed calls in silence.

    Raises:
        DataError: a file is missing or damaged, or the two do not fit.
    """
    found, index = read_scores(scores), read_corpus_index(corpus)
    if complete:
        _check_complete(scores, found, index)
    regions = [Region(row.path, *_ends(row)) for row in found.about.recordings]
    truth = truth_of(index, regions, found.about.class_names)
    numbers = {path: number for number, path in enumerate(truth.recordings)}
    parts: dict[int, list[tuple[ScoredRecording, Arrays]]] = {}
    for row, arrays in found:
        parts.setdefault(numbers[row.path], []).append((row, arrays))
    windows = tuple(_joined(number, parts[number], found.about) for number in sorted(parts))
    return Scored(found.about, windows, truth)


def _ends(row: ScoredRecording) -> tuple[float, float]:
    return row.region_start_s, min(row.region_end_s, row.duration_s)


def _joined(number: int, parts: list[tuple[ScoredRecording, Arrays]], about: ScoresFile) -> Windows:
    """The windows of all regions of a recording, each once."""
    starts = np.concatenate([arrays.starts_s for _, arrays in parts])
    _, once = np.unique(np.round(starts, 6), return_index=True)
    return Windows(
        number,
        starts[once],
        np.concatenate([arrays.scores for _, arrays in parts])[once],
        np.concatenate([arrays.logits for _, arrays in parts])[once],
        about.window_s,
        about.hop_s,
        parts[0][0].duration_s,
    )


def _check_complete(folder: Path, scores: Scores, index: CorpusIndex) -> None:
    scored = {row.path for row in scores.about.recordings}
    lacking = [each.path for each in index.recordings if each.path not in scored]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise DataError(
            f"{folder / SCORES}: recordings: {lacking[0]}{more} of the corpus has no scores; "
            "predict again"
        )
