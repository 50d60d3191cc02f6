"""Prove an exported program against the way in which models are evaluated.

The reference is not the exported module run in torch but the code that preprocessing and evaluation
run. Whatever the module got wrong of either shows here, before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.export import graphs
from soundgate.audio.export.program import INPUT
from soundgate.audio.export.runtime import session
from soundgate.audio.formats.exported import Int8Difference
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from onnx import ModelProto

    Array = npt.NDArray[Any]

TOLERANCE = 1e-4
"""Largest difference of a score that counts as rounding."""

SEED = 0
"""Of the waveforms that are made to compare with."""


@dataclass(frozen=True)
class Case:
    """A batch of waveforms and what evaluation makes of it."""

    waveform: Array
    """Float32 (batch, sample)."""
    scores: list[Array]
    """Patch scores float32 (patch, class) of each clip."""
    join: str = "mean"
    """How they become the clip's: mean or max."""
    real: bool = False
    """Whether it is a clip of the data set, by which an int8 program is measured."""

    def joined(self, k: int) -> Array:
        """Scores (class,) of a clip."""
        scores: Array = self.scores[k].max(0) if self.join == "max" else self.scores[k].mean(0)
        return scores


def compare(name: str, run: Callable[[Array], Sequence[Array]], held: Sequence[Case]) -> float:
    """The largest difference of a score between ``run`` and the reference.

    Args:
        name: file that ``run`` runs.
        run: waveforms (batch, sample) to clip scores, patch scores and numbers of patches.
        held: what to compare with.

    Raises:
        DataError: it exceeds ``TOLERANCE``, or the numbers of patches differ.
    """
    differences = [0.0]
    for case in held:
        scores, patch_scores, counts = run(case.waveform)
        expected = [len(one) for one in case.scores]
        if counts.tolist() != expected:
            raise DataError(
                f"{name}: clips of {case.waveform.shape[1]} samples have {counts.tolist()} patches "
                f"instead of {expected}; this model cannot be exported"
            )
        for k, one in enumerate(case.scores):
            real, beyond = patch_scores[k, : len(one)], patch_scores[k, len(one) :]
            found = (scores[k] - case.joined(k), real - one, beyond)
            differences += [float(np.abs(values).max(initial=0.0)) for values in found]
    largest = float(np.max(differences))  # max() would pass over NaN
    if not largest <= TOLERANCE:
        raise DataError(
            f"{name}: scores differ from torch's by {largest:.2g}, more than {TOLERANCE:g}; this "
            "model cannot be exported"
        )
    return largest


def int8_difference(
    run: Callable[[Array], Sequence[Array]], held: Sequence[Case], thresholds: Array
) -> Int8Difference:
    """How far clip scores of an int8 program are from the reference, on clips of the data set.

    Args:
        run: as of ``compare``.
        held: what to compare with; waveforms that were made are passed over.
        thresholds: float64 (class,), the score from which on each class is given.
    """
    real = [case for case in held if case.real]
    expected = np.stack([case.joined(k) for case in real for k in range(len(case.scores))])
    scores = np.concatenate([np.asarray(run(case.waveform)[0]) for case in real])
    difference = np.abs(scores.astype(np.float64) - expected)
    alike = (scores >= thresholds) == (expected >= thresholds)
    return Int8Difference(
        clips=len(scores),
        largest=float(difference.max()),
        mean=float(difference.mean()),
        decisions_alike=float(alike.mean()),
    )


def same_network(whole: ModelProto, network: bytes, held: Sequence[Case]) -> None:
    """Run the network inside ``whole`` beside the one in a file of its own, on the same patches.

    Raises:
        DataError: their scores differ.
    """
    inner = graphs.showing_network(whole)
    looking, alone = session(inner.SerializeToString()), session(network)
    for case in held:
        patches, scores = looking.run([graphs.INSIDE, graphs.OUTSIDE], {INPUT: case.waveform})
        expected = alone.run(None, {graphs.PATCHES: patches})[0]
        difference = np.abs(scores.astype(np.float64) - expected).max()
        if difference > TOLERANCE:
            raise DataError(
                f"the int8 network differs by {difference:.2g} within its program; "
                "this model cannot be exported"
            )


def waveforms(rng: np.random.Generator, batch: int, samples: int, rate_hz: int) -> Array:
    """Tones in noise; in the second clip a third is silence, the third is silence throughout."""
    time_s = np.arange(samples) / rate_hz
    made = np.zeros((batch, samples), np.float32)
    for k in range(min(batch, 2)):
        tone_hz = rng.uniform(0.02, 0.4) * rate_hz
        made[k] = 0.3 * np.sin(2 * np.pi * tone_hz * time_s) + rng.normal(0, 0.05, samples)
    if batch > 1:
        made[1, samples // 4 : samples // 4 + samples // 3] = 0.0
    return made
